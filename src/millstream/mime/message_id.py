"""Our own Message-ID, for the road on which one of ours stays (docs/decisions/0029)."""

import hashlib

_DIGITS = 26


def message_id(token: str, domain: str) -> str:
    """The Message-ID of a delivery, with its angle brackets: the same at every try.

    It is not the token: other people's mails name Message-IDs, and whoever has the token can answer for the recipient.
    """
    digest = hashlib.sha256(b"millstream message-id\0" + token.encode()).hexdigest()
    return f"<m.{digest[:_DIGITS]}@{domain}>"
