"""The relay itself: messages handed over up to their end, and then ended (docs/decisions/0029 and 0030).

MAIL, RCPT and DATA leave in one write where the relay pipelines (RFC 2920), the body when all three were answered well,
the dot when :meth:`SmtpRelay.finish` says so: two round trips a message.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from millstream.closing import Closing
from millstream.gmail.errors import Call
from millstream.gmail.relay import errors, translate
from millstream.gmail.relay.line import Ended, Line, Why
from millstream.gmail.relay.options import RelayOptions
from millstream.gmail.relay.pool import LinePool
from millstream.gmail.relay.ports import Envelope, Facts, Slip, Taken
from millstream.gmail.relay.reply import Reply
from millstream.gmail.relay.room import Room
from millstream.gmail.relay.stuffing import ending, smuggles, stuffed
from millstream.gmail.relay.translate import Stage

_CLOSING_CODE: Final = 421
_STAGES: Final = (Stage.MAIL, Stage.RCPT, Stage.DATA)
# What would end a path or a command before its time; inside of quotes blanks and brackets belong to an address.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]|^[^\"]*[ <>]|^$")


@dataclass(slots=True, eq=False)
class _Open:
    """A slip of ours."""

    call: Call
    line: Line
    end: bytes
    size: int
    taken: int
    """Bytes of the room."""
    done: bool = False

    @property
    def connection(self) -> str:
        return self.line.name


class SmtpRelay(Closing):
    """Messages through one relay, over the kept connections of this process. Implements the protocol `Relay`."""

    def __init__(self, options: RelayOptions) -> None:
        self._options = options
        self._pool = LinePool(options)
        self._room = Room(options.bytes_in_flight)

    async def open(self, envelope: Envelope, raw: bytes) -> Slip:
        """Hand a message over, but for its end.

        Raises:
            RelayError: nothing was sent.
        """
        call = Call("smtp.send", _without_tag(envelope.sender), write=True)
        _check(call, envelope, raw)
        self._check_size(call, self._pool.facts, len(raw))
        taken = await self._room.take(len(raw))
        try:
            line = await self._handed_over(call, envelope, raw)
        except BaseException:
            self._room.give(taken)
            raise
        return _Open(call, line, ending(raw), len(raw), taken)

    async def finish(self, slip: Slip, *, dotted: Callable[[], None] | None = None) -> Taken:
        """Send the end and wait for the reply.

        Raises:
            AfterDot: it may have been sent.
            RelayError: any other: it was refused, or lost before the end was written, so nothing was sent.
        """
        mine = _mine(slip)
        mine.done = True
        line = mine.line
        try:
            with self._minding(line):
                reply, took = await self._answered(mine, dotted)
        finally:
            self._room.give(mine.taken)
        line.served += 1
        self._pool.eased()
        self._pool.give_back(line)
        return Taken(_words(reply), line.name, took)

    def drop(self, slip: Slip) -> None:
        """Abort the connection before the message's end; of a slip that was finished nothing is left to drop."""
        if isinstance(slip, _Open) and not slip.done:
            slip.done = True
            self._pool.drop(slip.line)
            self._room.give(slip.taken)

    def fits(self, size: int) -> bool:
        """Whether the relay takes a message of so many bytes, by what it said last."""
        return _fits(self._pool.facts, size)

    async def probe(self) -> Facts:
        """Connect, say EHLO, log in, and leave.

        Raises:
            RelayError: no session came about.
        """
        return await self._pool.probe(Call("smtp.connect", self._options.host))

    async def close(self) -> None:
        """End all connections in order; one that still carries a message ends after it."""
        await self._pool.close()

    async def _handed_over(self, call: Call, envelope: Envelope, raw: bytes) -> Line:
        line = await self._pool.lease(call)
        with self._minding(line):
            replies = await self._asked(call, line, envelope, raw)
        if line.served and _was_dead(call, line, replies):
            self._pool.drop(line)
            line = await self._pool.lease(call, fresh=True)
            with self._minding(line):
                replies = await self._asked(call, line, envelope, raw)
        with self._minding(line):
            await self._followed(call, line, replies, raw)
        return line

    async def _followed(self, call: Call, line: Line, replies: Sequence[Reply], raw: bytes) -> None:
        """The body, where all three replies allow it."""
        error = _judged(call, line, replies)
        if error is not None:
            await self._reset(line, replies)
            raise error
        if not await line.write(stuffed(raw), within=self._options.command_seconds):
            raise translate.ended(call, Stage.BODY, _end_of(line))

    async def _answered(self, mine: _Open, dotted: Callable[[], None] | None) -> tuple[Reply, float]:
        """The dot and the 2yz to it, and the seconds between them."""
        line, call = mine.line, mine.call
        if not line.quiet:
            raise translate.ended(call, Stage.BODY, _end_of(line))
        loop = asyncio.get_running_loop()
        began = loop.time()
        replies = await line.ask(mine.end, 1, within=self._options.reply_seconds, written=dotted)
        if not replies:
            raise translate.ended(call, Stage.DOT, _end_of(line))
        if not replies[0].positive:
            raise translate.refusal(call, Stage.DOT, replies[0])
        return replies[0], loop.time() - began

    @contextmanager
    def _minding(self, line: Line) -> Iterator[None]:
        """Whatever goes wrong, the line is ended or given back."""
        try:
            yield
        except errors.RelayError as error:
            self._after(line, error)
            raise
        except BaseException:
            self._pool.drop(line)
            raise

    async def _asked(self, call: Call, line: Line, envelope: Envelope, raw: bytes) -> list[Reply]:
        """The replies to MAIL, RCPT and DATA: fewer where one was refused before the next, or the line ended."""
        self._check_size(call, line.facts, len(raw))
        commands = _commands(call, line.facts, envelope, raw)
        within = self._options.command_seconds
        if "PIPELINING" in line.facts.extensions:
            return await line.ask(b"".join(commands), len(commands), within=within)
        replies: list[Reply] = []
        for command in commands:
            replies += await line.ask(command, 1, within=within)
            if not replies or not (replies[-1].positive or replies[-1].intermediate) or line.ended:
                break
        return replies

    async def _reset(self, line: Line, replies: Sequence[Reply]) -> None:
        """Make the line fit for another message, or end it: one that waits for a body must never get a dot."""
        if any(not (reply.positive or reply.refusal) for reply in replies):  # 354 among them
            line.abort("a transaction that must not go on")
        elif line.ended is None and not replies[-1].closing:
            answers = await line.ask(b"RSET\r\n", 1, within=self._options.command_seconds)
            if not answers or not answers[0].positive:
                line.abort("it does not begin anew")

    def _after(self, line: Line, error: errors.RelayError) -> None:
        """A message was not taken: the line serves another one if the relay has said so and stays."""
        if isinstance(error, errors.RelayClosing):
            self._pool.pressed()
        line.served += 1
        lost = isinstance(error, errors.LostBeforeDot | errors.AfterDot) or error.status == _CLOSING_CODE
        if lost or line.ended is not None:
            self._pool.drop(line)
        else:
            self._pool.give_back(line)

    def _check_size(self, call: Call, facts: Facts | None, size: int) -> None:
        if not _fits(facts, size):
            limit = facts.size if facts else None
            raise errors.RelayMessageTooLarge(call, text=f"{size} bytes; the relay takes {limit}")


