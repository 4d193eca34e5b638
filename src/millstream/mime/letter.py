"""A letter: everything that one outgoing message says, before it has a wire form."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

HEADER_DELIVERY: Final = "X-Millstream-Delivery"
"""Carries the delivery token. Gmail's API keeps ``X-`` headers in the sent copy and replaces Message-ID (observed by
several projects up to 2026-09), so this header is the evidence that a delivery left."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name, which may be empty, and the address in its wire form (``local@a-label.domain``)."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part after the last @, in lower case."""
        return self.address.rpartition("@")[2].lower()

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document as it is attached: its name in any language, its media type, its bytes."""

    name: str
    media_type: str
    content: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Inline:
    """A picture that the HTML shows by ``cid:``; ``cid`` is of the form ``left@right``, in ASCII."""

    cid: str
    name: str
    media_type: str
    content: bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message to one recipient.

    ``delivery_token`` is the stable name of the delivery: letters, digits and ``._~-``, at most 128.
    ``stream`` becomes the campaign in Feedback-ID, ``locale`` (``en-GB`` or ``en_GB``) Content-Language.
    ``reply_to`` is used as given; ``plus_address`` puts a token into it.
    ``unsubscribe`` is an https or mailto URL; https adds the one-click header of RFC 8058.
    ``message_id`` is only for a relay: Gmail's API replaces it. ``headers`` are further fields as (name, value),
    for example In-Reply-To and References; those that this class owns, and those that add recipients, are refused.
    ``inline`` and ``amp`` (an AMP document, an alternative like the others) need an HTML body beside them.
    """

    sender: Mailbox
    recipient: Mailbox
    subject: str
    date: datetime
    delivery_token: str
    text: str = ""
    html: str | None = None
    amp: str | None = None
    inline: tuple[Inline, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    reply_to: Mailbox | None = None
    stream: str | None = None
    locale: str | None = None
    unsubscribe: str | None = None
    message_id: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
