"""The upload ways: media, multipart and resumable."""

import re
from dataclasses import dataclass, field
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.api import Method
from millstream.sandbox.gmail.errors import BadArgument, NotFound
from millstream.sandbox.gmail.tokens import Access
from millstream.sandbox.gmail.world import World

CHUNK_BYTES: Final = 262_144
"""Every chunk but the last is a multiple of this (upload guide)."""

SESSION_SECONDS: Final = 86_400.0
IMPORT_BYTES: Final = 157_286_400
"""messages.insert and messages.import take this much (discovery document)."""

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_BLANK = re.compile(rb"\r?\n\r?\n")
_CONTENT_TYPE = re.compile(rb"content-type:\s*([^\r\n]*)", re.IGNORECASE)
_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)")


def check_media_type(content_type: str) -> None:
    """Only messages may be uploaded; some clients send octets."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not kind.startswith("message/") and kind != "application/octet-stream":
        raise BadArgument(f"Media type '{kind}' is not supported. Valid media types: [message/*]")


def split_related(content_type: str, body: bytes) -> tuple[bytes, bytes]:
    """The JSON part and the media part of a multipart/related upload; raises `BadArgument`."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise BadArgument("Missing multipart boundary")
    marker = b"--" + (match[1] or match[2]).encode()
    # Google's Python client ends its lines with a bare line feed.
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(marker), body)
    parts = [_part(piece) for piece in pieces[1:-1]]
    if len(parts) != 2:  # noqa: PLR2004  metadata and media
        raise BadArgument("Multipart must have two parts: metadata and media")
    (_, document), (media_type, media) = parts
    check_media_type(media_type)
    return document, media


def _part(piece: bytes) -> tuple[str, bytes]:
    gap = _BLANK.search(piece)
    if gap is None:
        raise BadArgument("Malformed multipart body")
    media_type = _CONTENT_TYPE.search(piece[: gap.start()])
    return (media_type[1].decode("latin-1") if media_type else ""), piece[gap.end() :]


@dataclass(slots=True)
class Session:
    """One resumable upload. `answer` is the reply of the finished call; asking again gives it again."""

    id: str
    method: Method
    account: Account
    access: Access
    path: dict[str, str]
    query: dict[str, list[str]]
    document: bytes
    begun: float
    content: bytearray = field(default_factory=bytearray)
    answer: bytes | None = None

    def take(self, content_range: str | None, chunk: bytes) -> bool:
        """Add a chunk; says whether the upload is whole now. Raises `BadArgument` for a range that does not fit."""
        if content_range is None:
            self.content[:] = chunk
            return True
        match = _RANGE.fullmatch(content_range.strip())
        if match is None:
            raise BadArgument("Failed to parse Content-Range header.")
        total = None if match[3] == "*" else int(match[3])
        if match[1] is None:
            return total is not None and len(self.content) == total and not chunk
        first, last = int(match[1]), int(match[2])
        if last - first + 1 != len(chunk) or first > len(self.content):
            raise BadArgument("Invalid request. The chunk does not match its Content-Range header.")
        is_last = total is not None and last + 1 == total
        if not is_last and len(chunk) % CHUNK_BYTES:
            raise BadArgument("Invalid request. The number of bytes uploaded is required to be equal or greater than "
                              "262144, except for the final request, and to be a multiple of it.")  # fmt: skip
        self.content[first:] = chunk
        return is_last

    @property
    def held(self) -> str | None:
        """The Range header of a 308: what lies here already."""
        return f"bytes=0-{len(self.content) - 1}" if self.content else None


class Sessions:
    """The resumable uploads under way and just finished."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Session] = {}

    def begin(
        self,
        method: Method,
        account: Account,
        access: Access,
        *,
        path: dict[str, str],
        query: dict[str, list[str]],
        document: bytes,
    ) -> Session:
        """Open a session."""
        now = self._world.clock.seconds()
        self._sessions = {
            name: session for name, session in self._sessions.items() if session.begun > now - SESSION_SECONDS
        }
        session = Session(self._world.new_token(), method, account, access, path, query, document, now)
        self._sessions[session.id] = session
        return session

    def find(self, upload_id: str) -> Session:
        """An open or finished session; raises `NotFound` after a day."""
        session = self._sessions.get(upload_id)
        if session is None or session.begun <= self._world.clock.seconds() - SESSION_SECONDS:
            raise NotFound
        return session

    def drop(self, session: Session) -> None:
        """Cancel an upload."""
        self._sessions.pop(session.id, None)

    def clear(self) -> None:
        """Cancel all."""
        self._sessions.clear()
