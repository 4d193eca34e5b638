"""A letter becomes the bytes that travel: CRLF, ASCII, lines of at most 998 characters.

The same letter always makes the same bytes, so a message can be built again after a crash.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from typing import Final

from millstream.mime.body import attachment_head, base64_lines, base64_size, inline_head, text_part
from millstream.mime.errors import BadHeader
from millstream.mime.header import guard, mailbox_field, named_field, text_field, token_field
from millstream.mime.letter import HEADER_DELIVERY, Attachment, Inline, Letter

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_UNSUBSCRIBE = re.compile(r"(?:https://|mailto:)[!-;=?-~]+")
_FOREIGN_TO_FEEDBACK_ID = re.compile(r"[^A-Za-z0-9._-]+")
# Fields that the letter writes itself, and fields that would add recipients behind its back.
_OWNED: Final = frozenset(
    {
        "auto-submitted",
        "bcc",
        "cc",
        "date",
        "feedback-id",
        "from",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "message-id",
        "mime-version",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-auto-response-suppress",
        HEADER_DELIVERY.lower(),
    }
)
_OWNED_PREFIXES: Final = ("content-", "resent-")
_Piece = bytes | Attachment | Inline
_Part = tuple[str, list[_Piece]]
"""The header fields of a part's content, and its body."""


def build(letter: Letter, *, smtputf8: bool = False) -> bytes:
    """The message as it is uploaded.

    The result is 7-bit clean unless ``smtputf8`` allows local parts of addresses beyond ASCII (RFC 6532).

    Raises:
        BadAddress, BadHeader, HeaderInjection, UnencodableText: all MimeError, each naming what is wrong.
    """
    wire: list[bytes] = []
    for piece in _pieces(letter, smtputf8=smtputf8):
        if isinstance(piece, bytes):
            wire.append(piece)
        else:
            wire += base64_lines(piece.content)
    return b"".join(wire)


def encoded_size(letter: Letter, *, smtputf8: bool = False) -> int:
    """The exact length of what build makes, without encoding the attachments.

    Raises:
        MimeError: as build does.
    """
    pieces = _pieces(letter, smtputf8=smtputf8)
    return sum(len(p) if isinstance(p, bytes) else base64_size(memoryview(p.content).nbytes) for p in pieces)


def _pieces(letter: Letter, *, smtputf8: bool) -> list[_Piece]:
    """The message in order, the content of each attachment and picture still to be encoded."""
    head = _head(letter, smtputf8=smtputf8).encode()
    seed = blake2b(letter.delivery_token.encode(), digest_size=12).hexdigest()
    fields, body = _alternative(_bodies(letter, f"=_{seed}_r"), f"=_{seed}_a")
    if letter.attachments:
        parts: list[_Part] = [(fields, body)]
        parts += [(attachment_head(each), [each]) for each in letter.attachments]
        # "=_" occurs neither in base64 nor in quoted-printable, and a body that holds "--=_" is never sent as 7bit.
        fields, body = _multipart("mixed", parts, f"=_{seed}_m")
    return [head, fields.encode(), b"\r\n", *body]


def _bodies(letter: Letter, boundary: str) -> list[_Part]:
    """The text, the AMP document and the HTML, those there are; a letter without any has an empty text."""
    if letter.html is None:
        if letter.inline or letter.amp is not None:
            raise BadHeader("Content-Type", "pictures in the text and AMP need an HTML body beside them.")
        return [_text("plain", letter.text)]
    html = _text("html", letter.html)
    if letter.inline:
        pictures: list[_Part] = [(inline_head(each), [each]) for each in letter.inline]
        html = _multipart("related", [html, *pictures], boundary, '; type="text/html"')
    plain = [_text("plain", letter.text)] if letter.text else []
    # AMP stands before HTML, because some programs show the last part whatever it is (amp.dev, read 2026-11).
    return [*plain, *([_text("x-amp-html", letter.amp)] if letter.amp is not None else []), html]


def _text(kind: str, text: str) -> _Part:
    fields, body = text_part(kind, text)
    return fields, [body]


