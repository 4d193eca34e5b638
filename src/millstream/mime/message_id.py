"""Our own Message-ID: made from the delivery, so that every try of it goes out under the same one."""

import hashlib
from typing import Final

from millstream.mime.address import wire_address

_PURPOSE: Final = b"millstream message-id\0"
_DIGITS: Final = 26
"""Of SHA-256 in hexadecimal: 104 bits, so that no two deliveries ever share one."""


def message_id(token: str, domain: str) -> str:
    """The Message-ID of a delivery, with its angle brackets: ``<m.27f2…@bank.example>``.

    It does not hold the token: other people's mails carry it on in References, and the token opens the reply address.

    Raises:
        BadAddress: when the domain is none.
    """
    digest = hashlib.sha256(_PURPOSE + token.encode()).hexdigest()[:_DIGITS]
    return f"<{wire_address(f'm.{digest}@{domain.lower()}')}>"
