"""How the SMTP door behaves; made from the settings at the edge."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from millstream.communication.model import Mode, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeRule:
    """What a message counts as by its envelope; `sender` and `recipient` are patterns, in any case."""

    sender: str = "*"
    recipient: str = "*"
    stream: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailMap:
    """Which header or address tells what, and what holds where none does."""

    run: str = "smtp/{stream}/{date}"
    """`{stream}`, `{type}`, `{sender}` and `{date}` are filled in."""
    stream_header: str = "X-Exstream-Campaign"
    customer_header: str = "X-Exstream-Customer"
    type_header: str = "X-Exstream-Document"
    plus_as_customer: bool = False
    envelopes: tuple[EnvelopeRule, ...] = ()
    """The first that fits tells stream and type where no header does."""
    type: str = "document"
    stream: str | None = None
    """Without one, the type."""
    locale: str = "en-GB"
    pool: str = "default"
    mode: Mode = Mode.DRAFT
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpOptions:
    """Where it listens, whom it lets in, and how much of each it bears."""

    host: str = "127.0.0.1"
    port: int = 2525
    tls: ssl.SSLContext | None = None
    tls_required: bool = False
    users: Mapping[str, str] = field(default_factory=dict)
    """Name to password. A login is taken under TLS alone."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """From where mail is taken without a login."""
    senders: tuple[str, ...] = ()
    """Patterns of envelope senders; empty lets any in."""
    most_bytes: int = 36_700_160
    recipients: int = 100
    connections: int = 50
    connections_per_address: int = 20
    messages_per_connection: int = 1_000
    idle_seconds: float = 60.0
    errors_per_connection: int = 10
    replies_without_message: int = 200
    """A connection that only ever talks is closed after so many replies."""
    slowest_bytes_per_second: float = 1024.0
    slow_for_seconds: float = 30.0
    """A message may come more slowly than that for so long."""
    most_bytes_held: int = 256 * 1024 * 1024
    """Of all messages that are on their way in at a time: they are in memory until they are durable."""
    farewell_seconds: float = 10.0
    """How long messages that came whole get when the door closes."""
    map: MailMap = field(default_factory=MailMap)
