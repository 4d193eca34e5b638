"""One mailbox: its messages, threads, drafts, labels and addresses."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from millstream.sandbox.gmail.conditions import Condition
from millstream.sandbox.gmail.headers import base_subject, find
from millstream.sandbox.gmail.history import Change, History, Record
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.shelf import Shelf

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


@dataclass(frozen=True, slots=True)
class Watch:
    """A users.watch: where notifications go, until when (seconds since 1970), and for which labels."""

    topic: str
    expires: float
    labels: frozenset[str] = frozenset()
    excludes: bool = False

    def wants(self, labels: frozenset[str]) -> bool:
        """Whether a change of a message with these labels is told."""
        return not self.labels or self.labels.isdisjoint(labels) is self.excludes


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
        "_all",
        "_by_rfc822",
        "_labelled",
        "_threads",
        "address",
        "answered",
        "condition",
        "drafts",
        "history",
        "is_local",
        "name",
        "send_as",
        "store",
        "user_labels",
        "watch",
        "watcher",
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
        self.watcher: Callable[[Account, Record], None] | None = None
        self.watch: Watch | None = None
        self.answered: dict[str, float] = {}
        self._all = Shelf()
        self._labelled: defaultdict[str, Shelf] = defaultdict(Shelf)
        self._threads: dict[str, Shelf] = {}
        self._by_rfc822: dict[str, Message] = {}

    # Reading

    def messages(self) -> list[Message]:
        """Every message, newest first: a list as long as the mailbox. Pages take `shelf`."""
        return list(self._all.newest_first())

    def shelf(self, labels: Iterable[str] = ()) -> Shelf:
        """The messages in order; with labels, those with the rarest of them."""
        shelves = [self._labelled.get(label) or Shelf() for label in labels]
        return min(shelves, key=len) if shelves else self._all

    def message(self, message_id: str) -> Message | None:
        """One message by its Gmail id."""
        return self.store.get(message_id)

    def newest(self) -> Message | None:
        """The message with the latest date."""
        return self._all[-1] if len(self._all) else None

    def threads(self, *, below: int = 0) -> Iterator[list[Message]]:
        """Threads as their messages oldest first; the thread with the newest message comes first.

        With `below`, only threads whose newest message stands under that position.
        """
        for message in self._all.newest_first(below=below):
            thread = self._threads[message.thread_id]
            if thread[-1] is message:
                yield thread.oldest_first()

    def thread(self, thread_id: str) -> list[Message]:
        """The messages of one thread, oldest first; empty if there is none."""
        thread = self._threads.get(thread_id)
        return thread.oldest_first() if thread else []

    @property
    def unread(self) -> int:
        """How many messages lie unread in the inbox."""
        return self.shelf(("INBOX",)).unread

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
        for shelf in self._shelves(message, labels):
            shelf.add(message)
        rfc822 = find(message.head, "Message-ID")
        if rfc822:
            self._by_rfc822[rfc822.strip()] = message
        self._note(Change.MESSAGE_ADDED, message, moment)

    def remove(self, message: Message, moment: float) -> None:
        """Delete a message for good."""
        del self.store[message.id]
        for shelf in self._shelves(message, message.labels):
            shelf.remove(message)
        if not self._threads[message.thread_id]:
            del self._threads[message.thread_id]
        rfc822 = (find(message.head, "Message-ID") or "").strip()
        if self._by_rfc822.get(rfc822) is message:
            del self._by_rfc822[rfc822]
        self._note(Change.MESSAGE_DELETED, message, moment)

    def relabel(self, message: Message, *, add: Iterable[str] = (), remove: Iterable[str] = (), moment: float) -> None:
        """Put labels on and take labels off; only real changes are written to the history."""
        gone = tuple(sorted(message.labels & frozenset(remove)))
        come = tuple(sorted(frozenset(add) - message.labels))
        if gone:
            self._label(message, message.labels - frozenset(gone))
            self._note(Change.LABEL_REMOVED, message, moment, gone)
        if come:
            self._label(message, message.labels | frozenset(come))
            self._note(Change.LABEL_ADDED, message, moment, come)

    def _label(self, message: Message, labels: frozenset[str]) -> None:
        """Move a message from the shelves of its old labels to those of its new ones."""
        read = ("UNREAD" in message.labels) - ("UNREAD" in labels)
        for label in message.labels - labels:
            self._labelled[label].remove(message)
        for shelf in (
            self._all,
            self._threads[message.thread_id],
            *(self._labelled[label] for label in message.labels & labels),
        ):
            shelf.unread -= read
        new = labels - message.labels
        message.labels = labels
        for label in new:
            self._labelled[label].add(message)

    def _shelves(self, message: Message, labels: frozenset[str]) -> Iterator[Shelf]:
        yield self._all
        if message.thread_id not in self._threads:
            self._threads[message.thread_id] = Shelf()
        yield self._threads[message.thread_id]
        for label in labels:
            yield self._labelled[label]

    def _note(self, change: Change, message: Message, moment: float, changed: tuple[str, ...] = ()) -> None:
        record = self.history.note(change, message, moment, changed)
        if self.watcher is not None:
            self.watcher(self, record)
