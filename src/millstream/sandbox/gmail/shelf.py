"""Messages in order: what a mailbox, a label or a thread holds, newest last, with cheap pages and counts."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from millstream.sandbox.gmail.message import Message


def _position(message: Message) -> int:
    return message.position


class Shelf:
    """Messages by position. Adding the newest costs nothing; one page costs as much as it is long.

    `unread` counts the messages with the label UNREAD; whoever changes labels calls `note_unread`.
    """

    __slots__ = ("_messages", "unread")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self.unread = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: int) -> Message:
        return self._messages[index]

    def add(self, message: Message) -> None:
        """Put a message where its date says."""
        if not self._messages or self._messages[-1].position < message.position:
            self._messages.append(message)
        else:
            insort(self._messages, message, key=_position)
        self.unread += "UNREAD" in message.labels

    def remove(self, message: Message) -> None:
        """Take a message out; its labels are still those it was counted with."""
        index = bisect_left(self._messages, message.position, key=_position)
        del self._messages[index]
        self.unread -= "UNREAD" in message.labels

    def oldest_first(self) -> list[Message]:
        """All of them, as a list of the caller's own."""
        return list(self._messages)

    def newest_first(self, *, below: int = 0) -> Iterator[Message]:
        """From the newest down; with `below` from the first one under that position.

        Safe while messages come in at the end; who removes some meanwhile takes a list first.
        """
        start = bisect_left(self._messages, below, key=_position) if below else len(self._messages)
        for index in range(start - 1, -1, -1):
            yield self._messages[index]

    def cut(self, start: int, stop: int) -> list[Message]:
        """The messages from `start` to `stop`, counted from the newest."""
        end = len(self._messages) - start
        return self._messages[max(end - (stop - start), 0) : end][::-1] if end > 0 else []