def _alternative(bodies: list[_Part], boundary: str) -> _Part:
    """One body as it is, several as multipart/alternative, the plainest first (RFC 2046 §5.1.4)."""
    return bodies[0] if len(bodies) == 1 else _multipart("alternative", bodies, boundary)


def _multipart(kind: str, parts: Sequence[_Part], boundary: str, parameters: str = "") -> _Part:
    pieces: list[_Piece] = []
    for fields, body in parts:
        pieces += [f"\r\n--{boundary}\r\n{fields}\r\n".encode(), *body]
    pieces[0] = pieces[0][2:] if isinstance(pieces[0], bytes) else pieces[0]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return f'Content-Type: multipart/{kind}{parameters}; boundary="{boundary}"\r\n', pieces


def _head(letter: Letter, *, smtputf8: bool) -> str:
    """Every field but those of the content."""
    fields = [
        mailbox_field("From", letter.sender, smtputf8=smtputf8),
        mailbox_field("To", letter.recipient, smtputf8=smtputf8),
    ]
    if letter.reply_to is not None:
        fields.append(mailbox_field("Reply-To", letter.reply_to, smtputf8=smtputf8))
    fields += [text_field("Subject", letter.subject), f"Date: {_date(letter.date)}\r\n"]
    if letter.message_id is not None:
        fields.append(_matched("Message-ID", letter.message_id, _MESSAGE_ID, "is not of the form <left@right>."))
    fields += [
        "Auto-Submitted: auto-generated\r\n",  # RFC 3834 §5
        "X-Auto-Response-Suppress: All\r\n",  # Exchange's word for the same
        _matched(HEADER_DELIVERY, letter.delivery_token, _TOKEN, "is not 1 to 128 letters, digits or ._~-"),
    ]
    if letter.stream is not None:
        fields.append(_feedback_id(letter.stream, letter.sender.domain))
    if letter.locale is not None:
        language = letter.locale.replace("_", "-")
        fields.append(_matched("Content-Language", language, _LANGUAGE, "is not a language tag like en-GB."))
    if letter.unsubscribe is not None:
        fields.append(_unsubscribe(letter.unsubscribe))
    fields += [_extra(name, value) for name, value in letter.headers]
    fields.append("MIME-Version: 1.0\r\n")
    return "".join(fields)


def _matched(name: str, value: str, form: re.Pattern[str], complaint: str) -> str:
    guard(name, value)
    if not form.fullmatch(value):
        raise BadHeader(name, f"{value[:80]!r} {complaint}")
    return token_field(name, value)


def _date(date: datetime) -> str:
    offset = date.utcoffset()
    if offset is None:
        raise BadHeader("Date", f"{date.isoformat()} has no time zone.")
    if offset % timedelta(minutes=1):  # a header has no room for seconds in the zone
        date = date.astimezone(UTC)
    return format_datetime(date)


def _feedback_id(stream: str, domain: str) -> str:
    """Campaign, customer, mail type and sender, by which Google's Postmaster Tools group complaints.

    The colon separates, so other characters than those of an identifier become a hyphen.
    """
    campaign = _FOREIGN_TO_FEEDBACK_ID.sub("-", guard("Feedback-ID", stream))
    customer = _FOREIGN_TO_FEEDBACK_ID.sub("-", guard("Feedback-ID", domain))
    return token_field("Feedback-ID", f"{campaign}:{customer}:transactional:millstream")


def _unsubscribe(url: str) -> str:
    guard("List-Unsubscribe", url)
    if not _UNSUBSCRIBE.fullmatch(url):
        raise BadHeader("List-Unsubscribe", f"{url[:80]!r} is not an https or mailto URL in ASCII.")
    field = token_field("List-Unsubscribe", f"<{url}>")
    # RFC 8058 §3.1: one click needs an https URI.
    return f"{field}List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if url.startswith("https://") else field


def _extra(name: str, value: str) -> str:
    lower = name.lower()
    if lower in _OWNED or lower.startswith(_OWNED_PREFIXES):
        raise BadHeader(name[:80], "it belongs to the letter itself; use the letter's own field.")
    return named_field(name, value)
