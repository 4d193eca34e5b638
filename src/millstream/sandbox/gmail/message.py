"""One stored message: a header block, a body that copies may share, and what Gmail keeps beside them."""

import re
from email.utils import parseaddr

from millstream.sandbox.gmail.headers import Headers, decode, find
from millstream.sandbox.gmail.parts import Part, read_parts, snippet

_NAME = re.compile(rb"name\*?[0-9]*\*?=", re.IGNORECASE)


class Message:
    """A message in one mailbox.

    `head` and `body` are the bytes as Gmail shows them with format=raw. The body object is shared between the
    sender's copy and every recipient's. `internal_date` counts milliseconds since 1970. `received` is true for mail
    that was delivered to this mailbox, also by its own owner. `stored_at` is when it came in, in seconds by the
    sandbox's clock: an import may carry a date from long ago.
    """

    __slots__ = (
        "_filenames",
        "_position",
        "_snippet",
        "body",
        "head",
        "history_id",
        "id",
        "internal_date",
        "labels",
        "received",
        "stored_at",
        "thread_id",
    )

    def __init__(self, message_id: str, thread_id: str, head: bytes, body: bytes) -> None:
        self.id = message_id
        self.thread_id = thread_id
        self.head = head
        self.body = body
        self.labels: frozenset[str] = frozenset()
        self.internal_date = 0
        self.history_id = 0
        self.received = False
        self.stored_at = 0.0
        self._position = 0
        self._filenames: tuple[str, ...] | None = None
        self._snippet: str | None = None

    @property
    def raw(self) -> bytes:
        """The whole message."""
        return b"\r\n\r\n".join((self.head, self.body))

    @property
    def size(self) -> int:
        """Bytes of the whole message."""
        return len(self.head) + 4 + len(self.body)

    @property
    def position(self) -> int:
        """A number that orders messages of a mailbox by date, then by id; page tokens are made of it.

        It is fixed when it is first asked for, which is when the message is put into a mailbox.
        """
        if not self._position:
            self._position = (self.internal_date << 64) | int(self.id, 16)
        return self._position

    @property
    def snippet(self) -> str:
        """The first words of the text, as shown in a list."""
        if self._snippet is None:
            self._snippet = snippet(self.head, self.body)
        return self._snippet

    def header(self, name: str) -> str | None:
        """One header's first value, decoded for reading, or None."""
        value = find(self.head, name)
        return None if value is None else decode(value)

    def header_values(self, name: str) -> list[str]:
        """Every value of one header, decoded for reading."""
        return [decode(value) for value in Headers.parse(self.head).raw(name.lower())]

    def headers(self) -> list[tuple[str, str]]:
        """All headers in order: name as written, value decoded for reading."""
        block = Headers.parse(self.head)
        names = [line.partition(b":")[0].decode("ascii", "replace") for _, line in block.fields]
        values = [next(Headers([field]).raw(field[0])) for field in block.fields]
        return [(name, decode(value)) for name, value in zip(names, values, strict=True)]

    @property
    def filenames(self) -> tuple[str, ...]:
        """The names of the attachments; a message that holds no name is not parsed for them."""
        if self._filenames is None:
            has_parts = (find(self.head, "Content-Type") or "").lower().startswith(("multipart/", "message/"))
            named = _NAME.search(self.body if has_parts else self.head) is not None
            found = self.parts().attachments() if named else []
            self._filenames = tuple(part.filename for part in found if part.filename)
        return self._filenames

    @property
    def subject(self) -> str:
        """The subject for reading; empty if there is none."""
        return self.header("subject") or ""

    @property
    def sender(self) -> tuple[str, str]:
        """Display name and address of the first sender."""
        return parseaddr(self.header("from") or "")

    def parts(self) -> Part:
        """The MIME tree, parsed now; see `parts.Part`."""
        return read_parts(self.raw)
