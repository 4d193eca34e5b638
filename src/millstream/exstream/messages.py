"""An engine's messages: `EX`, six digits and a severity, somewhere in a line.

Their layout beyond that is told nowhere (reference, 2.1), so a line is read for what can be found in it: the code, the
time that TIMESTAMP_MESSAGES puts in front (mm/dd/yyyy hh:mm:ss), and the customer where a pattern finds one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from millstream.exstream.model import EngineMessage, Severity

PATTERN: Final = r"\bEX(\d{6})([SEWI])\b"
CUSTOMER_PATTERN: Final = r"(?i)\b(?:customer|cust\.?|account)(?:\s+(?:number|no\.?|id))?\s*[:=#]?\s*([\w-]*\d[\w-]*)"
_ORDER: Final = (Severity.INFORMATION, Severity.WARNING, Severity.ERROR, Severity.SEVERE)
_STAMP: Final = re.compile(r"\b(\d{2})/(\d{2})/(\d{4}) (\d{2}):(\d{2}):(\d{2})\b")
_MOST_TEXT: Final = 2_000


def read_messages(
    lines: Iterable[str],
    *,
    pattern: str = PATTERN,
    threshold: Severity = Severity.INFORMATION,
    customer_pattern: str = CUSTOMER_PATTERN,
) -> Iterator[EngineMessage]:
    """Every message of a message file from a severity on, in order. Lines without one are passed over.

    `pattern` has two groups: the digits and the severity's letter. Times carry no zone there; they are given as UTC.
    """
    wanted, whom = _compiled(pattern), _compiled(customer_pattern)
    for number, whole in enumerate(lines, 1):
        line = whole[:_MOST_TEXT]
        found = wanted.search(line)
        if found is None:
            continue
        digits, letter = found.group(1), found.group(2)
        severity = Severity(letter)
        if not at_least(severity, threshold):
            continue
        text = line[: found.start()] + " " + line[found.end() :]
        stamp = _STAMP.search(line)
        if stamp is not None:
            text = text.replace(stamp.group(0), "", 1)
        customer = whom.search(line[found.end() :])
        yield EngineMessage(
            code=f"EX{digits}{letter}",
            severity=severity,
            text=" ".join(text.strip(" \t:-|").split()),
            line=number,
            at=_moment(stamp),
            customer=customer.group(1) if customer else None,
        )


def at_least(severity: Severity, threshold: Severity) -> bool:
    """Whether a severity reaches a threshold; one we do not know always does."""
    if severity not in _ORDER or threshold not in _ORDER:
        return True
    return _ORDER.index(severity) >= _ORDER.index(threshold)


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _moment(stamp: re.Match[str] | None) -> datetime | None:
    if stamp is None:
        return None
    month, day, year, hour, minute, second = (int(each) for each in stamp.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
