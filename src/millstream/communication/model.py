"""The nouns that come in: a run of communications, each one composed document set for one customer."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, Self

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


class Road(StrEnum):
    """By what a message leaves."""

    API = "api"
    RELAY = "relay"


class RoadChoice(StrEnum):
    """Which roads may carry a run."""

    API = "api"
    RELAY = "relay"
    RELAY_THEN_API = "relay_then_api"
    """By the relay; what its day has no room for leaves by the API."""
    BOTH = "both"
    AUTO = "auto"
    """Each message by the rules of `roads`; where none fits, either."""

    @property
    def roads(self) -> frozenset[Road]:
        """The roads that a run begins with."""
        if self is RoadChoice.API:
            return frozenset({Road.API})
        if self in (RoadChoice.RELAY, RoadChoice.RELAY_THEN_API):
            return frozenset({Road.RELAY})
        return frozenset(Road)


class Unclear(StrEnum):
    """What follows where the relay's reply to a message's end was lost."""

    HOLD = "hold"
    """A person decides."""
    AGAIN = "again"
    """It is sent again under the same Message-ID: Gmail and many others drop the second."""


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
    road: RoadChoice | None = None
    """None is the API."""
    unclear: Unclear | None = None
    """Never None where the relay may carry the run: the schema refuses that."""

    @property
    def roads(self) -> frozenset[Road]:
        """The roads that a run begins with."""
        return (self.road or RoadChoice.API).roads

    def to_json(self) -> dict[str, Any]:
        """The stored form: set fields only."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Policy:
        """Read back what `to_json` stored; fields of other versions are ignored."""
        known = {name: stored.get(name) for name in cls.__slots__}
        road, unclear = known.pop("road"), known.pop("unclear")
        return cls(**known, road=RoadChoice(road) if road else None, unclear=Unclear(unclear) if unclear else None)


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
    roads: frozenset[Road] = frozenset({Road.API})
    """Which roads may carry it now; they only grow."""
    expected: int | None = None
    """How many communications there will be, where its door knows."""


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


HOLD_REASONS = (
    "bad_recipient",
    "bad_data",
    "unreadable_document",
    "missing_document",
    "too_large",
    "bad_content",
    "review",
)
"""The last is no fault: people are asked first (`Need`)."""

ANSWER_LINK: Final = "https://answer.invalid/"
"""Stands in a body for the link by which its reader answers. The lane that writes the letter puts the link in its
place, so that no row of the database can answer for anybody (docs/decisions/0023)."""

Gate = Literal["approval", "compliance"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in a communication."""

    rule: str
    pack: str
    place: str
    """Where, for people: `document 'policy.pdf', page 2`, `mail text`, `data.amount`."""
    text: str
    """What stands there, or what is missing; at most 300 characters."""
    severity: Literal["error", "warning"] = "error"

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read back what `to_json` stored."""
        return cls(**{name: stored[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Need:
    """Whom a communication waits for: it leaves when every policy named so has let it."""

    policy: str
    gate: Gate
    findings: tuple[Finding, ...] = ()
    papers: tuple[Document, ...] = ()
    """What reviewers see instead of the documents that leave, where those are under a password."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Values of its record that the policy goes by, under the paths it names them by."""
    inherited: bool = False
    """Only if the policy held the communication whose place this one takes; until that is looked up it is held."""

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "policy": self.policy,
            "gate": self.gate,
            "facts": dict(self.facts),
            "findings": [finding.to_json() for finding in self.findings],
            "papers": [paper.to_json() for paper in self.papers],
            "inherited": self.inherited,
        }


@dataclass(frozen=True, slots=True)
class Inlined:
    """A picture that a body shows by `cid:`; its bytes lie in the document store."""

    cid: str
    name: str
    media_type: str
    sha256: str


@dataclass(frozen=True, slots=True)
class LetterHints:
    """What else a letter carries, where it is one in a conversation."""

    inline: tuple[Inlined, ...] = ()
    references: tuple[str, ...] = ()
    """Message-IDs of the letters before it, the oldest first, with their angle brackets."""
    thread_id: str | None = None
    """Gmail's thread in the mailbox `only_from`."""
    only_from: str | None = None
    """The one mailbox that may carry it, because the thread lies there."""
    amp: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "inline": [{name: getattr(each, name) for name in each.__slots__} for each in self.inline],
            "references": list(self.references),
            "thread_id": self.thread_id,
            "only_from": self.only_from,
            "amp": self.amp,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read back what `to_json` stored; fields of other versions are ignored."""
        return cls(
            inline=tuple(Inlined(**each) for each in stored.get("inline", ())),
            references=tuple(stored.get("references", ())),
            thread_id=stored.get("thread_id"),
            only_from=stored.get("only_from"),
            amp=stored.get("amp"),
        )


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
    needs: tuple[Need, ...] = ()
    """Who must let it leave first; without a `hold` of its own it is held for `review` until they have."""
    letter: LetterHints | None = None
    replaces: str | None = None
    """The key, in the same run, of the one whose place it takes after a review asked for changes."""
    only_road: Road | None = None
    """The one road that it may leave by; None: any of its run's."""
    sensitivity: Literal["normal", "confidential"] = "normal"

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
        if self.letter and (self.letter.inline or self.letter.amp):
            seen.append([[each.sha256 for each in self.letter.inline], self.letter.amp])
        return hashlib.sha256(orjson.dumps(seen)).hexdigest()


def new_token() -> str:
    """A delivery's unguessable token: 20 lower-case hex characters, safe in a header and in a plus-address."""
    return secrets.token_hex(10)
