"""DKIM signatures (RFC 6376) on what the relay sends for the organisation's domains: rsa-sha256, relaxed/relaxed."""

import base64
import hashlib
import re
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from millstream.sandbox.gmail.headers import Headers

SELECTOR: Final = "google"
_SIGNED: Final = (
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "auto-submitted",
    "feedback-id",
)
"""Those that are there are signed, the last of a name first. One-click unsubscription needs its two (RFC 8058)."""
_BLANKS: Final = re.compile(rb"[ \t]+")
_BLANK_ENDS: Final = re.compile(rb"[ \t]+(?=\r\n)")
_B_TAG_WIDTH: Final = 72


class Signer:
    """One key for every domain of the organisation; it is made when first needed."""

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def record(self) -> str:
        """What stands at `google._domainkey.<domain>` in the DNS."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"

    def signature(self, headers: Headers, body: bytes, *, domain: str, moment: int) -> bytes:
        """The header field for a message, without a line end; `moment` is in seconds since 1970."""
        names, signed = _chosen(headers)
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        field = (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={SELECTOR}; t={moment};\r\n"
            f"        h={':'.join(names)};\r\n"
            f"        bh={digest};\r\n"
            "        b="
        ).encode()
        value = base64.b64encode(
            self._key.sign(b"".join(signed) + relaxed_field(field), padding.PKCS1v15(), hashes.SHA256())
        )
        pieces = (value[start : start + _B_TAG_WIDTH] for start in range(0, len(value), _B_TAG_WIDTH))
        return field + b"\r\n         ".join(pieces)


def _chosen(headers: Headers) -> tuple[list[str], list[bytes]]:
    """The names for `h=` and their fields as they are hashed, in the same order."""
    names: list[str] = []
    fields: list[bytes] = []
    for wanted in _SIGNED:
        for name, line in reversed(headers.fields):
            if name == wanted:
                names.append(name)
                fields.append(relaxed_field(line) + b"\r\n")
    return names, fields


def relaxed_field(line: bytes) -> bytes:
    """A header field in the relaxed form of section 3.4.2, without a line end."""
    name, _, value = line.partition(b":")
    return name.strip().lower() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" \t")


def relaxed_body(body: bytes) -> bytes:
    """A body in the relaxed form of section 3.4.4: one blank for many, none at line ends, no empty lines at the end."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    body = _BLANKS.sub(b" ", _BLANK_ENDS.sub(b"", body))
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n" if end else b""
