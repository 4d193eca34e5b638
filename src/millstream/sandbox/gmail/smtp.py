"""The SMTP door: submission and relay in one, as smtp-relay.gmail.com keeps it (reference 1.6, 2.1)."""

import asyncio
import re
from typing import Final
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session

from millstream.log import get_logger
from millstream.sandbox.gmail.api import Room
from millstream.sandbox.gmail.errors import MailSending
from millstream.sandbox.gmail.faults import Kind, Point
from millstream.sandbox.gmail.headers import Headers, split
from millstream.sandbox.gmail.strikes import strike

_log = get_logger(__name__)

MOST_RECIPIENTS: Final = 100
"""Recipients of one transaction (https://support.google.com/a/answer/2956491)."""

SMTP_METHOD: Final = "smtp.send"
"""What fault rules call a message by SMTP."""

_DAILY_LIMIT: Final = (
    "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to "
    "https://support.google.com/a/answer/166852 - gsmtp"
)
_RATE_LIMIT: Final = "421 4.7.28 Our system has detected an unusual rate of mail. Please try again later. - gsmtp"
_REPLIES: Final = {
    Kind.MAIL_SENDING: _DAILY_LIMIT,
    Kind.RATE_LIMITED: _RATE_LIMIT,
    Kind.USER_RATE_LIMITED: _RATE_LIMIT,
    Kind.RATE_LIMITED_429: _RATE_LIMIT,
    Kind.EXHAUSTED: "450 4.2.1 Peak SMTP relay limit exceeded for customer. - gsmtp",
}
_WELL_FORMED = re.compile(
    r"<[^<>@\s]+@(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*|\[[^\]\s]+\])>"
)


class Door:
    """What aiosmtpd calls for each command; it relays for everybody on this machine, without a password."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def handle_RCPT(  # noqa: N802  aiosmtpd's hook
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient; whether it exists is found out later, and told by a bounce."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 Your message has too many recipients. - gsmtp"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK - gsmtp"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd calls it so
        """Take a message and pass it on before the reply."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        sender = envelope.mail_from or ""
        spoiled = self._spoiled(server, Point.BEFORE, sender)
        if spoiled:
            return spoiled
        try:
            self._room.transit.relay(sender, tuple(map(str.lower, envelope.rcpt_tos)), self._stamped(raw))
        except MailSending:
            self._room.quota.of(sender).refusals["550 5.4.5"] += 1
            return _DAILY_LIMIT
        _log.debug("smtp_message", sender=sender, recipients=len(envelope.rcpt_tos))
        spoiled = self._spoiled(server, Point.AFTER, sender)
        return (
            spoiled
            or f"250 2.0.0 OK {self._room.world.clock.milliseconds() // 1000} {self._room.world.new_id()} - gsmtp"
        )

    def _spoiled(self, server: SMTP, point: Point, sender: str) -> str | None:
        """The reply of a fault rule for the method smtp.send; a reset cuts the connection, whatever is replied."""
        rule = strike(self._room, point, SMTP_METHOD, sender)
        if rule is None:
            return None
        if rule.kind is Kind.RESET and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return _REPLIES.get(rule.kind, "451 4.3.0 Mail server temporarily rejected message. - gsmtp")

    def _stamped(self, raw: bytes) -> bytes:
        """Put Gmail's Received line on top and mend the Message-ID if it cannot stay."""
        head, body = split(raw)
        headers = Headers.parse(head)
        given = headers.get("message-id")
        world = self._room.world
        if given is None or not _WELL_FORMED.fullmatch(given):
            headers.replace("Message-ID", f"<{world.new_id()}.{world.new_id()}@mx.google.com>")
            if given is not None:
                headers.replace("X-Google-Original-Message-ID", given)
        date = world.clock.stamp()
        received = (
            f"Received: from [127.0.0.1] by smtp-relay.gmail.com with ESMTP id {world.new_id()};\r\n        {date}"
        )
        return b"\r\n".join((received.encode(), headers.block(), b"", body))


class OpenDoor:
    """The listening door and the conversations behind it."""

    def __init__(self, server: asyncio.Server, conversations: WeakSet[SMTP]) -> None:
        self._server = server
        self._conversations = conversations
        self.port = int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening and hang up."""
        self._server.close()
        for conversation in self._conversations:
            if conversation.transport is not None:
                conversation.transport.close()


async def open_door(room: Room, port: int) -> OpenDoor:
    """Listen on 127.0.0.1; raises `OSError` where the port is taken."""
    loop = asyncio.get_running_loop()
    conversations: WeakSet[SMTP] = WeakSet()

    def protocol() -> SMTP:
        conversation = SMTP(
            Door(room),
            data_size_limit=room.quota.limits.max_upload_bytes,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="smtp-relay.gmail.com ESMTP Millstream sandbox - gsmtp",
            loop=loop,
        )
        conversations.add(conversation)
        return conversation

    return OpenDoor(await loop.create_server(protocol, "127.0.0.1", port), conversations)
