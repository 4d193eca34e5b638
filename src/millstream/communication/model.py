"""The nouns that come in: a run of communications, each one composed document set for one customer."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class RunState(StrEnum):
    """What a run allows its deliveries to do."""

    OPEN = "open"
    PAUSED = "paused"
    CANCELLED = "cancelled"


def share_of(text: str) -> float:
    """A share as people write it: `5%`, `0.05`, or `none` for one that is never passed.

    Raises:
        ValueError: it is none, or not between 0 and 1.
    """
    word = text.strip().lower()
    if word == "none":
        return 1.0
    try:
        share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"{text!r} is no share; write for example 5%, 0.05 or none") from None
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is not between 0 and 100 %; write for example 5%, 0.05 or none")
    return share


class Mode(StrEnum):
    """How a run leaves: with a draft as token, or directly for tenants that grant only `gmail.send`."""

    DRAFT = "draft"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Policy:
    """What one run asks for beyond the defaults; stored as JSON with the run."""

    unsubscribe: str | None = None
    """An https or mailto URL: adds List-Unsubscribe; only where a run asks, statements do not."""
    password: str | None = None
    """The rule that makes a PDF's password of a driver's record, for example `{customer.birth_date:%d%m%Y}`."""
    bounce_limit: float | None = None
    """The share of what was accepted that may bounce before the run pauses itself; 1 never pauses it. Without it the
    setting `suppression.bounce_limit` decides, as it stands when a bounce comes."""

    def to_json(self) -> dict[str, Any]:
        """The stored form: set fields only."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Policy:
        """Read back what `to_json` stored; fields of other versions are ignored."""
        return cls(**{name: stored.get(name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Run:
    """Communications that came in together, with one policy."""

    id: int
    key: str
    state: RunState
    pool: str
    mode: Mode
    policy: Policy
    source: str = ""
    reason: str | None = None
    """Why it is paused, where it paused itself."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a communication goes: an address already parsed and valid, and the name to show."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One attachment at rest: its bytes lie in the document store under their SHA-256."""

    name: str
    media_type: str
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"name": self.name, "media_type": self.media_type, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Hold:
    """A named reason why a communication waits for a person instead of leaving."""

    reason: str
    """One of the words in `HOLD_REASONS`."""
    detail: str
    """The sentence for the operator: what, to whom, what to do."""


HOLD_REASONS = ("bad_recipient", "bad_data", "unreadable_document", "missing_document", "too_large", "bad_content")


@dataclass(frozen=True, slots=True)
class Communication:
    """One composed document set for one customer. Immutable: new content is a new communication."""

    key: str
    type: str
    customer: str
    recipient: Recipient
    subject: str
    text: str
    html: str | None
    locale: str
    stream: str
    source_hash: str
    """SHA-256 hex of what was handed in: the same key with another hash is a conflict."""
    documents: tuple[Document, ...] = ()
    template: str | None = None
    version: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    hold: Hold | None = None
    copies: tuple[Recipient, ...] = ()
    """Others who get the same; each copy is a delivery of its own."""
    consignment: int | None = None
    """What brought it in."""

    @property
    def content_hash(self) -> str:
        """SHA-256 hex of everything the recipient will see, and of who else sees it; decisions are bound to it."""
        seen: list[Any] = [
            self.recipient.address,
            self.recipient.name,
            self.subject,
            self.text,
            self.html,
            [document.to_json() for document in self.documents],
        ]
        if self.copies:
            seen.append([[copy.address, copy.name] for copy in self.copies])
        return hashlib.sha256(orjson.dumps(seen)).hexdigest()


def new_token() -> str:
    """A delivery's unguessable token: 20 lower-case hex characters, safe in a header and in a plus-address."""
    return secrets.token_hex(10)
