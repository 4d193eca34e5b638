"""Whether the receiving server vouches for the sender: Authentication-Results (RFC 8601), read so that nobody fools it.

A sender can write any header, also one that looks like the receiver's. Servers put theirs on top, so what counts is the
topmost field of a trusted server in its own block of trace fields. Gmail's block is, from the top: Delivered-To,
``Received: by`` of its own hops, Return-Path, ``Received: from … by mx.google.com``, Received-SPF and then
Authentication-Results (public mail archives, 2016 to 2026); other servers put it above their Received. Whatever is
irregular, contradicts itself or is missing has failed.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from millstream.mime.charset import clean
from millstream.mime.domains import aligned
from millstream.mime.people import domain_of, lower, mailboxes
from millstream.mime.structure import Headers

_LONGEST: Final = 8192
_MOST_RESULTS: Final = 50
_LONGEST_VALUE: Final = 320
_LAST_SERVER: Final = "mx.google.com"  # takes in what comes from outside for every mailbox that we read
_FLAT_COMMENT = re.compile(r"\([^()]*\)")
_RECEIVED_BY = re.compile(r"\sby\s+([A-Za-z0-9.-]+)", re.IGNORECASE)
_RECEIVED_FROM = re.compile(r"\s*from\s", re.IGNORECASE)
_LEXEME = re.compile(
    r"(?P<blank>[ \t\r\n]+)"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r"|(?P<comment>\()"
    r"|(?P<mark>[;=])"
    r'|(?P<word>[^ \t\r\n";=()\\]+)',
    re.DOTALL,
)
_IN_COMMENT = re.compile(r"[^()\\]+|\\.|[()]", re.DOTALL)
# In a quoted address these would be a way to smuggle a result past a reader that sees less of the quotes than we do.
_SMUGGLING = re.compile(r"[;=()]")
_METHOD = re.compile(r"([a-z0-9-]+)(?:/\d+)?")


@dataclass(frozen=True, slots=True)
class Signed:
    """One check and whom it was about: ``pass``, ``fail``, ``none`` …, and the domain in lower case."""

    result: str
    domain: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the receiving server found, and whether it is enough.

    ``passed`` needs one From mailbox and, aligned with it, DMARC's pass or, where the domain has no DMARC policy, a
    DKIM signature. SPF alone is not enough: it follows the envelope, and every customer of a shared host passes it.
    It proves the domain, not the person. ``why`` is a sentence for people, also when it passed.
    """

    passed: bool
    why: str
    domain: str = ""  # of the one From mailbox
    authserv_id: str = ""
    spf: Signed | None = None
    dkim: tuple[Signed, ...] = ()
    dmarc: str = ""
    header_from: str = ""
    aligned: bool = False


class _Irregular(ValueError):
    """A field that does not follow the grammar; its text says how."""


@dataclass(slots=True)
class _Result:
    method: str
    value: str
    properties: dict[str, str] = field(default_factory=dict)


def read_verdict(headers: Headers, authserv_ids: Collection[str]) -> Verdict:
    """The verdict of the topmost Authentication-Results that a trusted server can have written. Never fails.

    Args:
        headers: of the message.
        authserv_ids: the servers that are trusted, in any case. A gateway belongs here only if nothing can reach the
            mailbox past it.
    """
    senders = headers.get_all("From")
    found = mailboxes(senders[0]) if len(senders) == 1 else ()
    if len(senders) != 1 or len(found) != 1 or not found[0].address or len(headers.get_all("Sender")) > 1:
        return Verdict(passed=False, why="The message does not name exactly one mailbox as its sender.")
    domain = domain_of(found[0].address)
    value = _trusted(headers, frozenset(map(lower, authserv_ids)))
    if value is None:
        return Verdict(passed=False, why="No trusted server has noted a verdict where it would.", domain=domain)
    try:
        authserv_id, results = _parse(value)
    except _Irregular as irregular:
        return Verdict(passed=False, why=f"The server's verdict cannot be relied on: {irregular}.", domain=domain)
    return _judge(domain, authserv_id, results)


def _judge(domain: str, authserv_id: str, results: list[_Result]) -> Verdict:
    spf = [_signed(one, ("smtp.mailfrom", "smtp.helo")) for one in results if one.method == "spf"]
    dkim = tuple(_signed(one, ("header.i", "header.d")) for one in results if one.method == "dkim")
    dmarc = [one for one in results if one.method == "dmarc"]
    said = dmarc[0].value if dmarc else ""
    header_from = lower(dmarc[0].properties.get("header.from", "")) if dmarc else ""
    signed = next((one for one in dkim if one.result == "pass" and aligned(one.domain, domain)), None)
    matches = said == "pass" and header_from == domain
    if len(dmarc) > 1 or len(spf) > 1:
        passed, why = False, "The server's verdict gives two answers to one question."
    elif said == "pass":
        passed = matches
        why = f"DMARC passed for {domain}." if matches else f"DMARC passed for {header_from or 'nobody'}, not {domain}."
    elif said not in ("", "none"):
        passed, why = False, f"DMARC says {said} for {domain}."
    elif signed:
        passed, why = True, f"{signed.domain} signed the message for {domain}, which has no DMARC policy."
    else:
        passed, why = False, f"Nothing proves that the message comes from {domain}."
    return Verdict(
        passed=passed,
        why=why,
        domain=domain,
        authserv_id=authserv_id,
        spf=spf[0] if spf else None,
        dkim=dkim,
        dmarc=said,
        header_from=header_from,
        aligned=matches or signed is not None,
    )


