"""How the relay is reached and how much is asked of it; made from the settings at the edge. Times are in seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are, where our address alone does not say it."""

    user: str
    password: str | None = field(default=None, repr=False)
    """PLAIN or LOGIN with it (an app password)."""
    token: Callable[[], Awaitable[str]] | None = field(default=None, repr=False)
    """XOAUTH2 with a fresh access token; exactly one of both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """One relay. The times are those of RFC 5321 section 4.5.3.2 where nothing else is known."""

    host: str
    port: int = 587
    implicit_tls: bool = False
    """TLS from the first byte (465) in place of STARTTLS; without TLS nothing is ever sent."""
    helo: str
    """The name said in EHLO: a domain of the organisation, else Google answers 421 4.7.0."""
    login: Login | None = None
    """None: the relay knows us by our address."""
    certificates: Path | None = None
    """Authorities beyond the system's, as PEM."""
    connections: int = 40
    messages_per_connection: int = 100
    idle_seconds: float = 20.0
    """A kept connection that was idle longer is closed by us, before the relay does it at a bad moment."""
    connect_seconds: float = 10.0
    command_seconds: float = 120.0
    reply_seconds: float = 300.0
    """For the reply to the message's end."""
    bytes_in_flight: int = 64 * 1024 * 1024
    """Of the messages that are being handed over at one time."""
