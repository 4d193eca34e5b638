"""Messages read only as far as a question needs: headers first, parts as places in the message, nothing copied.

Whatever arrives, the work grows with its length and no faster: a header is read up to a limit, delimiters are looked
for once however deep the parts nest, and there are only so many parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, overload

from millstream.mime.charset import decode_words
from millstream.mime.content import decoded_size, media_type, parameters, transferred

LONGEST_HEAD: Final = 256 * 1024
"""Bytes of a header that are read. Gmail's own limit for all fields together is 500 KB; real ones have 4 to 40."""
MOST_PARTS: Final = 1000
_MOST_FIELDS: Final = 2000
_NESTING: Final = 16  # Outlook's related-in-alternative-in-mixed, signed, in a list's wrapping: six
_MOST_STRANGERS: Final = 100_000  # lines that begin with -- and end nothing; a patch as text has thousands
_NEAR: Final = 64 * 1024
_WINDOW: Final = 4096


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order in which they stand; names match in any case. Values are unfolded, not decoded."""

    fields: tuple[tuple[str, str], ...] = ()
    _index: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[str, tuple[str, ...]] = {}
        for name, value in self.fields:
            key = name.lower()
            index[key] = (*index.get(key, ()), value) if key in index else (value,)
        object.__setattr__(self, "_index", index)

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name: the topmost, which the last server wrote."""
        found = self._index.get(name.lower())
        return found[0] if found else default

    def get_all(self, name: str) -> tuple[str, ...]:
        """All fields of that name, topmost first."""
        return self._index.get(name.lower(), ())

    def text(self, name: str) -> str:
        """The first field of that name for people: encoded words decoded, empty when there is none."""
        return decode_words(self.get(name, ""))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._index

    @property
    def content_type(self) -> str:
        """The media type in lower case, ``text/plain`` when there is none or it makes no sense."""
        return media_type(self.get("Content-Type"))

    @property
    def transfer_encoding(self) -> str:
        """``base64`` and the like in lower case; ``7bit`` when there is none."""
        return self.get("Content-Transfer-Encoding", "7bit")[:100].partition(";")[0].strip().lower()

    def parameter(self, name: str) -> str | None:
        """A parameter of Content-Type, for example ``boundary``."""
        return parameters(self.get("Content-Type")).get(name)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message: its headers, and where its body stands, still in its transfer encoding."""

    headers: Headers
    message: bytes = field(repr=False)
    start: int
    end: int

    @property
    def body(self) -> bytes:
        """The body as it came; a copy."""
        return self.message[self.start : self.end]

    @property
    def size(self) -> int:
        """About how many bytes the body has when decoded; nothing is decoded to tell."""
        return decoded_size(self.message, self.start, self.end, self.headers.transfer_encoding)

    @property
    def is_whole(self) -> bool:
        """Whether it is the message itself and not a part of one."""
        return _head_end(self.message, 0, len(self.message))[1] == self.start

    def content(self, most: int | None = None) -> bytes:
        """The body out of its transfer encoding; of a long one what the first ``most`` bytes hold."""
        end = self.end if most is None else min(self.end, self.start + most)
        return transferred(self.message[self.start : end], self.headers.transfer_encoding)


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaves in order, and what was odd about the structure (empty when nothing was)."""

    parts: tuple[Part, ...]
    problem: str = ""


def read_headers(message: bytes) -> Headers:
    """The header fields, read up to the blank line; the body may be missing or of any size. Never fails."""
    head_end, _ = _head_end(message, 0, len(message))
    return _fields(message, 0, head_end)


def parts(message: bytes) -> Iterator[Part]:
    """The leaves in order; attached messages are leaves. A broken structure gives what can be read, never an error."""
    yield from leaves(message).parts


def leaves(message: bytes, headers: Headers | None = None) -> Leaves:
    """The same, with what was odd; headers that were read already are not read again."""
    return _Scan(message).run(headers)


@dataclass(slots=True)
class _Open:
    """A multipart whose end has not come: its delimiter, and its first byte as long as no part has begun in it."""

    delimiter: bytes
    headers: Headers
    start: int
    empty: bool = True