def _signed(result: _Result, names: tuple[str, ...]) -> Signed:
    value = next((result.properties[name] for name in names if name in result.properties), "")
    return Signed(result.value, domain_of(value))


def _trusted(headers: Headers, authserv_ids: frozenset[str]) -> str | None:
    """The topmost field of a trusted server, if it stands where that server writes.

    That is below the server's own ``Received: from … by <server>`` and above the next Received, or right above it.
    Internal hops (``Received: by`` without ``from``) may stand above, and Gmail's own line when a gateway before it is
    trusted instead. Any other server's line ends the search: below it everything may be the sender's.
    """
    own, candidate = False, None
    for name, value in headers.fields:
        match name.lower():
            case "received":
                if own:
                    return None
                if not is_handover(value):
                    continue
                by = _received_by(value)
                own = by in authserv_ids
                if candidate is not None or (not own and by != _LAST_SERVER):
                    return candidate if own else None
            case "authentication-results" if candidate is None and _authserv_id(value) in authserv_ids:
                if own:
                    return value
                candidate = value
    return None  # without a Received of its own, no server has written it


def is_handover(received: str) -> bool:
    """Whether a Received field tells of a message that came from another host, not of a hop inside one's own."""
    return bool(_RECEIVED_FROM.match(received))


def _received_by(value: str) -> str:
    """The host that wrote the field; what the sending host says of itself stands in comments."""
    match = _RECEIVED_BY.search(_FLAT_COMMENT.sub(" ", value[:_LONGEST]))
    return lower(match[1]).rstrip(".") if match else ""


def _authserv_id(value: str) -> str:
    try:
        first = next(_lexemes(value[:_LONGEST]), ("", ""))
    except _Irregular:
        return ""
    return lower(first[1]) if first[0] == "word" else ""


def _parse(value: str) -> tuple[str, list[_Result]]:
    """The authserv-id and the results, in order."""
    if len(value) > _LONGEST:
        raise _Irregular(f"it has more than {_LONGEST} characters")
    groups: list[list[tuple[str, str]]] = [[]]
    for lexeme in _lexemes(value):
        if lexeme == ("mark", ";"):
            groups.append([])
        else:
            groups[-1].append(lexeme)
    if len(groups) > _MOST_RESULTS:
        raise _Irregular(f"it has more than {_MOST_RESULTS} results")
    head = groups[0]
    if not head or any(kind != "word" for kind, _ in head) or len(head) > 2:  # noqa: PLR2004  the id and a version
        raise _Irregular("it does not begin with one server's name")
    return lower(clean(head[0][1])), [found for group in groups[1:] if (found := _result(group)) is not None]


def _result(group: list[tuple[str, str]]) -> _Result | None:
    """``method=value reason="…" ptype.property=value …``; None for ``none`` and for nothing."""
    if not group or group == [("word", "none")]:
        return None
    pairs = list(_pairs(group))
    name, value, _ = pairs[0]
    method = _METHOD.fullmatch(lower(name))
    if method is None:
        raise _Irregular(f"{clean(name)[:40]!r} is no method")
    result = _Result(method[1], lower(clean(value)[:40]))
    for name, value, quoted in pairs[1:]:
        if quoted and name != "reason" and _SMUGGLING.search(value):
            raise _Irregular(f"the value of {clean(name)[:40]} looks like a forgery")
        result.properties.setdefault(lower(name), clean(value)[:_LONGEST_VALUE])
    return result


def _pairs(group: list[tuple[str, str]]) -> Iterator[tuple[str, str, bool]]:
    """``name = value``, where a value may be ``"quoted"@domain``, and base64 values may hold further ``=``."""
    position = 0
    while position < len(group):
        if group[position][0] != "word" or group[position + 1 : position + 2] != [("mark", "=")]:
            raise _Irregular(f"{clean(group[position][1])[:40]!r} is no part of a result")
        name, value, quoted, position = group[position][1], "", False, position + 2
        while position < len(group):
            kind, text = group[position]
            starts_a_pair = kind == "word" and group[position + 1 : position + 2] == [("mark", "=")]
            if value and (starts_a_pair or (kind == "word" and not text.startswith("@"))):
                break
            value, quoted, position = value + text, quoted or kind == "quoted", position + 1
        yield name, value, quoted


def _lexemes(value: str) -> Iterator[tuple[str, str]]:
    """Words, quoted strings and marks; comments are left out."""
    position = 0
    while position < len(value):
        match = _LEXEME.match(value, position)
        if match is None:
            raise _Irregular(f"{clean(value[position : position + 20])!r} has no meaning there")
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "comment":
            position = _after_comment(value, position)
        elif kind != "blank":
            yield kind, match[kind]


def _after_comment(value: str, position: int) -> int:
    depth = 1
    while depth:
        match = _IN_COMMENT.match(value, position)
        if match is None:
            raise _Irregular("a comment does not end")
        position = match.end()
        depth += (match[0] == "(") - (match[0] == ")")
    return position
