"""The roads a letter can take, each with the guarantee it can give.

A transport that stages (`drafts.create`) has a token: the staged thing exists as long as it was not sent. One that
does not stage has only the evidence it finds afterwards. A relay will be a third.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from millstream.delivery.model import Delivery
from millstream.gmail.client import MailboxClient
from millstream.gmail.errors import BadRequest, HistoryExpired, NotFound
from millstream.gmail.model import MessageRef
from millstream.mime.letter import HEADER_DELIVERY

_MESSAGE_ID = "Message-ID"
_NO_THREAD = (NotFound, BadRequest)
"""What Gmail says to a thread that is not there; nothing was done."""
_MOST_PAGES = 8
_MOST_HEADERS = 200
MOST_REPEATS = 3
"""A page that comes again names the token it was asked for; one that never ends must not hold a lane."""


class Guarantee(StrEnum):
    """What a transport can prove."""

    TOKEN = "token"  # noqa: S105  at most once, provably: what is staged can be sent only once
    EVIDENCE = "evidence"  # an unclear send is settled only where evidence of it is found


@dataclass(frozen=True, slots=True)
class Staged:
    """What was staged: nothing was sent."""

    draft_id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """Proof of a send: the message, and how it was found."""

    message_id: str
    thread_id: str
    how: str
    rfc822_id: str | None = None
    """The Message-ID that the recipient sees, where the evidence told it; without angle brackets."""


class Unsent(StrEnum):
    """What evidence says when it does not show a sent message."""

    STAGED = "staged"  # the draft exists: it was not sent
    NOTHING = "nothing"  # neither draft nor message: nobody knows


class Transport(Protocol):
    """One road out of one mailbox. Every method raises `GmailError` (or the relay's counterpart)."""

    guarantee: Guarantee
    sending: str
    """The method by which it sends, as the limits name it."""

    async def stage(self, raw: bytes, *, thread_id: str | None = None) -> Staged:
        """Put the letter there without sending it, in a thread of the mailbox as long as there is one."""
        ...

    async def send(self, delivery: Delivery, raw: bytes | None, *, thread_id: str | None = None) -> Sent:
        """Send what is staged, or the letter itself where this road does not stage. Called once, never retried."""
        ...

    async def withdraw(self, delivery: Delivery) -> None:
        """Remove what is staged, so that it can never be sent. `NotFound`: it is not there any more."""
        ...

    async def evidence(self, delivery: Delivery) -> Sent | Unsent:
        """What the mailbox shows of a send whose outcome is unclear."""
        ...


class DraftTransport:
    """`drafts.create`, then `drafts.send`: the draft is the token."""

    guarantee = Guarantee.TOKEN
    sending = "drafts.send"

    def __init__(self, calls: MailboxClient, reads: MailboxClient) -> None:
        self._calls = calls
        self._reads = reads

    async def stage(self, raw: bytes, *, thread_id: str | None = None) -> Staged:
        """Upload the letter as a draft; where its thread is gone, by itself."""
        try:
            draft = await self._calls.create_draft(raw, thread_id=thread_id)
        except _NO_THREAD:
            if thread_id is None:
                raise
            draft = await self._calls.create_draft(raw)
        return Staged(draft.id, draft.thread_id)

    async def send(
        self,
        delivery: Delivery,
        raw: bytes | None,  # noqa: ARG002  a draft needs no bytes
        *,
        thread_id: str | None = None,  # noqa: ARG002  it lies in its thread already
    ) -> Sent:
        """Send the draft; Gmail deletes it and answers with a new message."""
        message = await self._calls.send_draft(delivery.draft_id or "")
        return Sent(message.id, message.thread_id, "reply")

    async def withdraw(self, delivery: Delivery) -> None:
        """Delete the draft."""
        await self._reads.delete_draft(delivery.draft_id or "")

    async def evidence(self, delivery: Delivery) -> Sent | Unsent:
        """The draft first, then SENT: a message in the draft's thread, then one with our header."""
        try:
            await self._reads.get_draft(delivery.draft_id or "")
        except NotFound:
            return await find_sent(self._reads, delivery)
        return Unsent.STAGED


class DirectTransport:
    """`messages.send` with our header, for tenants that grant no drafts."""

    guarantee = Guarantee.EVIDENCE
    sending = "messages.send"

    def __init__(self, calls: MailboxClient, reads: MailboxClient) -> None:
        self._calls = calls
        self._reads = reads

    async def stage(self, raw: bytes, *, thread_id: str | None = None) -> Staged:
        """Never called: this road does not stage."""
        raise TypeError(f"direct mode stages nothing ({len(raw)} bytes, thread {thread_id})")

    async def send(
        self,
        delivery: Delivery,  # noqa: ARG002  nothing is staged
        raw: bytes | None,
        *,
        thread_id: str | None = None,
    ) -> Sent:
        """Upload and send in one call; where its thread is gone, by itself: the first call did nothing then."""
        try:
            message = await self._calls.send_message(raw or b"", thread_id=thread_id)
        except _NO_THREAD:
            if thread_id is None:
                raise
            message = await self._calls.send_message(raw or b"")
        return Sent(message.id, message.thread_id, "reply")

    async def withdraw(self, delivery: Delivery) -> None:
        """Nothing is staged, so nothing is removed."""

    async def evidence(self, delivery: Delivery) -> Sent | Unsent:
        """A SENT message with our header since the history id noted before."""
        return await find_sent(self._reads, delivery)


async def find_sent(mail: MailboxClient, delivery: Delivery) -> Sent | Unsent:
    """A message in SENT that is this delivery: by the draft's thread, else by our header."""
    candidates = await sent_since(mail, delivery.history_id)
    for message in candidates:
        if delivery.thread_id and message.thread_id == delivery.thread_id:
            return Sent(message.id, message.thread_id, "thread")
    for message in candidates[-_MOST_HEADERS:]:
        try:
            found = await mail.get_message(message.id, headers=(HEADER_DELIVERY, _MESSAGE_ID))
        except NotFound:  # it vanished between list and get
            continue
        if found.headers.get(HEADER_DELIVERY) == delivery.token:
            rfc822_id = bare_id(found.headers.get(_MESSAGE_ID) or "") or None
            return Sent(found.id, found.thread_id, "header", rfc822_id)
    return Unsent.NOTHING


def bare_id(message_id: str) -> str:
    """A Message-ID as the ledger has it: without white space and angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")


async def sent_since(mail: MailboxClient, history_id: int | None) -> list[MessageRef]:
    """What SENT gained since a history id, oldest first; where history is gone, the newest pages of SENT."""
    if history_id is not None:
        try:
            return await added_since(mail, history_id, "SENT")
        except HistoryExpired:
            pass
    return await newest(mail, "SENT")


async def newest(mail: MailboxClient, label: str) -> list[MessageRef]:
    """The newest pages of a label, oldest first."""
    found: list[MessageRef] = []
    token: str | None = None
    for _ in range(_MOST_PAGES):
        page = await mail.list_messages(label_ids=(label,), page_token=token)
        found.extend(page.items)
        token = page.next_page
        if token is None:
            break
    return found[::-1]


async def added_since(mail: MailboxClient, history_id: int, label: str) -> list[MessageRef]:
    """Messages with a label that were added since a history id, oldest first, each once.

    A page may be empty and still have a next one, and may come twice (observed: lieer #24, #120).

    Raises:
        HistoryExpired: Gmail no longer keeps history from there.
    """
    found: dict[str, MessageRef] = {}
    token: str | None = None
    repeats = 0
    while True:
        page = await mail.list_history(history_id, label_id=label, page_token=token)
        found.update((message.id, message) for message in page.added)
        repeats = repeats + 1 if page.next_page == token else 0
        token = page.next_page
        if token is None or repeats > MOST_REPEATS:
            return list(found.values())
