"""Letters for the contract suite, written with the standard library alone, as any client might."""

import base64
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from uuid import uuid4

from googleapiclient.http import MediaInMemoryUpload

MESSAGE_TYPE = "message/rfc822"
KIBIBYTE = 1024
CHUNK_BYTES = 256 * KIBIBYTE  # Google takes resumable chunks in multiples of this


def token() -> str:
    """One word that stands nowhere else, for subjects and bodies that a test looks for."""
    return f"contract{uuid4().hex}"


def letter(sender: str, recipient: str, subject: str, *, headers: Mapping[str, str] | None = None) -> bytes:
    """A text letter as wire bytes with CRLF; `headers` are added to it."""
    return compose(sender, recipient, subject, headers=headers).as_bytes()


def compose(sender: str, recipient: str, subject: str, *, headers: Mapping[str, str] | None = None) -> EmailMessage:
    """The letter still open, so that a test can add parts."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    for name, value in (headers or {}).items():
        message[name] = value
    message.set_content(f"Your statement {subject} is attached.\n")
    return message


def with_document(sender: str, recipient: str, subject: str, content: bytes) -> bytes:
    """A letter with a text, an HTML alternative and one PDF of `content`."""
    message = compose(sender, recipient, subject)
    message.add_alternative(f"<p>Your statement <b>{subject}</b> is attached.</p>", subtype="html")
    message.add_attachment(content, maintype="application", subtype="pdf", filename="Kontoauszug März.pdf")
    return message.as_bytes()


def raw_field(letter_bytes: bytes) -> dict[str, str]:
    """The JSON form of a message: base64url with padding."""
    return {"raw": base64.urlsafe_b64encode(letter_bytes).decode()}


def upload(letter_bytes: bytes, *, resumable: bool = False) -> MediaInMemoryUpload:
    """The media form of a message."""
    return MediaInMemoryUpload(letter_bytes, mimetype=MESSAGE_TYPE, chunksize=CHUNK_BYTES, resumable=resumable)


def header(message: Mapping[str, object], name: str) -> str:
    """The value of the first header called `name` in a message of format full or metadata; KeyError without it."""
    return headers(message, name)[0]


def headers(message: Mapping[str, object], name: str) -> list[str]:
    """All values of the header `name`, topmost first."""
    found = [entry["value"] for entry in message["payload"]["headers"] if entry["name"].lower() == name.lower()]
    if not found:
        raise KeyError(f"the message {message['id']} has no header {name}")
    return found