def _check(call: Call, envelope: Envelope, raw: bytes) -> None:
    """What no relay may be given: an address that would be a command, a body that some would take for two."""
    if _UNFIT.search(envelope.recipient):
        raise errors.RecipientRefused(call, text="it is no address")
    if _UNFIT.search(envelope.sender):
        raise errors.SenderRefused(call, text="it is no address")
    if smuggles(raw):
        raise errors.RelayRefused(call, text="a dot follows a bare line end, which some servers take for the end")


def _commands(call: Call, facts: Facts, envelope: Envelope, raw: bytes) -> tuple[bytes, ...]:
    offered = facts.extensions
    parameters = [f" SIZE={len(raw)}"] if "SIZE" in offered else []
    beyond = not (envelope.sender.isascii() and envelope.recipient.isascii())
    if beyond and "SMTPUTF8" not in offered:
        raise errors.NeedsUtf8(call)
    if not raw.isascii() and "8BITMIME" not in offered:
        raise errors.NeedsEightBit(call)
    if not raw.isascii():
        parameters.append(" BODY=8BITMIME")
    if beyond:
        parameters.append(" SMTPUTF8")
    mail = f"MAIL FROM:<{envelope.sender}>{''.join(parameters)}\r\n"
    return mail.encode(), f"RCPT TO:<{envelope.recipient}>\r\n".encode(), b"DATA\r\n"


def _judged(call: Call, line: Line, replies: Sequence[Reply]) -> errors.RelayError | None:
    """What kept the message from following: the first refusal, else the line's end."""
    for stage, reply in zip(_STAGES, replies, strict=False):
        if not (reply.intermediate if stage is Stage.DATA else reply.positive):
            return translate.refusal(call, stage, reply)
    if len(replies) < len(_STAGES):
        return translate.ended(call, _STAGES[len(replies)], _end_of(line))
    return None


def _was_dead(call: Call, line: Line, replies: Sequence[Reply]) -> bool:
    """Whether the relay had given up a kept connection before it heard anything of this message."""
    if replies:
        return replies[0].closing and isinstance(translate.refusal(call, Stage.MAIL, replies[0]), errors.RelayClosing)
    end = _end_of(line)
    if end.reply is not None:
        return isinstance(translate.ended(call, Stage.MAIL, end), errors.RelayClosing)
    return end.why is not Why.SILENT


def _end_of(line: Line) -> Ended:
    return line.ended or Ended(Why.LOST, "the connection ended")


def _fits(facts: Facts | None, size: int) -> bool:
    return facts is None or facts.size is None or size <= facts.size


def _mine(slip: Slip) -> _Open:
    if not isinstance(slip, _Open) or slip.done:
        raise ValueError("a slip is finished once, by the relay that opened it")
    return slip


def _words(reply: Reply) -> str:
    return " ".join(str(part) for part in (reply.code, reply.enhanced, reply.text) if part)


def _without_tag(address: str) -> str:
    """The mailbox alone: a bounce's token is no matter for logs."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
