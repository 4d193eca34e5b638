"""Where Google is and how long we wait for it."""

from dataclasses import dataclass, field
from pathlib import Path

_SCOPE = "https://www.googleapis.com/auth/gmail."

DRAFT_SCOPES = (_SCOPE + "compose", _SCOPE + "readonly")
"""Draft mode: create, send and delete drafts; read SENT, history and the send-as list (both restricted)."""

DIRECT_SCOPES = (_SCOPE + "send", _SCOPE + "metadata")
"""Direct mode: send, and read headers and history; no body is ever readable with these."""


PUBSUB_SCOPES = ("https://www.googleapis.com/auth/pubsub",)
"""Hints by pull; asked for by an account of our own, never for a mailbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GmailOptions:
    """Addresses, waiting times (seconds) and connections of the Gmail room.

    A call may take as long as Google's own clients give it (60 s): giving up on a send earlier only
    makes more outcomes unknown.
    """

    endpoint: str = "https://gmail.googleapis.com"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105  an address, not a secret
    auth_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    iam_endpoint: str = "https://iamcredentials.googleapis.com"
    metadata_endpoint: str = "http://metadata.google.internal"
    pubsub_endpoint: str = "https://pubsub.googleapis.com"
    certs_url: str = "https://www.googleapis.com/oauth2/v1/certs"
    """Google's certificates for the tokens of pushes: a JSON object of key id to X.509 in PEM."""
    connect_seconds: float = 10.0
    call_seconds: float = 60.0
    upload_seconds: float = 180.0
    idle_seconds: float = 55.0
    """How long a kept connection may idle. Google's front ends keep theirs for four minutes; the side
    that closes first should be ours, as a send over a connection just closed has an unknown outcome."""
    connections: int = 100
    user_agent: str = "millstream"
    proxy: str | None = field(default=None, repr=False)
    certificates: Path | None = None
    """A PEM file of further authorities to trust, for networks that inspect TLS."""
