"""One client's conversation with the relay, from the greeting to its end."""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Never

from millstream.sandbox.gmail import smtp_words as words
from millstream.sandbox.gmail.faults import FaultRule, Kind, Point
from millstream.sandbox.gmail.smtp_relay import Relay
from millstream.sandbox.gmail.smtp_wire import Ended, LineTooLong, Wire
from millstream.sandbox.gmail.strikes import pause, strike

_PATH: Final = re.compile(r"(FROM|TO):[ ]*<([^<>]*)>[ ]*(.*)", re.IGNORECASE)
_ROUTE: Final = re.compile(r"@[^:]*:")
_SIZE: Final = re.compile(r"SIZE=(\d{1,15})")
_PLAIN_PARTS: Final = 3
_MOST_ERRORS: Final = 50


@dataclass(slots=True)
class Transaction:
    """A message under way."""

    sender: str
    is_utf8: bool
    recipients: list[str] = field(default_factory=list)


class Conversation:
    """Reads commands and answers them in order; RFC 5321, 2920, 3207, 4954, 6531."""

    def __init__(self, relay: Relay, wire: Wire) -> None:
        self._relay = relay
        self._wire = wire
        self._greeted = False
        self._is_esmtp = False
        self._user: str | None = None
        self._transaction: Transaction | None = None
        self._group = 0
        self._errors = 0
        self._closes_after: float | None = None
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "QUIT": self._quit,
        }

    async def run(self) -> None:
        """Talk until the client leaves or is hung up on."""
        try:
            if not await self._refused("smtp.connect"):
                await self._say("smtp.connect", words.GREETING)
            while True:
                await self._command()
        except Ended:
            self._wire.close()

    async def _command(self) -> None:
        """Read one command and obey it."""
        waits = not self._wire.has_line
        self._group = 1 if waits else self._group + 1
        tally = self._relay.limits.tally
        try:
            line = await self._line()
        except LineTooLong:
            await self._end(words.LINE_TOO_LONG)
        tally.greatest_group = max(tally.greatest_group, self._group)
        verb, _, rest = line.partition(" ")
        command = self._commands.get(verb.upper())
        if command is None:
            await self._say("", words.UNKNOWN_COMMAND)
        else:
            await command(rest.strip())

    async def _line(self) -> str:
        """The next line; who says nothing for too long is hung up on, without a word where a fault wants it so."""
        silently, seconds = self._closes_after is not None, self._closes_after
        try:
            async with asyncio.timeout(self._relay.access.idle_seconds if seconds is None else seconds):
                return await self._wire.line()
        except TimeoutError:
            if silently:
                raise Ended from None
            await self._end(words.IDLE)

    # Replies

    async def _end(self, reply: str) -> Never:
        """The last reply."""
        self._relay.limits.tally.say(reply)
        self._wire.write(f"{reply}\r\n".encode())
        raise Ended

    async def _say(self, method: str, reply: str, *, who: str = "") -> None:
        """A reply to a command of this method, in the manner that a fault wants; 421 is the last one."""
        self._relay.limits.tally.say(reply)
        rule = strike(self._relay.room, Point.ODD, method, who) if method else None
        data = f"{reply}\r\n".encode()
        if rule is not None:
            await self._say_oddly(rule, reply)
        else:
            self._wire.write(data)
        self._errors += reply[0] in "45"
        if reply.startswith("421") or self._errors > _MOST_ERRORS:
            raise Ended

    async def _say_oddly(self, rule: FaultRule, reply: str) -> None:
        lines = reply.split("\r\n")
        if rule.kind is Kind.SLOW:
            await pause(rule.delay, self._relay.stopping)
        elif rule.kind is Kind.MULTI_LINE:
            lines = [f"{lines[0][:3]}-The sandbox has more than one line to say", f"{lines[0][:3]}-", *lines]
        elif rule.kind is Kind.IDLE_CLOSE:
            self._closes_after = rule.delay
        data = "".join(f"{line}\r\n" for line in lines).encode()
        if rule.kind is not Kind.SPLIT:
            self._wire.write(data)
            return
        for byte in data:
            self._wire.write(bytes([byte]))
            await asyncio.sleep(0)

    async def _refused(self, method: str, *, who: str = "", recipient: str = "") -> bool:
        """Whether a fault stands in the way of a command, said or done already."""
        rule = strike(self._relay.room, Point.BEFORE, method, who)
        if rule is None:
            return False
        if rule.kind is Kind.GREYLISTED:
            sender = self._transaction.sender if self._transaction else who
            if not self._relay.is_greylisted((self._wire.peer, sender, recipient), rule.delay):
                return False
        await self._cut(rule)
        await self._say("", words.REFUSALS.get(rule.kind, words.TRY_AGAIN))
        return True

    async def _cut(self, rule: FaultRule) -> None:
        """End the connection where a fault wants that."""
        if rule.kind is Kind.HANG:
            await pause(rule.delay, self._relay.stopping)
        if rule.kind is Kind.REFUSED:
            self._relay.shut(rule.delay)
        if rule.kind in (Kind.HANG, Kind.RESET, Kind.REFUSED):
            self._wire.reset()
            raise Ended

    # Commands

    async def _helo(self, name: str) -> None:
        await self._greet(name, esmtp=False)

    async def _ehlo(self, name: str) -> None:
        await self._greet(name, esmtp=True)

    async def _greet(self, name: str, *, esmtp: bool) -> None:
        if await self._refused("smtp.ehlo"):
            return
        if not name:
            await self._say("", words.SYNTAX)
            return
        if not self._relay.greets(name):
            await self._say("smtp.ehlo", words.GREETING_REFUSED)
            return
        self._greeted, self._is_esmtp, self._transaction = True, esmtp, None
        lines = [f"smtp-relay.gmail.com at your service, [{self._wire.peer}]"]
        if esmtp:
            lines += self._extensions()
        last = len(lines) - 1
        marks = (f"250{' ' if place == last else '-'}{line}" for place, line in enumerate(lines))
        await self._say("smtp.ehlo", "\r\n".join(marks))

    def _extensions(self) -> list[str]:
        relay, wire = self._relay, self._wire
        found = [f"SIZE {relay.most_bytes}", "8BITMIME"]
        if not wire.is_secure and not relay.access.stripped:
            found.append("STARTTLS")
        if wire.is_secure:
            found.append("AUTH LOGIN PLAIN XOAUTH2")
        return [*found, "ENHANCEDSTATUSCODES", "PIPELINING", "SMTPUTF8"]

    async def _starttls(self, rest: str) -> None:
        if await self._refused("smtp.starttls"):
            return
        if rest:
            await self._say("", words.SYNTAX)
        elif self._wire.is_secure:
            await self._say("", words.TLS_ALREADY)
        elif self._relay.access.stripped:
            await self._say("", words.UNKNOWN_COMMAND)
        else:
            await self._say("smtp.starttls", words.READY_FOR_TLS)
            await self._wire.secure(self._relay.context())
            self._greeted, self._transaction = False, None

    async def _auth(self, rest: str) -> None:
        mechanism, _, first = rest.partition(" ")
        if await self._refused("smtp.auth"):
            return
        if not self._greeted:
            await self._say("", words.EHLO_FIRST)
        elif not self._wire.is_secure:
            await self._say("smtp.auth", words.TLS_FIRST)
        elif self._user is not None:
            await self._say("", words.AUTH_ALREADY)
        else:
            await self._log_in(mechanism.upper(), first)

    async def _log_in(self, mechanism: str, first: str) -> None:
        ways = {"PLAIN": self._plain, "LOGIN": self._login, "XOAUTH2": self._xoauth2}
        if mechanism not in ways:
            await self._say("smtp.auth", words.AUTH_UNKNOWN)
            return
        try:
            user = await ways[mechanism](first)
        except (binascii.Error, UnicodeDecodeError, ValueError):
            await self._say("smtp.auth", words.AUTH_CANCELLED)
            return
        if user is None:
            await self._say("smtp.auth", words.LOGIN_REFUSED)
            return
        self._user = user
        self._relay.limits.tally.logins[mechanism] += 1
        await self._say("smtp.auth", words.ACCEPTED)

    async def _ask(self, prompt: bytes) -> str:
        """Ask for one more line of a login and give it decoded; raises `ValueError` for `*` and what is no base64."""
        self._wire.write(b"334 " + base64.b64encode(prompt) + b"\r\n")
        return _decoded(await self._line())

    async def _plain(self, first: str) -> str | None:
        parts = (_decoded(first) if first else await self._ask(b"")).split("\0")
        if len(parts) != _PLAIN_PARTS:
            raise ValueError(parts)
        return parts[1] if self._relay.login(parts[1], parts[2]) else None

    async def _login(self, first: str) -> str | None:
        user = _decoded(first) if first else await self._ask(b"Username:")
        password = await self._ask(b"Password:")
        return user if self._relay.login(user, password) else None

    async def _xoauth2(self, first: str) -> str | None:
        said = _decoded(first) if first else await self._ask(b"")
        fields = dict(part.split("=", 1) for part in said.split("\1") if "=" in part)
        kind, _, token = fields.get("auth", "").partition(" ")
        if kind.lower() == "bearer" and self._relay.token(fields.get("user", ""), token.strip()):
            return fields["user"]
        # The client answers what was wrong with an empty line, and then comes the refusal.
        self._wire.write(b"334 " + base64.b64encode(b'{"status":"400","schemes":"Bearer"}') + b"\r\n")
        await self._line()
        return None

    async def _mail(self, rest: str) -> None:
        match = _PATH.fullmatch(rest)
        refusal = self._before_mail(match)
        if refusal is not None or match is None:
            await self._say("", refusal or words.SYNTAX)
            return
        sender = _ROUTE.sub("", match[2], count=1) if match[2].startswith("@") else match[2]
        who = self._relay.home(sender)
        if await self._refused("smtp.mail", who=who):
            return
        parameters = match[3].upper().split()
        refusal = self._parameters(parameters, sender) or self._relay.admits(
            sender, self._wire.peer, is_known=self._user is not None
        )
        if refusal is None:
            self._transaction = Transaction(sender, "SMTPUTF8" in parameters)
        await self._say("smtp.mail", refusal or words.SENDER_OK, who=who)

    def _before_mail(self, match: "re.Match[str] | None") -> str | None:
        if not self._greeted:
            return words.EHLO_FIRST
        if self._relay.access.needs_tls and not self._wire.is_secure:
            return words.TLS_FIRST
        if match is None or match[1].upper() != "FROM":
            return words.SYNTAX
        return words.NESTED if self._transaction is not None else None

    def _parameters(self, parameters: list[str], sender: str) -> str | None:
        for parameter in parameters:
            size = _SIZE.fullmatch(parameter)
            if size and int(size[1]) > self._relay.most_bytes:
                return words.TOO_LARGE
            if not size and parameter not in ("BODY=8BITMIME", "BODY=7BIT", "SMTPUTF8") and parameter[:5] != "AUTH=":
                return words.PARAMETER
        return words.NEEDS_UTF8 if not sender.isascii() and "SMTPUTF8" not in parameters else None

    async def _rcpt(self, rest: str) -> None:
        match, transaction = _PATH.fullmatch(rest), self._transaction
        if transaction is None:
            await self._say("", words.MAIL_FIRST)
            return
        if match is None or match[1].upper() != "TO" or "@" not in match[2]:
            await self._say("", words.SYNTAX)
            return
        who, address = self._relay.home(transaction.sender), match[2].lower()
        if await self._refused("smtp.rcpt", who=who, recipient=address):
            return
        reply = words.RECIPIENT_OK
        if match[3]:
            reply = words.PARAMETER
        elif not address.isascii() and not transaction.is_utf8:
            reply = words.NEEDS_UTF8
        elif len(transaction.recipients) >= self._relay.room.quota.limits.relay_recipients_per_transaction:
            reply = words.TOO_MANY_RECIPIENTS
        else:
            # Whether it exists is found out later, and told by a bounce.
            transaction.recipients.append(address)
        await self._say("smtp.rcpt", reply, who=who)

    async def _data(self, rest: str) -> None:
        transaction = self._transaction
        who = self._relay.home(transaction.sender) if transaction else ""
        if rest:
            await self._say("", words.SYNTAX)
            return
        if transaction is None or not transaction.recipients:
            if not self._wire.is_idle:
                # A client that sends its message without our 354 would have it read as commands.
                await self._end(words.NO_RECIPIENT_TOOK)
            await self._say("", words.MAIL_FIRST if transaction is None else words.RCPT_FIRST)
            return
        if await self._refused("smtp.data", who=who):
            return
        await self._say("smtp.data", words.GO_AHEAD, who=who)
        content = await self._content(who)
        self._transaction = None
        if content is None:
            await self._say("smtp.content", words.TOO_LARGE, who=who)
        else:
            await self._take(transaction, content, who)

    async def _content(self, who: str) -> bytes | None:
        """Read the message; in the middle of it a fault of smtp.body may strike, before its end was seen."""
        relay = self._relay
        slowly = strike(relay.room, Point.ODD, "smtp.body", who)
        delay = slowly.delay if slowly is not None and slowly.kind is Kind.SLOW_READER else 0.0
        begun = False

        async def meanwhile() -> None:
            nonlocal begun
            if not begun:
                begun = True
                await self._refused("smtp.body", who=who)
            if delay:
                await pause(delay, relay.stopping)

        try:
            async with asyncio.timeout(relay.access.idle_seconds):
                return await self._wire.message(relay.most_bytes, meanwhile)
        except TimeoutError:
            await self._end(words.IDLE)

    async def _take(self, transaction: Transaction, content: bytes, who: str) -> None:
        """The message is here with its end: take it, and answer."""
        relay, recipients = self._relay, tuple(transaction.recipients)
        for method in ("smtp.content", "smtp.send"):
            if await self._refused(method, who=who, recipient=recipients[0]):
                return
        manner = ("ESMTP" if self._is_esmtp else "SMTP") + "S" * self._wire.is_secure + "A" * (self._user is not None)
        reply = relay.take(transaction.sender, recipients, content, manner)
        if reply.startswith("250"):
            for method in ("smtp.content", "smtp.send"):
                rule = strike(relay.room, Point.AFTER, method, who)
                if rule is not None:
                    await self._lose_reply(rule)
        await self._say("smtp.content", reply, who=who)

    async def _lose_reply(self, rule: FaultRule) -> None:
        """The effect has happened: whatever the fault, no reply says that it has not."""
        if rule.kind is Kind.GARBAGE:
            self._wire.write(words.NOT_A_REPLY)
            raise Ended
        await self._cut(rule)
        self._wire.reset()
        raise Ended

    async def _rset(self, _rest: str) -> None:
        self._transaction = None
        await self._say("", words.FLUSHED)

    async def _noop(self, _rest: str) -> None:
        await self._say("", words.OK)

    async def _vrfy(self, _rest: str) -> None:
        await self._say("", words.NOT_VERIFIED)

    async def _quit(self, _rest: str) -> None:
        await self._end(words.GOODBYE)


def _decoded(text: str) -> str:
    """A line of a login; raises `ValueError` (`binascii.Error`, `UnicodeDecodeError`) for one that is none."""
    return base64.b64decode(text, validate=True).decode()
