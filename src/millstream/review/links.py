"""Links that identify a reviewer, and the word that makes a form good once.

A link names the delivery that carried it and is signed: whoever reads the database, or the communication as it is
stored, can not make one. It carries 132 bits of an HMAC-SHA256 and is the same after every restart.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256

from millstream.review.errors import LinkRefused

_SHOWN = 22
"""Characters of a signature, six bits each."""
_LINK = re.compile(r"(?P<token>[0-9a-f]{20})\.(?P<signature>[A-Za-z0-9_-]{22})")
FEWEST = 32
"""Bytes of a secret."""


def answer_link(secret: bytes, base_url: str) -> Callable[[str], str]:
    """What makes a delivery's token the address of its answer page: `https://…/review/<token>.<signature>`."""
    links = Links(secret)
    return lambda token: f"{base_url.rstrip('/')}/review/{links.of(token)}"


class Links:
    """Makes and reads what is signed with the site's secret."""

    def __init__(self, secret: bytes) -> None:
        """`secret` has at least 32 bytes; every worker and web server has the same."""
        if len(secret) < FEWEST:
            raise ValueError(f"a secret for links has at least {FEWEST} bytes; this one has {len(secret)}")
        self._secret = secret

    def of(self, token: str) -> str:
        """The last part of a link's path."""
        return f"{token}.{self.sign('answer', token)}"

    def token(self, link: str) -> str:
        """The delivery's token that a link names.

        Raises:
            LinkRefused: it is not one of ours.
        """
        found = _LINK.fullmatch(link)
        if found is None:
            raise LinkRefused("unknown")
        if not hmac.compare_digest(found["signature"], self.sign("answer", found["token"])):
            raise LinkRefused("forged")
        return found["token"]

    def sign(self, purpose: str, *parts: str) -> str:
        """A word over parts, of which no two lists give the same."""
        said = b"".join(len(part).to_bytes(4, "big") + part for part in (each.encode() for each in (purpose, *parts)))
        return urlsafe_b64encode(hmac.digest(self._secret, said, sha256)).decode()[:_SHOWN]

    def holds(self, word: str, purpose: str, *parts: str) -> bool:
        """Whether a word that somebody sent is the one over these parts."""
        return hmac.compare_digest(word.encode(), self.sign(purpose, *parts).encode())
