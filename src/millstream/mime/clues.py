"""What in a message points to one of our deliveries. Clues are claims of whoever wrote them; the caller proves them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from millstream.mime.address import plus_token
from millstream.mime.charset import clean
from millstream.mime.daemon import DaemonReport
from millstream.mime.letter import HEADER_DELIVERY
from millstream.mime.people import LONGEST_ADDRESS, mailboxes
from millstream.mime.structure import Headers

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,128}")  # as a letter's delivery_token may be
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,300}>")
_MOST_IDS: Final = 20
_MOST_RECIPIENTS: Final = 50
_LONGEST: Final = 16 * 1024  # of References; a thread of 200 messages
_MOST_TAGS: Final = 10
_ADDRESSED: Final = ("Delivered-To", "X-Gm-Original-To", "X-Original-To", "X-Forwarded-To", "To", "Cc")
"""X-Gm-Original-To is what a routing rule of Google Workspace adds, for example of a catch-all (certainty G)."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What maps a message to a delivery, all of it bounded.

    ``returned_token`` is X-Millstream-Delivery in the headers that a report returns. ``tags`` (at most 10) are what
    follows the + in the addresses it came to, ``reply_token`` is the first of them. ``original_message_ids``
    (``<a@b>``, at most 20) begin with what a report names, then the answered message, then older ones of the thread.
    ``recipients`` (at most 50) are a report's, in lower case.
    """

    returned_token: str | None = None
    original_message_ids: tuple[str, ...] = ()
    reply_token: str | None = None
    recipients: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def read_clues(headers: Headers, report: DaemonReport | None, reported: Iterable[Headers] = ()) -> Clues:
    """The clues in a message.

    Args:
        headers: of the message.
        report: of a mail server, if it is one.
        reported: field groups of another machine's report: a read receipt, a complaint, and what they return.
    """
    groups = [*([report.returned] if report and report.returned else []), *reported]
    recipients = report.recipients if report else ()
    tags = tuple(islice(dict.fromkeys(_tags(headers)), _MOST_TAGS))
    return Clues(
        returned_token=next((token for group in groups if (token := _token(group.get(HEADER_DELIVERY)))), None),
        original_message_ids=_message_ids(headers, report, groups),
        reply_token=next(iter(tags), None),
        recipients=tuple(one for one in recipients if len(one) <= LONGEST_ADDRESS)[:_MOST_RECIPIENTS],
        tags=tags,
    )


def _token(value: str | None) -> str | None:
    return value if value and _TOKEN.fullmatch(value) else None


def _tags(headers: Headers) -> Iterator[str]:
    for name in _ADDRESSED:
        for value in headers.get_all(name)[:10]:
            if "+" in value:
                for mailbox in mailboxes(value):
                    if token := _token(plus_token(mailbox.address)):
                        yield token


def _message_ids(headers: Headers, report: DaemonReport | None, groups: list[Headers]) -> tuple[str, ...]:
    """Each once, the nearest first; in References the nearest stands last (RFC 5322 §3.6.4)."""
    named = [report.original_message_id or ""] if report else []
    named += [group.get("Original-Message-ID", "") or group.get("Message-ID", "") for group in groups]
    found = [one for value in named for one in _MESSAGE_ID.findall(value[:_LONGEST])]
    found += _MESSAGE_ID.findall(headers.get("In-Reply-To", "")[:_LONGEST])
    found += reversed(_MESSAGE_ID.findall(headers.get("References", "")[-_LONGEST:]))
    return tuple(dict.fromkeys(map(clean, found)))[:_MOST_IDS]