class _Scan:
    """One walk over a message."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._found: list[Part] = []
        self._open: list[_Open] = []
        self._leaf: tuple[Headers, int] | None = None
        self._problem = ""
        self._strangers = 0

    def run(self, headers: Headers | None) -> Leaves:
        end = len(self._message)
        position = self._begin(0, headers)
        while self._open and len(self._found) < MOST_PARTS:
            line = _next_delimiter(self._message, position)
            if line < 0:
                break
            level, closing, position = self._match(line)
            if level < 0:
                self._strangers += 1
                if self._strangers > _MOST_STRANGERS:
                    self._problem = "more lines look like the edge of a part than a message can have"
                    break
                continue
            self._end_leaf(line, level)
            if closing:
                self._close(level, line)
            else:
                self._open[level].empty = False
                position = self._begin(position, None)
        if len(self._found) >= MOST_PARTS:
            self._problem = f"more than {MOST_PARTS} parts; the others were not read"
            self._leaf = None
        self._end_leaf(end, -1)
        self._close(0, end)
        return Leaves(tuple(self._found), self._problem)

    def _begin(self, start: int, headers: Headers | None) -> int:
        """Begin an entity there; answers where to look on."""
        message = self._message
        furthest = min(len(message), start + LONGEST_HEAD) if self._open else len(message)
        head_end, body = _head_end(message, start, furthest)
        edge = self._edge_in_head(start, head_end)
        if edge >= 0:  # the next part begins before this one's blank line
            head_end = body = edge
        found = _fields(message, start, head_end) if headers is None else headers
        boundary = found.parameter("boundary") if found.content_type.startswith("multipart/") else None
        if boundary and len(self._open) < _NESTING:
            delimiter = b"--" + boundary.encode("utf-8", "replace").rstrip()
            self._open.append(_Open(delimiter, found, body))
        else:
            if len(self._open) >= _NESTING and found.content_type.startswith("multipart/"):
                self._problem = f"parts nest more than {_NESTING} deep"
            self._leaf = found, body
        return edge if edge >= 0 else body

    def _edge_in_head(self, start: int, head_end: int) -> int:
        position = start
        while self._open and self._strangers < _MOST_STRANGERS:
            line = _next_delimiter(self._message, position, head_end)
            if line < 0:
                break
            level, _, position = self._match(line)
            if level >= 0:
                return line
            self._strangers += 1
        return -1

    def _match(self, line: int) -> tuple[int, bool, int]:
        """Which open multipart a line belongs to (-1: none), whether it closes it, and where the next line starts."""
        end = self._message.find(b"\n", line)
        end = len(self._message) if end < 0 else end
        # RFC 2046 §5.1.1: at most 70 characters; twice as much is a broken writer, more is content.
        text = self._message[line : min(end, line + _NEAR)].rstrip() if end - line <= _WINDOW else b""
        for level in range(len(self._open) - 1, -1, -1):
            delimiter = self._open[level].delimiter
            if text.startswith(delimiter):
                rest = text[len(delimiter) :]
                if not rest or rest == b"--":
                    return level, rest == b"--", min(end + 1, len(self._message))
        return -1, False, end

    def _end_leaf(self, line: int, level: int) -> None:
        """The leaf that ends before a line, and the multiparts inside that level which nobody closed."""
        if self._leaf is not None:
            headers, start = self._leaf
            self._found.append(Part(headers, self._message, start, max(start, self._before(line, level))))
            self._leaf = None
        self._close(level + 1, line)

    def _before(self, line: int, level: int) -> int:
        """The line end before a delimiter belongs to the delimiter."""
        if level < 0 or self._message[line - 1 : line] != b"\n":
            return line
        return line - 2 if self._message[line - 2 : line - 1] == b"\r" else line - 1

    def _close(self, level: int, line: int) -> None:
        """Close the multiparts from that level on; one without any part is given as it is."""
        while len(self._open) > level >= 0:
            inner = self._open.pop()
            if inner.empty and len(self._found) < MOST_PARTS:
                self._problem = self._problem or "the boundary of a multipart never comes"
                self._found.append(Part(inner.headers, self._message, inner.start, max(inner.start, line)))


def _next_delimiter(message: bytes, position: int, end: int | None = None) -> int:
    """Where the next line that begins with -- starts, or -1.

    Base64 has no dash, and a search for one byte passes it with 25 GB/s; for three bytes it is 1.6 GB/s.
    """
    end = len(message) if end is None else end
    if message.startswith(b"--", position, end) and (position == 0 or message[position - 1 : position] == b"\n"):
        return position
    while True:
        dash = message.find(b"-", position, end)
        if dash < 0:
            return -1
        near = max(dash - 1, 0)
        found = message.find(b"\n--", near, min(end, near + _WINDOW))
        if found >= 0:
            return found + 1
        position = max(dash + 1, near + _WINDOW - 2)
        if position >= end:
            return -1


def _head_end(message: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the fields end and where the body starts."""
    if message.startswith(b"\n", start, end):
        return start, start + 1
    if message.startswith(b"\r\n", start, end):
        return start, start + 2
    for limit in (min(end, start + _NEAR), end):  # far searches only when the near one failed
        long = message.find(b"\n\r\n", start, limit)
        short = message.find(b"\n\n", start, limit if long < 0 else long + 1)
        if short >= 0:
            return short + 1, short + 2
        if long >= 0:
            return long + 1, long + 3
    return end, end


def _fields(message: bytes, start: int, end: int) -> Headers:
    data = message[start : min(end, start + LONGEST_HEAD)]
    if len(data) < end - start:
        data = data[: data.rfind(b"\n") + 1]
    try:
        head = data.decode()
    except UnicodeDecodeError:
        head = data.decode("cp1252", "replace")  # raw bytes in a header are of no declared character set
    unfolded = head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", "\t")
    fields: list[tuple[str, str]] = []
    for line in unfolded.split("\n"):
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if colon and name and " " not in name and "\t" not in name:
            fields.append((name, value.strip(" \t\r")))
            if len(fields) >= _MOST_FIELDS:
                break
    return Headers(tuple(fields))
