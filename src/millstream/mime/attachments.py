"""What is attached to a message: listed by name, type and size; nothing is decoded, unpacked or trusted."""

from dataclasses import dataclass
from typing import Final

from millstream.mime.charset import one_line
from millstream.mime.content import file_name
from millstream.mime.reply import is_body
from millstream.mime.structure import Part

_MOST: Final = 200
_LONGEST_NAME: Final = 255
_SIGNATURES: Final = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that came with a message.

    Its name without any folder (it may be empty), its media type in lower case, and about how many bytes it has when
    decoded.
    """

    name: str
    media_type: str
    size: int


def list_attachments(parts: tuple[Part, ...]) -> tuple[Attached, ...]:
    """The first 200 files, pictures in the text too; signatures of the message are none."""
    found: list[Attached] = []
    for part in parts:
        kind = part.headers.content_type
        if is_body(part) or kind in _SIGNATURES or kind.startswith("multipart/"):
            continue
        name = file_name(part.headers.get("Content-Type"), part.headers.get("Content-Disposition"))
        name = name.replace("\\", "/").rpartition("/")[2]
        found.append(Attached(one_line(name, _LONGEST_NAME), kind, part.size))
        if len(found) >= _MOST:
            break
    return tuple(found)
