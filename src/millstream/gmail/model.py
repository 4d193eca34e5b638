"""What Gmail answers, as values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

MessageFormat = Literal["minimal", "metadata", "raw"]
WatchBehavior = Literal["include", "exclude"]

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft. Its id stays the same when it changes; the id of its message does not."""

    id: str
    message_id: str = ""
    thread_id: str = ""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """Where a message is, without its content; labels only where Gmail tells them (history)."""

    id: str
    thread_id: str = ""
    label_ids: tuple[str, ...] = ()


class Headers:
    """A message's headers in their order; names are found whatever their case."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The topmost header of that name."""
        return next(iter(self.get_all(name)), default)

    def get_all(self, name: str) -> tuple[str, ...]:
        """All headers of that name, topmost first."""
        wanted = name.lower()
        return tuple(value for key, value in self._pairs if key.lower() == wanted)

    def __contains__(self, name: str) -> bool:
        return bool(self.get_all(name))

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as far as the chosen format tells it.

    ``history_id`` is an unsigned 64-bit number, ``internal_date`` is aware (UTC), ``size`` is Gmail's
    estimate in bytes, ``raw`` the RFC 5322 message (format ``raw`` only).
    """

    id: str
    thread_id: str = ""
    label_ids: tuple[str, ...] = ()
    history_id: int | None = None
    headers: Headers = Headers()  # noqa: RUF009  immutable
    internal_date: datetime | None = None
    size: int | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """Some of a list. A page may be empty and still have a next one."""

    items: tuple[_Item, ...]
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages added since a history id, oldest first; ``history_id`` is the mailbox's present one."""

    history_id: int
    added: tuple[MessageRef, ...] = ()
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """A mailbox that tells a topic about its news until ``expires_at`` (aware, UTC; a week at most)."""

    history_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose mailbox it is and where its history stands."""

    address: str
    history_id: int
    messages_total: int = 0
    threads_total: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A label; ``kind`` is ``system`` or ``user``."""

    id: str
    name: str
    kind: str = "user"


@dataclass(frozen=True, slots=True)
class SendAs:
    """An address the mailbox may write as; any other From is rewritten to the primary one by Gmail."""

    address: str
    name: str = ""
    is_primary: bool = False
    is_default: bool = False
    verified: bool = False
