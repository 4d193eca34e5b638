"""The MIME tree of a stored message, parsed only when somebody reads it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import policy
from email.header import Header
from email.message import Message as MimeMessage
from email.parser import BytesParser
from html import escape, unescape
from typing import Final

from millstream.sandbox.gmail.headers import decode

_PARSER: Final = BytesParser(policy=policy.compat32)
TAGS: Final = re.compile(
    r"<(style|script|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL
)
"""What is no text in HTML. What is never closed ends with the text, so that a hostile letter costs no more than its
length."""

SNIPPET_SOURCE_BYTES: Final = 24_576
"""How much of a message is looked at for its snippet: the text stands first, attachments last."""

SNIPPET_CHARACTERS: Final = 200
"""Gmail's snippets end near here."""


@dataclass(frozen=True, slots=True)
class Part:
    """One node of the tree.

    `part_id` is Gmail's ("" for the root, then "0", "1", "0.1" …), `content` the decoded bytes (text recoded to
    UTF-8, empty for multiparts), `filename` empty for parts without a name.
    """

    part_id: str
    media_type: str
    filename: str
    headers: tuple[tuple[str, str], ...]
    content: bytes
    content_id: str = ""
    parts: tuple["Part", ...] = field(default=())

    def walk(self) -> Iterator["Part"]:
        """This part and everything below it, depth first."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def is_attachment(self) -> bool:
        """Whether Gmail would hand out the content by attachment id instead of inline."""
        if self.media_type.startswith("multipart/"):
            return False
        return bool(self.filename) or not self.media_type.startswith("text/")

    def text(self, media_type: str) -> str | None:
        """The first inline text of a type (`text/html`, `text/plain`), or None."""
        for part in self.walk():
            if part.media_type == media_type and not part.is_attachment:
                return part.content.decode("utf-8", "replace")
        return None

    def attachments(self) -> list["Part"]:
        """Every attachment in the tree."""
        return [part for part in self.walk() if part.is_attachment]


def read_parts(raw: bytes) -> Part:
    """Parse a whole message; never raises, one that cannot be read becomes one text part."""
    try:
        return _part(_PARSER.parsebytes(raw), "")
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError):
        # The standard library's parser goes one call deeper for each part inside a part, and its decoders raise
        # these for headers that are none (seen with parts nested 500 deep and with charsets of nonsense).
        return Part("", "text/plain", "", (), raw.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").encode())


def _part(node: MimeMessage, part_id: str) -> Part:
    children: tuple[Part, ...] = ()
    payload = node.get_payload()
    # The parser makes a message of each block of a report; Gmail shows the report as one attachment.
    if isinstance(payload, list) and node.get_content_type() != "message/delivery-status":
        below = f"{part_id}." if part_id else ""
        children = tuple(
            _part(child, f"{below}{index}") for index, child in enumerate(payload) if isinstance(child, MimeMessage)
        )
    return Part(
        part_id=part_id,
        media_type=node.get_content_type(),
        filename=decode(node.get_filename() or ""),
        headers=tuple((name, _value(value)) for name, value in node.items()),
        content=_content(node),
        content_id=str(node.get("content-id", "")).strip().strip("<>"),
        parts=children,
    )


def _value(value: str | Header) -> str:
    return decode(str(value).replace("\r\n", "").replace("\n", "").strip())


def _content(node: MimeMessage) -> bytes:
    if node.get_content_maintype() == "multipart":
        return b""
    if node.is_multipart():
        # message/rfc822 and message/delivery-status: the parser turned the content into children.
        return b"".join(child.as_bytes() for child in node.get_payload() if isinstance(child, MimeMessage))
    content = node.get_payload(decode=True)
    if not isinstance(content, bytes):
        return b""
    if node.get_content_maintype() != "text" or node.get_filename():
        return content
    charset = node.get_content_charset() or "utf-8"
    try:
        return content.decode(charset, "replace").encode()
    except LookupError:
        return content.decode("utf-8", "replace").encode()


def snippet(head: bytes, body: bytes) -> str:
    """The first words of a message's text, HTML-escaped as the API gives them."""
    part = read_parts(head + b"\r\n\r\n" + body[:SNIPPET_SOURCE_BYTES])
    text = part.text("text/plain")
    if text is None:
        text = unescape(TAGS.sub(" ", part.text("text/html") or ""))
    return escape(" ".join(text.split())[:SNIPPET_CHARACTERS].rstrip())
