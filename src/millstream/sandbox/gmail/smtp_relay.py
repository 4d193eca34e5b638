"""What all conversations with the relay share: who may use it, what it takes, and where its messages go."""

import asyncio
import re
import ssl
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Final

from millstream.log import get_logger
from millstream.sandbox.gmail import smtp_words as words
from millstream.sandbox.gmail.api import Room
from millstream.sandbox.gmail.config import RelayAccess, SandboxConfig
from millstream.sandbox.gmail.dkim import Signer
from millstream.sandbox.gmail.errors import Refusal
from millstream.sandbox.gmail.headers import Headers, mailbox, split
from millstream.sandbox.gmail.smtp_limits import RelayLimits
from millstream.sandbox.gmail.smtp_tls import Authority
from millstream.sandbox.gmail.tokens import FULL, Tokens

_log = get_logger(__name__)

_WELL_FORMED: Final = re.compile(
    r"<[^<>@\s]+@(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*|\[[^\]\s]+\])>"
)
_MAIL_SCOPES: Final = frozenset({FULL})
"""XOAUTH2 wants the full scope (reference 1.6)."""


class Relay:
    """The relay's state; `access` may be exchanged while it runs."""

    def __init__(self, room: Room, tokens: Tokens, config: SandboxConfig) -> None:
        self.room = room
        self.access: RelayAccess = config.relay
        self.limits = RelayLimits(room.world, room.quota)
        self.authority = Authority()
        self.signer = Signer()
        self.stopping = asyncio.Event()
        self.shut: Callable[[float], None] = lambda _seconds: None
        self._tokens = tokens
        self._greylist: dict[tuple[str, str, str], float] = {}
        self._context = cache(self.authority.context)

    @property
    def most_bytes(self) -> int:
        """Bytes a message may have, as EHLO says."""
        return self.room.quota.limits.max_upload_bytes

    def context(self) -> ssl.SSLContext:
        """TLS with the certificate that is shown at present."""
        return self._context(self.access.certificate)

    def clear(self) -> None:
        """Forget what was sent and who was told to come again."""
        self.limits.clear()
        self._greylist.clear()

    # Who may

    def login(self, user: str, password: str) -> bool:
        """Whether a password is right."""
        return self.access.users.get(user.lower()) == password != ""

    def token(self, user: str, token: str) -> bool:
        """Whether an access token lets this user in."""
        try:
            access = self._tokens.check(None, token)
        except Refusal:
            return False
        return access.subject.lower() == user.lower() and access.allows(_MAIL_SCOPES)

    def admits(self, sender: str, client: str, *, is_known: bool) -> str | None:
        """The refusal of a sender, or None. Bounces (an empty sender) come from everybody who is known."""
        access, world = self.access, self.room.world
        if access.open:
            return None
        if not is_known and not _is_within(client, access.networks):
            return words.denied(client)
        if not sender or access.senders == "any":
            return None
        account = world.account(sender)
        registered = account is not None and account.is_local
        takes = registered if access.senders == "registered" else world.is_local(sender)
        return None if takes else words.SENDER_REFUSED

    def greets(self, name: str) -> bool:
        """Whether a client's name in EHLO is one that Google answers."""
        name = name.lower()
        return not self.access.strict_helo or any(
            name == domain or name.endswith(f".{domain}") for domain in self.room.world.domains
        )

    def is_greylisted(self, triple: tuple[str, str, str], delay: float) -> bool:
        """Whether this client, sender and recipient must still come again later."""
        now = self.room.world.clock.seconds()
        return now - self._greylist.setdefault(triple, now) < delay

    # What becomes of a message

    def take(self, sender: str, recipients: tuple[str, ...], raw: bytes, manner: str) -> str:
        """Pass a message on, and give the reply: 250 when it lies where it belongs."""
        tally, world = self.limits.tally, self.room.world
        refusal = self.limits.charge(sender, recipients)
        if refusal is not None:
            if refusal == words.USER_DAY:
                self.room.quota.of(self.home(sender)).refusals["550 5.4.5"] += 1
            return refusal
        self.room.transit.relay(sender, recipients, self._stamped(raw, manner))
        tally.accepted += 1
        tally.transactions[manner] += 1
        _log.debug("smtp_message", sender=sender, recipients=len(recipients))
        return f"250 2.0.0 OK {world.clock.milliseconds() // 1000} {world.new_id()} - gsmtp"

    def home(self, sender: str) -> str:
        """The mailbox an envelope sender belongs to, without a plus tag; fault rules go by it."""
        account = self.room.world.account(sender) if sender else None
        return sender.lower() if account is None else account.address

    def _stamped(self, raw: bytes, manner: str) -> bytes:
        """Put Gmail's Received line on top and mend the Message-ID if it cannot stay (reference 2.1)."""
        head, body = split(raw)
        headers = Headers.parse(head)
        given = headers.get("message-id")
        world = self.room.world
        if given is None or not _WELL_FORMED.fullmatch(given):
            headers.replace("Message-ID", f"<{world.new_id()}.{world.new_id()}@mx.google.com>")
            if given is not None:
                headers.replace("X-Google-Original-Message-ID", given)
        date = world.clock.stamp()
        received = (
            f"Received: from [127.0.0.1] by smtp-relay.gmail.com with {manner} id {world.new_id()};\r\n        {date}"
        )
        return b"\r\n".join((received.encode(), *self._signature(headers, body), headers.block(), b"", body))

    def _signature(self, headers: Headers, body: bytes) -> tuple[bytes, ...]:
        """Google signs for the domain in From where its key is in the DNS; here it is for all domains of ours."""
        domain = mailbox(headers.get("from") or "")[1].rpartition("@")[2].lower()
        if domain not in self.room.world.domains:
            return ()
        moment = int(self.room.world.clock.seconds())
        return (self.signer.signature(headers, body, domain=domain, moment=moment),)


def _is_within(client: str, networks: tuple[str, ...]) -> bool:
    address = ip_address(client)
    return any(address in ip_network(network) for network in networks)
