"""Who a header names: mailboxes read strictly enough to be trusted with (RFC 5322 §3.4)."""

import re
from typing import Final

from millstream.mime.charset import decode_words, one_line
from millstream.mime.letter import Mailbox

_LONGEST: Final = 8192
_MOST: Final = 100
_LONGEST_NAME: Final = 200
LONGEST_ADDRESS: Final = 320  # RFC 3696 §3: 64 before the @, 255 after it
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'  # a quoted string, or what is left when it never ends
    r"|\((?:[^()\\]|\\.)*\)"  # a comment; one inside another is not read
    r"|<[^<>]*>"
    r"|[,;:]"
    r'|[^",;:<>()]+'
    r"|.",
    re.DOTALL,
)
_ATOM = r'[^\s\x00-\x1f\x7f<>()\[\],;:\\"@]'
_ADDRESS = re.compile(rf'(?:{_ATOM}+|"(?:[^"\\\r\n]|\\.)*")@{_ATOM}+')
_TO_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def lower(address: str) -> str:
    """An address as addresses are compared, here and by `lower()` in SQL; mail goes to it as it was written.

    RFC 5321 §2.4 lets the part before the @ mean something else in capitals; Gmail and nearly all others do not, and
    who is told twice, or in spite of a suppression, is harmed more. In lower case as far as ASCII goes: Unicode's would
    turn a Kelvin sign into somebody's k.
    """
    return address.translate(_TO_LOWER)


def domain_of(address: str) -> str:
    """What stands after the last @, in lower case, without the root's dot."""
    return lower(address.rpartition("@")[2]).rstrip(".")


def mailboxes(value: str) -> tuple[Mailbox, ...]:
    """The mailboxes of From, To and the like, at most 100 of them.

    What cannot be read as one mailbox is a Mailbox with an empty address, so that a count tells it.
    """
    found: list[Mailbox] = []
    words: list[str] = []
    angles: list[str] = []
    broken = len(value) > _LONGEST
    for match in _TOKEN.finditer(value[:_LONGEST]):
        token = match[0]
        if token in (",", ";"):
            found += _mailbox(words, angles, broken=broken)
            words, angles, broken = [], [], False
            if len(found) >= _MOST:
                return tuple(found)
        elif match[0] == ":":
            words, broken = [], broken or bool(angles)  # what stood before was a group's name
        elif token.startswith("<") and len(token) > 1:
            angles.append(token[1:-1].strip())
        elif token.startswith("(") and len(token) > 1:
            continue
        elif token in ('"', "(", ")", "<", ">") or (token.startswith('"') and not token.endswith('"')):
            broken = True
        else:
            words.append(token)
    return (*found, *_mailbox(words, angles, broken=broken))


def _mailbox(words: list[str], angles: list[str], *, broken: bool) -> list[Mailbox]:
    phrase = "".join(words).strip()
    if not phrase and not angles and not broken:
        return []
    if angles:
        address, name = angles[0], phrase
    else:
        address, name = phrase, ""
    whole = not broken and len(angles) <= 1 and len(address) <= LONGEST_ADDRESS and _ADDRESS.fullmatch(address)
    return [Mailbox(_shown(name), address if whole else "")]


def _shown(name: str) -> str:
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return one_line(decode_words(name), _LONGEST_NAME)
