"""A delivery in hand: the ledger's row with what it carries, and the letter that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from millstream.communication.model import Document, Mode, Policy, Recipient
from millstream.delivery.model import Delivery, Disposition
from millstream.delivery.options import Sender
from millstream.mime.address import plus_address
from millstream.mime.build import build
from millstream.mime.letter import Attachment, Letter, Mailbox

_COLUMNS = tuple(field.name for field in fields(Delivery) if field.name != "disposition")


class Documents(Protocol):
    """Where documents lie, by their SHA-256."""

    async def get(self, sha256: str) -> bytes:
        """The bytes of one document."""
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

    def at(self, delivery: Delivery) -> Parcel:
        """The same content, the delivery as it stands now."""
        return replace(self, delivery=delivery)


def delivery_of(row: Mapping[str, Any]) -> Delivery:
    """A delivery from a row of the ledger."""
    return Delivery(disposition=Disposition(row["disposition"]), **{name: row[name] for name in _COLUMNS})


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
    )


def _recipient_of(row: Mapping[str, Any]) -> Recipient:
    """Whom this delivery goes to: the communication's recipient, or the one who gets a copy."""
    address = row["address"]
    for each in (row["recipient"], *row["copies"]):
        if each["address"] == address:
            return Recipient(**each)
    return Recipient(address)


async def write_letter(parcel: Parcel, *, mailbox: str, sender: Sender, documents: Documents) -> bytes:
    """The message as it goes up.

    Raises:
        DocumentMissing: a document is not in the store.
        MimeError: a header or an address can not be written.
    """
    token = parcel.delivery.token
    own = sender.address or mailbox
    letter = Letter(
        sender=Mailbox(sender.name, own),
        recipient=Mailbox(parcel.recipient.name, parcel.recipient.address),
        subject=parcel.subject,
        date=datetime.now(UTC),
        delivery_token=token,
        text=parcel.text,
        html=parcel.html,
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
    )
    return build(letter)
