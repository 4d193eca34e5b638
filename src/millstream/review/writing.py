"""What a person wrote, without our own lines that a mail program has not marked as quoted, and without their name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from millstream.mime.phrases import ATTRIBUTION, ATTRIBUTION_START, COLONS, DASHED, LABEL

_OWN: Final = 12
"""A line of ours at least so long is never a person's; shorter ones are words that anybody writes."""
_MOST_BELOW: Final = 20
_LONGEST: Final = 500
_DRAWN = re.compile(r"[-_=]{5,}.{0,60}")


def without_ours(text: str, body: str) -> str:
    """A reply without lines that stand in the mail it answers."""
    ours = _lines_of(body)
    return "\n".join(line for line in text.splitlines() if _plain(line) not in ours)


def without_name(text: str, names: Iterable[str]) -> str:
    """A reply without the writer's own name as its last line."""
    theirs = {_plain(form) for name in names for form in _forms(name)}
    lines = text.rstrip().splitlines()
    if len(lines) > 1 and _plain(lines[-1]).strip(" ,.-") in theirs - {""}:
        lines.pop()
    return "\n".join(lines).rstrip()


def below(reply: str, full: str, body: str) -> str:
    """What stands between a reply's last line and what it quotes: a signature, or an afterthought."""
    last = next((_plain(line) for line in reversed(reply.splitlines()) if line.strip()), "")
    lines = full.splitlines()
    at = next((number for number, line in enumerate(lines) if _plain(line) == last), None) if last else None
    if at is None:
        return ""
    ours, found = _lines_of(body), list[str]()
    for line in lines[at + 1 :]:
        if _quotes(line) or len(found) >= _MOST_BELOW:
            break
        if line.strip() and _plain(line) not in ours:
            found.append(line.strip())
    return "\n".join(found)


def _quotes(line: str) -> bool:
    """Whether everything from there on is somebody else's."""
    bare = line.strip()[:_LONGEST]
    if bare.startswith((">", "|")) or DASHED.fullmatch(bare) or _DRAWN.fullmatch(bare):
        return True
    label = LABEL.match(bare)
    if label is not None and label["from"] is not None:
        return True
    return bare.endswith(COLONS) and bool(ATTRIBUTION_START.match(bare)) and bool(ATTRIBUTION.fullmatch(bare))


def _lines_of(body: str) -> frozenset[str]:
    return frozenset(plain for line in body.splitlines() if len(plain := _plain(line)) >= _OWN)


def _plain(line: str) -> str:
    """As lines are compared: programs change blanks, marks and case."""
    text = unicodedata.normalize("NFKC", line).casefold()
    return " ".join(text.strip(" \t>*_|-").split())


def _forms(name: str) -> Iterable[str]:
    """`Anna Ample`, `Anna`, `Ample`, `A. Ample`, `AA`."""
    words = name.split()
    yield name
    if len(words) > 1:
        yield words[0]
        yield words[-1]
        yield f"{words[0][:1]}. {words[-1]}"
        yield "".join(word[:1] for word in words)
