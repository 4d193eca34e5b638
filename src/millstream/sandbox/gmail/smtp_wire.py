"""The bytes of one connection to the relay: lines, messages, and TLS begun in the middle."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Final, cast

_MOST_UNREAD: Final = 1 << 20
_MOST_OF_A_LINE: Final = 12_288
"""Bytes of a command: RFC 4954 section 4 wants that much for AUTH."""
_END: Final = b"\r\n.\r\n"
_LINGER_NOTHING: Final = struct.pack("ii", 1, 0)


class Ended(Exception):
    """The client is gone, or we are done with it."""


class LineTooLong(Exception):
    """A command that has no end."""


class Wire(asyncio.Protocol):
    """What came and was not read yet lies in one buffer of ours, so that STARTTLS can throw it away (CVE-2011-0411)."""

    def __init__(self, begin: Callable[["Wire"], None]) -> None:
        self._begin = begin
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._is_ended = False
        self._is_paused = False
        self._transport: asyncio.Transport | None = None
        self.is_secure = False

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_secure = transport.get_extra_info("ssl_object") is not None
        self._begin(self)

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._buffer += data
        if len(self._buffer) > _MOST_UNREAD and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The client has nothing more to say."""
        self._is_ended = True
        self._wake()
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        """The client is gone."""
        self._is_ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the conversation calls

    @property
    def peer(self) -> str:
        """The client's address."""
        found = self._transport.get_extra_info("peername") if self._transport else None
        return str(found[0]) if isinstance(found, tuple) and found else "127.0.0.1"

    @property
    def is_idle(self) -> bool:
        """Whether nothing lies here that was not read."""
        return not self._buffer

    @property
    def has_line(self) -> bool:
        """Whether a whole line lies here already: the client did not wait for a reply."""
        return b"\n" in self._buffer

    async def line(self) -> str:
        """The next line without its end; raises `Ended` and `LineTooLong`."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MOST_OF_A_LINE:
                raise LineTooLong
            await self.more()
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        if len(line) > _MOST_OF_A_LINE:
            raise LineTooLong
        return line.decode("utf-8", "surrogateescape")

    async def message(self, most: int, meanwhile: Callable[[], Awaitable[None]]) -> bytes | None:
        """What comes up to the dot, without the dots that SMTP adds; None where that is more than `most` bytes.

        `meanwhile` is called after each piece that does not bring the end.

        It ends with a dot alone between two CRLF, and with nothing else: who takes a bare LF for the end of a line
        there can be made to see two messages in one. Raises `Ended` where the client leaves before the end.
        """
        found = bytearray(b"\r\n")  # the end of the DATA line stands before the first line, which may be the dot
        too_large = False
        while True:
            searched = max(0, len(found) - len(_END) + 1)
            found += self._buffer
            self._buffer.clear()
            self._read_on()
            end = found.find(_END, searched)
            if end >= 0:
                break
            if len(found) > most + len(_END):
                too_large = True
                del found[: -len(_END)]
            if len(found) > len(_END) // 2:
                await meanwhile()
            if not self._buffer:
                await self.more()
        self._buffer[:0] = found[end + len(_END) :]
        content = bytes(memoryview(found)[: end + 2])
        if b"\r\n." in content:
            content = content.replace(b"\r\n.", b"\r\n")
        return None if too_large or len(content) - 2 > most else content[2:]

    async def more(self) -> None:
        """Wait for something to come; raises `Ended`."""
        if self._is_ended:
            raise Ended
        self._read_on()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _read_on(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send; what cannot be sent any more is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def secure(self, context: ssl.SSLContext) -> None:
        """Go on under TLS, as if nothing had come before; raises `Ended` where that fails."""
        if self._transport is None:
            raise Ended
        plain = self._transport
        self._buffer.clear()
        try:
            secure = await asyncio.get_running_loop().start_tls(plain, self, context, server_side=True)
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError
            plain.abort()
            raise Ended from None
        if secure is None:
            raise Ended
        self._transport = secure
        self.is_secure = True

    def close(self) -> None:
        """End in order, what was written goes out."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End at once, with a reset."""
        if self._transport is None:
            return
        peer: socket.socket | None = self._transport.get_extra_info("socket")
        if peer is not None:
            # Without lingering the kernel sends a reset instead of a clean end.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        self._transport.abort()
