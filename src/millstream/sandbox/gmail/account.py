"""One mailbox: its messages, threads, drafts, labels and addresses."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from millstream.sandbox.gmail.headers import base_subject, find
from millstream.sandbox.gmail.history import Change, History
from millstream.sandbox.gmail.message import Message

SYSTEM_LABELS: Final = (
    "CHAT",
    "SENT",
    "INBOX",
    "IMPORTANT",
    "TRASH",
    "DRAFT",
    "SPAM",
    "CATEGORY_FORUMS",
    "CATEGORY_UPDATES",
    "CATEGORY_PERSONAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_SOCIAL",
    "STARRED",
    "UNREAD",
)
"""The labels every mailbox has, in the order the API lists them."""

DRAFT_LABELS: Final = frozenset({"DRAFT"})


@dataclass(slots=True)
class Condition:
    """What is special about a mailbox; the control API changes it while the sandbox runs.

    `daily_limit` replaces the preset's messages a day; `sending_parked_until` (seconds since 1970 by the sandbox's
    clock) makes every send answer 429 "(Mail sending)" until then; `token_dead` kills its access tokens and makes the
    token endpoint say invalid_grant; `suspended` answers 400 "Mail service not enabled"; `delegation_denied` refuses
    service accounts; `rejects` makes it bounce whatever is sent to it, with this status (`5.2.2` is a full inbox).
    """

    daily_limit: int | None = None
    sending_parked_until: float | None = None
    token_dead: bool = False
    suspended: bool = False
    delegation_denied: bool = False
    rejects: str | None = None


@dataclass(slots=True)
class Draft:
    """A draft: an id that stays, and the message it holds now."""

    id: str
    message: Message


class Account:
    """A mailbox of the sandbox, local (one of the organisation's) or outside (anybody else's).

    Every change of messages goes through `add`, `remove` and `relabel`, so that the history tells it all.
    """

    __slots__ = (
        "_by_rfc822",
        "_threads",
        "address",
        "condition",
        "drafts",
        "history",
        "is_local",
        "name",
        "send_as",
        "store",
        "user_labels",
    )

    def __init__(self, address: str, *, is_local: bool, history_start: int) -> None:
        self.address = address
        self.is_local = is_local
        self.name = ""
        self.store: dict[str, Message] = {}
        self.drafts: dict[str, Draft] = {}
        self.history = History(history_start)
        self.user_labels: dict[str, dict[str, Any]] = {}
        self.send_as: dict[str, dict[str, Any]] = {}
        self.condition = Condition()
        self._threads: dict[str, list[Message]] = {}
        self._by_rfc822: dict[str, Message] = {}

    # Reading

    def messages(self) -> list[Message]:
        """Every message, newest first."""
        return sorted(self.store.values(), key=_position, reverse=True)

    def message(self, message_id: str) -> Message | None:
        """One message by its Gmail id."""
        return self.store.get(message_id)

    def threads(self) -> list[list[Message]]:
        """Every thread as its messages oldest first; the thread with the newest message comes first."""
        return sorted(
            (sorted(thread, key=_position) for thread in self._threads.values()),
            key=lambda thread: _position(thread[-1]),
            reverse=True,
        )

    def thread(self, thread_id: str) -> list[Message]:
        """The messages of one thread, oldest first; empty if there is none."""
        return sorted(self._threads.get(thread_id, ()), key=_position)

    @property
    def unread(self) -> int:
        """How many messages lie unread in the inbox."""
        return sum(1 for message in self.store.values() if {"INBOX", "UNREAD"} <= message.labels)

    def thread_count(self) -> int:
        """How many threads the mailbox has."""
        return len(self._threads)

    def draft_of(self, message_id: str) -> Draft | None:
        """The draft that holds a message, or None."""
        return next((draft for draft in self.drafts.values() if draft.message.id == message_id), None)

    def knows_label(self, label_id: str) -> bool:
        """Whether a label id exists here."""
        return label_id in SYSTEM_LABELS or label_id in self.user_labels

    def may_send_as(self, address: str) -> bool:
        """Whether a From address may stand: the primary one, or a verified send-as."""
        if address == self.address:
            return True
        entry = self.send_as.get(address)
        return entry is not None and entry["verificationStatus"] == "accepted"

    def find_thread(self, references: Iterable[str], subject: str | None) -> str | None:
        """The thread a message belongs to: one it refers to that has the same subject (reply marks aside)."""
        for reference in references:
            known = self._by_rfc822.get(reference)
            if known and base_subject(find(known.head, "Subject")) == base_subject(subject):
                return known.thread_id
        return None

    def by_rfc822(self, message_id: str) -> Message | None:
        """The message with this Message-ID header (angle brackets included)."""
        return self._by_rfc822.get(message_id)

    # Changing

    def add(self, message: Message, labels: frozenset[str], moment: float) -> None:
        """Store a message."""
        message.labels = labels
        self.store[message.id] = message
        self._threads.setdefault(message.thread_id, []).append(message)
        rfc822 = find(message.head, "Message-ID")
        if rfc822:
            self._by_rfc822[rfc822.strip()] = message
        self.history.note(Change.MESSAGE_ADDED, message, moment)

    def remove(self, message: Message, moment: float) -> None:
        """Delete a message for good."""
        del self.store[message.id]
        thread = self._threads[message.thread_id]
        thread.remove(message)
        if not thread:
            del self._threads[message.thread_id]
        rfc822 = (find(message.head, "Message-ID") or "").strip()
        if self._by_rfc822.get(rfc822) is message:
            del self._by_rfc822[rfc822]
        self.history.note(Change.MESSAGE_DELETED, message, moment)

    def relabel(self, message: Message, *, add: Iterable[str] = (), remove: Iterable[str] = (), moment: float) -> None:
        """Put labels on and take labels off; only real changes are written to the history."""
        gone = tuple(sorted(message.labels & frozenset(remove)))
        come = tuple(sorted(frozenset(add) - message.labels))
        if gone:
            message.labels -= frozenset(gone)
            self.history.note(Change.LABEL_REMOVED, message, moment, gone)
        if come:
            message.labels |= frozenset(come)
            self.history.note(Change.LABEL_ADDED, message, moment, come)


def _position(message: Message) -> int:
    return message.position
