"""Bounces without RFC 3464: qmail, old Exim, Sendmail, Gmail and Yahoo write a text and quote what they return.

Read by structure: a line that is an address, codes below it, and the block of header fields where the returned message
begins. What the text says in words is in any language and proves nothing.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from millstream.mime.people import lower
from millstream.mime.status import BASIC, ENHANCED, DeliveryStatus
from millstream.mime.structure import Headers, read_headers

LONGEST: Final = 64 * 1024  # bytes of the text that are looked at
_MOST_LINES: Final = 2000
_MOST_RECIPIENTS: Final = 50
_LONGEST_DIAGNOSTIC: Final = 500
_FIELDS_THAT_MAKE_A_HEADER: Final = 3
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,60}: ?\S")
_TELLING = re.compile(r"(?:message-id|received|return-path|x-millstream-delivery):", re.IGNORECASE)
_ROUND_AN_ADDRESS: Final = " \t<>:;,.()\"'*-"


@dataclass(frozen=True, slots=True)
class PlainReport:
    """What an old report says: of each recipient, and the headers of the message it returns."""

    statuses: tuple[DeliveryStatus, ...] = ()
    returned: Headers | None = None
    notice: str = ""


def read_plain(text: str, *, failed: tuple[str, ...] = (), us: Collection[str] = ()) -> PlainReport:
    """Read the text of an old report.

    Args:
        text: the report, decoded.
        failed: X-Failed-Recipients, which settles who failed.
        us: addresses in lower case that are no recipients: the report's own sender and receiver.
    """
    lines = [line.lstrip("> ") if line.startswith(">") else line for line in text.split("\n")[:_MOST_LINES]]
    start = _returned_at(lines)
    notice = lines[:start]
    returned = read_headers("\n".join(_unindented(lines[start:])).encode()) if start < len(lines) else None
    blocks = _blocks(notice, us)
    if failed and not any(one in blocks for one in map(lower, failed)):
        blocks = {lower(one): "\n".join(notice) for one in failed[:_MOST_RECIPIENTS]}
    named = {lower(one) for one in failed}
    statuses = tuple(_status(address, said, named=address in named) for address, said in blocks.items())
    return PlainReport(statuses, returned, "\n".join(notice))


def _returned_at(lines: list[str]) -> int:
    """The line where the returned message's header begins: three fields in a row, one of which every message has."""
    run, telling = 0, False
    for number, line in enumerate(lines):
        if _FIELD.match(line.lstrip()):
            run, telling = run + 1, telling or bool(_TELLING.match(line.lstrip()))
            if run >= _FIELDS_THAT_MAKE_A_HEADER and telling:
                return _first_field(lines, number)
        elif not line[:1].isspace() or not line.strip():
            run, telling = 0, False
    return len(lines)


def _first_field(lines: list[str], number: int) -> int:
    """Back over fields and their folded lines to the first."""
    first = number
    for position in range(number, -1, -1):
        line = lines[position]
        if _FIELD.match(line.lstrip()):
            first = position
        elif not line.strip() or not line[0].isspace():
            break
    return first


def _unindented(lines: list[str]) -> list[str]:
    """Some servers indent what they return."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    return [line[indent:] if line[:indent].isspace() or not indent else line for line in lines]


def _blocks(lines: list[str], us: Collection[str]) -> dict[str, str]:
    """What is said below each line that is an address."""
    blocks: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        address = _alone(line)
        if address and address not in us and (address in blocks or len(blocks) < _MOST_RECIPIENTS):
            current = blocks.setdefault(address, [])
        else:
            current.append(line.strip())
    return {address: "\n".join(said).strip() for address, said in blocks.items()}


def _alone(line: str) -> str:
    """The address that a line consists of, or begins with in angle brackets and a colon."""
    bare = line.strip()
    if len(bare) > LONGEST or "@" not in bare:
        return ""
    if bare.startswith("<"):
        inside, closed, rest = bare[1:].partition(">")
        bare = inside if closed and (not rest.strip() or rest.lstrip().startswith(":")) else bare
    bare = bare.strip(_ROUND_AN_ADDRESS)
    return lower(bare) if len(bare) < LONGEST and _ADDRESS.fullmatch(bare) else ""


def _status(address: str, said: str, *, named: bool) -> DeliveryStatus:
    """The code decides.

    A code of class 4, or none and no word in the headers, cannot be told from a delay: then it is one, because a
    message that is still under way must not be sent once more.
    """
    exact = ENHANCED.search(said)
    reply = BASIC.search(said)
    code = exact[0] if exact else ""
    failed = code.startswith("5") if code else (reply[0].startswith("5") if reply else named)
    first = min((one.start() for one in (exact, reply) if one), default=0)
    diagnostic = " ".join(said[first : first + _LONGEST_DIAGNOSTIC].split())
    return DeliveryStatus(address, "failed" if failed else "delayed", code, diagnostic=diagnostic)
