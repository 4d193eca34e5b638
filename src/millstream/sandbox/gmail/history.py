"""A mailbox's history: what happened to its messages, under growing ids."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from operator import attrgetter
from typing import Final

from millstream.sandbox.gmail.message import Message


class Change(StrEnum):
    """The kinds of record, named as the `historyTypes` parameter names them."""

    MESSAGE_ADDED = "messageAdded"
    MESSAGE_DELETED = "messageDeleted"
    LABEL_ADDED = "labelAdded"
    LABEL_REMOVED = "labelRemoved"


@dataclass(frozen=True, slots=True)
class Record:
    """One change: the message as it was then, and for label changes the labels that came or went."""

    id: int
    moment: float
    change: Change
    message_id: str
    thread_id: str
    labels: frozenset[str]
    changed: tuple[str, ...] = ()


KEEP_RECORDS: Final = 50_000
"""Records kept per mailbox; older start ids answer 404, as Google's do after a week or so."""

_record_id = attrgetter("id")
_record_moment = attrgetter("moment")


class History:
    """The records of one mailbox, oldest first.

    Ids grow with gaps, as Google documents ("not contiguous with random gaps in between"). `start` is the first id
    this mailbox ever had: something below it, or below what was forgotten, is an expired id.
    """

    __slots__ = ("_records", "forgotten", "last", "start")

    def __init__(self, start: int) -> None:
        self._records: list[Record] = []
        self.last = self.start = start
        self.forgotten = start - 1

    def note(self, change: Change, message: Message, moment: float, changed: tuple[str, ...] = ()) -> Record:
        """Write one record and stamp the message with its id."""
        self.last += 1 + (self.last * 7919 & 0x1F)
        message.history_id = self.last
        record = Record(self.last, moment, change, message.id, message.thread_id, message.labels, changed)
        self._records.append(record)
        if len(self._records) > KEEP_RECORDS * 5 // 4:
            self._forget(len(self._records) - KEEP_RECORDS)
        return record

    def forget_before(self, moment: float) -> None:
        """Drop the records older than a moment, so that their ids expire."""
        count = 0
        while count < len(self._records) and self._records[count].moment < moment:
            count += 1
        self._forget(count)

    def _forget(self, count: int) -> None:
        if count:
            self.forgotten = self._records[count - 1].id
            del self._records[:count]

    def after(self, start: int) -> Iterator[Record]:
        """The records with an id above `start`, oldest first.

        Raises `LookupError` if records above `start` were forgotten, or if `start` was never given out.
        """
        if start < self.forgotten or start > self.last:
            raise LookupError(start)
        return islice(self._records, bisect_right(self._records, start, key=_record_id), None)

    def last_before(self, moment: float) -> int:
        """The id that was the last one at a moment: what an index that lags until then calls the present."""
        if not self._records or self._records[-1].moment <= moment:
            return self.last
        index = bisect_right(self._records, moment, key=_record_moment)
        return self._records[index - 1].id if index else max(self.forgotten, self.start)
