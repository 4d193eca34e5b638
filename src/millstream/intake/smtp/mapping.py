"""A message and its envelope become offers: one for each recipient, whom it goes to and what it counts as."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from string import Formatter

from millstream.intake.consignment import Door, Kind, Offer
from millstream.intake.smtp.options import EnvelopeRule, MailMap
from millstream.mime import Headers
from millstream.mime.address import plus_token
from millstream.mime.charset import one_line
from millstream.mime.people import domain_of, lower, mailboxes

_LONGEST_WORD = 64
_LONGEST_NAME = 200
_LONGEST_ID = 200
_LONGEST_RUN = 200
_NOT_IN_A_WORD = re.compile(r"[^A-Za-z0-9._-]+")
_DIGEST_IN_KEY = 16
_FIELDS = {"stream", "type", "sender", "date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the client said around a message, and who it is."""

    sender: str
    recipients: Sequence[str]
    client: str
    """A user's name, or the address that the connection came from."""


def offers(envelope: Envelope, headers: Headers, content: bytes, rules: MailMap, now: datetime) -> list[Offer]:
    """One offer for each recipient. The same message for the same recipient always gets the same key.

    A Message-ID alone is no key: nothing proves that a connector makes a new one for each mail, so a part of the
    message's hash stands beside it.
    """
    digest = hashlib.sha256(content).hexdigest()
    told = one_line(headers.get("Message-ID", ""), 2 * _LONGEST_ID).strip("<> ")
    named = told if 0 < len(told) <= _LONGEST_ID else "-"
    customer = one_line(headers.text(rules.customer_header), _LONGEST_NAME)
    shown = {lower(each.address): each.name for each in mailboxes(headers.get("To", "")) if each.address and each.name}
    found = []
    for same, recipient in _distinct(envelope.recipients).items():
        address, plus = _without_plus(recipient) if rules.plus_as_customer else (recipient, None)
        by_envelope = _rule(envelope.sender, recipient, rules)
        kind = word(headers.text(rules.type_header)) or word(by_envelope.type) or word(rules.type) or "document"
        told_stream = word(headers.text(rules.stream_header)) or word(by_envelope.stream)
        stream = told_stream or word(rules.stream or "") or kind
        run = run_key(rules.run, stream=stream, type=kind, sender=envelope.sender, date=f"{now:%Y-%m-%d}")
        facts = {
            "recipient": address,
            "name": shown.get(lower(recipient)) or shown.get(lower(address)) or "",
            "customer": customer or plus or address[:_LONGEST_NAME],
            "type": kind,
            "stream": stream,
            "locale": rules.locale,
            "sender": envelope.sender[:_LONGEST_NAME],
            "from": one_line(headers.text("From"), _LONGEST_NAME),
            "message_id": told[:_LONGEST_ID],
            "client": envelope.client[:_LONGEST_NAME],
        }
        found.append(
            Offer(
                door=Door.SMTP,
                key=f"{named}@{digest[:_DIGEST_IN_KEY]}#{same}",
                digest=digest,
                kind=Kind.MESSAGE,
                place=f"sha256:{digest}",
                size=len(content),
                run_key=run,
                pool=rules.pool,
                mode=rules.mode,
                policy=rules.policy,
                facts=facts,
                source=f"smtp {envelope.client}"[:_LONGEST_NAME],
            )
        )
    return found


def _rule(sender: str, recipient: str, rules: MailMap) -> EnvelopeRule:
    for each in rules.envelopes:
        fits = fnmatchcase(sender.lower(), each.sender.lower())
        if fits and fnmatchcase(recipient.lower(), each.recipient.lower()):
            return each
    return EnvelopeRule()


def word(text: str) -> str:
    """Text as a record's word: what may not stand in one becomes a hyphen; empty where nothing is left."""
    return _NOT_IN_A_WORD.sub("-", text.strip()).strip("-._")[:_LONGEST_WORD]


def run_key(pattern: str, **facts: str) -> str:
    """The pattern with its names filled in; names that it does not know stay as they stand."""
    made = []
    for literal, name, _, _ in Formatter().parse(pattern):
        made.append(literal)
        if name is not None:
            made.append(facts.get(name, f"{{{name}}}"))
    return one_line("".join(made), _LONGEST_RUN) or f"smtp/{facts['date']}"


def check_run_pattern(pattern: str) -> str | None:
    """What is wrong with a pattern for run keys, or None."""
    try:
        names = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
    except ValueError as error:
        return str(error)
    unknown = sorted(names - _FIELDS)
    return f"{{{unknown[0]}}} is none of {', '.join(f'{{{name}}}' for name in sorted(_FIELDS))}" if unknown else None


def _distinct(recipients: Sequence[str]) -> dict[str, str]:
    """Each recipient once, as it was spelled first, by the form in which addresses are compared."""
    found: dict[str, str] = {}
    for each in map(_settled, recipients):
        found.setdefault(lower(each), each)
    return found


def _settled(address: str) -> str:
    """The address with its domain in lower case, which is the same address."""
    local, at, _ = address.rpartition("@")
    return f"{local}{at}{domain_of(address)}"


def _without_plus(address: str) -> tuple[str, str | None]:
    token = plus_token(address)
    if token is None:
        return address, None
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}", token[:_LONGEST_NAME]
