"""A delivery in hand: the ledger's row with what it carries, and the letter that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from html import escape
from typing import Any, Protocol

from millstream.communication.model import ANSWER_LINK, Document, LetterHints, Mode, Policy, Recipient, Road
from millstream.delivery.errors import NoAnswerPage
from millstream.delivery.model import Delivery, Disposition
from millstream.delivery.options import DeliveryOptions
from millstream.mime.address import plus_address
from millstream.mime.build import build
from millstream.mime.letter import Attachment, Inline, Letter, Mailbox
from millstream.storage.objects import Stored

_COLUMNS = tuple(field.name for field in fields(Delivery) if field.name != "disposition")


class Documents(Protocol):
    """Where documents lie, by their SHA-256."""

    async def get(self, sha256: str) -> bytes:
        """The bytes of one document."""
        ...

    async def put(self, content: bytes) -> Stored:
        """Keep a document."""
        ...

    async def flush(self) -> None:
        """Return when all that was put is durable."""
        ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery with everything needed to make its letter."""

    delivery: Delivery
    recipient: Recipient
    subject: str
    text: str
    html: str | None
    documents: tuple[Document, ...]
    locale: str
    stream: str
    mode: Mode
    policy: Policy
    barred: str | None = None
    """Why it must not leave any more, where its address was suppressed since the lane took it."""
    hints: LetterHints | None = None
    """What else it carries, where it is one of a conversation."""

    def at(self, delivery: Delivery) -> Parcel:
        """The same content, the delivery as it stands now."""
        return replace(self, delivery=delivery)

    def thread_in(self, mailbox: str) -> str | None:
        """The thread of this mailbox that it belongs to; another mailbox has no such thread."""
        hints = self.hints
        return hints.thread_id if hints is not None and hints.only_from == mailbox else None


def delivery_of(row: Mapping[str, Any]) -> Delivery:
    """A delivery from a row of the ledger."""
    columns = {name: row[name] for name in _COLUMNS}
    columns["only_road"] = Road(row["only_road"]) if row["only_road"] else None
    return Delivery(disposition=Disposition(row["disposition"]), **columns)


def parcel_of(row: Mapping[str, Any]) -> Parcel:
    """A parcel from a row of `gather_bound` or `claim`."""
    return Parcel(
        delivery=delivery_of(row),
        recipient=_recipient_of(row),
        subject=row["subject"],
        text=row["body_text"],
        html=row["body_html"],
        documents=tuple(Document(**document) for document in row["documents"]),
        locale=row["locale"],
        stream=row["stream"],
        mode=Mode(row["mode"]),
        policy=Policy.from_json(row["policy"]),
        barred=row.get("barred"),
        hints=LetterHints.from_json(row["letter"]) if row["letter"] else None,
    )


def _recipient_of(row: Mapping[str, Any]) -> Recipient:
    """Whom this delivery goes to: the communication's recipient, or the one who gets a copy."""
    address = row["address"]
    for each in (row["recipient"], *row["copies"]):
        if each["address"] == address:
            return Recipient(**each)
    return Recipient(address)


async def write_letter(
    parcel: Parcel,
    *,
    mailbox: str,
    options: DeliveryOptions,
    documents: Documents,
    message_id: str | None = None,
) -> bytes:
    """The message as it goes up; `message_id` with its angle brackets, where the road keeps it.

    Raises:
        DocumentMissing: a document is not in the store.
        MimeError: a header or an address can not be written.
        NoAnswerPage: it offers a page for answers, and there is none.
    """
    token, sender, hints = parcel.delivery.token, options.sender, parcel.hints or LetterHints()
    own = sender.address or mailbox
    text, html, amp = parcel.text, parcel.html, hints.amp
    if parcel.hints is not None:
        text, html, amp = _linked(parcel, options)
    letter = Letter(
        sender=Mailbox(sender.name, own),
        recipient=Mailbox(parcel.recipient.name, parcel.recipient.address),
        subject=parcel.subject,
        date=datetime.now(UTC),
        delivery_token=token,
        text=text,
        html=html,
        amp=amp,
        inline=tuple(
            [Inline(each.cid, each.name, each.media_type, await documents.get(each.sha256)) for each in hints.inline]
        ),
        attachments=tuple(
            [
                Attachment(document.name, document.media_type, await documents.get(document.sha256))
                for document in parcel.documents
            ]
        ),
        reply_to=Mailbox(sender.name, plus_address(sender.reply_to or own, token)),
        stream=parcel.stream,
        locale=parcel.locale,
        unsubscribe=parcel.policy.unsubscribe,
        message_id=message_id,
        headers=_conversation(hints),
    )
    return build(letter)


def _conversation(hints: LetterHints) -> tuple[tuple[str, str], ...]:
    """What it answers, by which mail programs keep a conversation together (RFC 5322 §3.6.4)."""
    if not hints.references:
        return ()
    return ("In-Reply-To", hints.references[-1]), ("References", " ".join(hints.references))


def _linked(parcel: Parcel, options: DeliveryOptions) -> tuple[str, str | None, str | None]:
    """Text, HTML and AMP with the reader's own link; it is made here, so that no row can answer for anybody."""
    assert parcel.hints is not None  # noqa: S101  the caller looked
    text, html, amp = parcel.text, parcel.html, parcel.hints.amp
    if ANSWER_LINK not in f"{text}{html}{amp}":
        return text, html, amp
    if options.answer_link is None:
        raise NoAnswerPage(
            f"the letter to {parcel.recipient.address} offers a page for answers, and `review.base_url` is not set "
            "here; set it for every worker, or open the review again"
        )
    link = options.answer_link(parcel.delivery.token)
    safe = escape(link, quote=True)
    return (
        text.replace(ANSWER_LINK, link),
        None if html is None else html.replace(ANSWER_LINK, safe),
        None if amp is None else amp.replace(ANSWER_LINK, safe),
    )
