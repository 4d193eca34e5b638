"""The SMTP door: a submission server that an Exstream or StreamServe mail connector is pointed at.

250 is answered when the message and its row survive a power failure, and never before. A client that missed a 250
sends again, which is the same row: the key is made of the message and its recipient.
"""

from __future__ import annotations

import asyncio
import collections
import hmac
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any

from aiosmtpd.smtp import AuthResult, LoginPassword
from aiosmtpd.smtp import Envelope as Transaction

from millstream.intake.consignment import Accepted, Offer, Receiving
from millstream.intake.errors import IntakeError, SpoolFull
from millstream.intake.smtp.conversation import Conversation
from millstream.intake.smtp.mapping import Envelope, offers
from millstream.intake.smtp.messages import unreadable
from millstream.intake.smtp.options import SmtpOptions
from millstream.log import get_logger
from millstream.mime import BadAddress, read_headers
from millstream.mime.address import wire_address
from millstream.storage.errors import StoreFull

log = get_logger(__name__)

_LOGIN_TRIES = 3
_NULL_SENDER = "<>"
_BACKLOG = 128
_LONGEST_WHY = 200


class SmtpDoor:
    """The listening door and the conversations behind it."""

    def __init__(self, options: SmtpOptions, receiving: Receiving) -> None:
        self.options = options
        self.held = 0
        self._receiving = receiving
        self._conversations: set[Conversation] = set()
        self._from: collections.Counter[str] = collections.Counter()
        self._under_way: set[asyncio.Task[list[Accepted]]] = set()
        self._server: asyncio.Server | None = None
        self._closing = False

    @property
    def port(self) -> int:
        """Where it listens, once it is open."""
        assert self._server is not None  # noqa: S101  asked after `open` alone
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        hooks = Hooks(self)
        self._server = await loop.create_server(
            lambda: Conversation(self, hooks, hooks.login), self.options.host, self.options.port, backlog=_BACKLOG
        )

    async def close(self) -> None:
        """Listen no more; messages that came whole are made durable and answered, then everybody is hung up on."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for conversation in tuple(self._conversations):
            if not conversation.busy:
                conversation.hang_up("421 4.3.2 The server stops; try again soon")
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self.options.farewell_seconds)
        for _ in range(2):  # their replies are written in the loop's next turns
            await asyncio.sleep(0)
        for conversation in tuple(self._conversations):
            conversation.hang_up()

    def admit(self, conversation: Conversation) -> str | None:
        """The reply that turns a new connection away, or None."""
        address = conversation.address
        if self._closing:
            return "421 4.3.2 The server stops; try again soon"
        if len(self._conversations) >= self.options.connections:
            log.warning("smtp.full", client=address, connections=len(self._conversations))
            return "421 4.7.0 Too many connections; try again soon"
        if self._from[address] >= self.options.connections_per_address:
            log.warning("smtp.full_for_address", client=address, connections=self._from[address])
            return "421 4.7.0 Too many connections from your address; try again soon"
        self._conversations.add(conversation)
        self._from[address] += 1
        return None

    def gone(self, conversation: Conversation) -> None:
        """A conversation ended; said again it changes nothing."""
        if conversation not in self._conversations:
            return
        self._conversations.discard(conversation)
        address = conversation.address
        self._from[address] -= 1
        if self._from[address] <= 0:
            del self._from[address]

    async def take(self, conversation: Conversation, content: bytes) -> str:
        """Take a message in; answers the reply, 250 once it is durable."""
        transaction = conversation.envelope
        assert isinstance(transaction, Transaction)  # noqa: S101  aiosmtpd's
        headers = read_headers(content)
        problem = unreadable(content, headers)
        if problem is not None:
            log.warning("smtp.unreadable", client=conversation.address, why=problem)
            return f"550 5.6.0 The message cannot be read: {problem[:_LONGEST_WHY]}"
        sender = transaction.mail_from or ""
        envelope = Envelope(
            sender="" if sender == _NULL_SENDER else sender,
            recipients=tuple(transaction.rcpt_tos),
            client=_client(conversation),
        )
        offered = offers(envelope, headers, content, self.options.map, datetime.now(UTC))
        task = asyncio.create_task(self._receive(offered, content))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            # A client that leaves now stops nothing: what came whole is kept, and is the same when it comes again.
            accepted = await asyncio.shield(task)
        except IntakeError as error:
            log.warning("smtp.not_taken", client=conversation.address, why=str(error))
            if isinstance(error, SpoolFull) or isinstance(error.__cause__, StoreFull):
                return "452 4.3.1 There is no room for the message now; try again later"
            return "451 4.3.0 The message cannot be kept now; try again later"
        first = accepted[0]
        if any(each.conflict for each in accepted):
            return f"554 5.6.0 Another message came in under this key: consignment {first.id}"
        again = "" if any(each.new for each in accepted) else ", which came in before"
        return f"250 2.0.0 OK: consignment {first.id}{again}"

    async def _receive(self, offered: Sequence[Offer], content: bytes) -> list[Accepted]:
        first = await self._receiving.receive(offered[0], content)
        # The content is durable: rows for its other recipients are all that is missing.
        others = await asyncio.gather(*(self._receiving.receive(each) for each in offered[1:]), return_exceptions=True)
        for each in others:
            if isinstance(each, BaseException):
                raise each
        return [first, *(each for each in others if isinstance(each, Accepted))]


class Hooks:
    """What aiosmtpd calls at each command."""

    def __init__(self, door: SmtpDoor) -> None:
        self._options = door.options
        self._door = door

    async def handle_EHLO(  # noqa: N802  aiosmtpd's hook, and its arguments
        self, _server: Conversation, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Say what we can: also that commands may come without waiting, and nothing of logins where nobody has one."""
        session.host_name = hostname
        kept = [each for each in responses if self._options.users or not each.startswith("250-AUTH")]
        return [kept[0], "250-PIPELINING", *kept[1:]]

    async def handle_MAIL(  # noqa: N802  aiosmtpd's hook, and its arguments
        self, server: Conversation, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Begin a message, where this client may."""
        refusal = self._stranger(server, session) or self._unwelcome(server, address)
        if refusal is not None:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  aiosmtpd's hook, and its arguments
        self, _server: Conversation, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Add a recipient that mail can go to."""
        if len(envelope.rcpt_tos) >= self._options.recipients:
            return f"452 4.5.3 A message may have {self._options.recipients} recipients; send the others another one"
        try:
            wire_address(address)
        except BadAddress as error:
            code = "5.6.7" if not address.isascii() and not _surrogates(address) else "5.1.3"
            why = error.why.encode("ascii", "replace").decode()[:_LONGEST_WHY]
            return f"553 {code} No mail can go to this address: {why}"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Reply to what nobody thought of."""
        log.error("smtp.failed", why=f"{type(error).__name__}: {error}")
        return "451 4.3.0 Something went wrong here; try again later"

    def login(
        self, server: Conversation, _session: Any, _envelope: Any, _mechanism: str, told: LoginPassword
    ) -> AuthResult:
        """Check a name and a password, in a time that tells nothing about either."""
        name, right = "", False
        with suppress(UnicodeDecodeError):
            name = told.login.decode()
        for user, password in self._options.users.items():
            right |= hmac.compare_digest(user.encode(), told.login) & hmac.compare_digest(
                password.encode(), told.password
            )
        if right:
            return AuthResult(success=True, auth_data=name)
        server.failed_logins += 1
        log.warning("smtp.login_refused", client=server.address, user=name[:64])
        if server.failed_logins >= _LOGIN_TRIES:
            return AuthResult(success=False, handled=False, message="421 4.7.0 Too many failed logins; goodbye")
        return AuthResult(success=False, handled=False, message="535 5.7.8 Name or password is wrong")

    def _stranger(self, server: Conversation, session: Any) -> str | None:
        """The reply to a client that may not hand in mail, or None."""
        if session.authenticated or self._from_within(server.address):
            return None
        log.info("smtp.stranger", client=server.address)
        if self._options.users and self._options.tls is not None:
            return "530 5.7.0 Authentication required"
        return "550 5.7.1 Mail is not taken from your network"

    def _unwelcome(self, server: Conversation, address: str) -> str | None:
        """The reply to a message that may not begin, or None."""
        allowed = self._options
        if server.messages >= allowed.messages_per_connection:
            return "421 4.7.0 Enough messages for one connection; connect again"
        if address != _NULL_SENDER and _surrogates(address):
            return "553 5.1.7 The sender's address is no text"
        if allowed.senders and not any(fnmatchcase(address.lower(), each.lower()) for each in allowed.senders):
            log.info("smtp.sender_refused", client=server.address, sender=address)
            return "550 5.7.1 This sender is not allowed here"
        if self._door.held > allowed.most_bytes_held:
            return "452 4.3.1 Too much mail is coming in at this moment; try again soon"
        return None

    def _from_within(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found  # an IPv4 client at an IPv6 socket
        return any(mapped in network for network in self._options.networks if network.version == mapped.version)


def _client(conversation: Conversation) -> str:
    user = conversation.session.auth_data if conversation.session else None
    return str(user) if user else conversation.address


def _surrogates(text: str) -> bool:
    """Whether it holds bytes that are no UTF-8, as aiosmtpd passes them on."""
    return any("\ud800" <= character <= "\udfff" for character in text)
