"""Envelope senders that say which delivery a bounce is about, and that nobody else can make.

VERP: variable envelope return path. The relay sends bounces to the envelope sender, and no thread tells what they are
about. A Reply-To token alone would not do: who answers a letter knows it, and could report a bounce of his own making
(docs/decisions/0032).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from typing import Final

from millstream.mime import plus_address

_PURPOSE: Final = b"millstream verp\0"
_MAC_BYTES: Final = 10
_MAC_LETTERS: Final = 12
"""60 bits in base32: a guess is wrong but once in 10^18, and the local part stays within 64 letters."""
_TAG: Final = re.compile(r"b-([0-9a-f]{20})-([a-z2-7]{12})")


class Verp:
    """Makes envelope senders, and knows its own again.

    `secret` signs them. `base` is the address that they are made of; without one each sender's own is.
    """

    def __init__(self, secret: bytes, base: str | None = None) -> None:
        self._secret = secret
        self._base = base

    def sender_of(self, address: str, token: str) -> str:
        """The envelope sender of a delivery: ``bounces+b-<token>-<mac>@bank.example``.

        Raises:
            BadAddress: when the address is none, or too long for it.
        """
        return plus_address(self._base or address, f"b-{token}-{self._mac(token)}")

    def token_of(self, tag: str) -> str | None:
        """The delivery's token in what follows the + of an address, None for a tag that is not of our making.

        Servers on the way may have changed its case.
        """
        found = _TAG.fullmatch(tag.lower().rpartition("+")[2])
        if found is None or not hmac.compare_digest(found[2], self._mac(found[1])):
            return None
        return found[1]

    def _mac(self, token: str) -> str:
        digest = hmac.digest(self._secret, _PURPOSE + token.encode(), "sha256")
        return base64.b32encode(digest[:_MAC_BYTES]).decode().lower()[:_MAC_LETTERS]


def first_token(verp: Verp | None, tags: Iterable[str]) -> str | None:
    """The delivery's token in the first of these tags that is of our making."""
    if verp is None:
        return None
    return next((token for tag in tags if (token := verp.token_of(tag))), None)
