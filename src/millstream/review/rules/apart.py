"""Reads the texts of PDFs in a process of its own, which may be killed.

A PDF of a kilobyte can keep any reader busy for days (forms that draw forms ten times, ten deep), and a thread cannot
be stopped. The process reads frames from its standard input and writes them to its standard output. A frame is four
bytes of length, most significant first, and so many bytes; a question is a JSON head and a PDF, an answer is JSON.
"""

from __future__ import annotations

import math
import os
import resource
import selectors
import signal
import struct
import subprocess
import sys
import time
from threading import Lock
from typing import IO, Any

import orjson

from millstream.composer import UnreadablePdf

_HEAD = struct.Struct(">I")
_LONGER = 5
"""Seconds after which it ends by itself, beyond those that it is waited for."""
_MOST_MEMORY = 2 * 1024**3
_MOST_ANSWER = 128 * 1024 * 1024
_CHUNK = 1024 * 1024
_READY = b"ready"
_START = 60.0
"""Seconds that the process may take to start, on a machine that is busy."""


class TextReader:
    """Texts of PDFs, one at a time. It starts its process when it is first asked; may be used from several threads.

    Args:
        patience: seconds that one document may take.
    """

    def __init__(self, patience: float = 10.0) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._patience = patience
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[TextReader], tuple[float]]:
        """In another process it starts a process of its own."""
        return TextReader, (self._patience,)

    def __call__(self, pdf: bytes, password: str | None = None) -> list[str]:
        """The text of each page.

        Raises:
            UnreadablePdf: it cannot be read, or not in time.
        """
        with self._lock:
            head = orjson.dumps({"password": password})
            try:
                try:
                    answer = self._ask(self._running(), head, pdf)
                except (OSError, _Gone):  # somebody may have ended it for another reason than this document
                    self._end()
                    answer = self._ask(self._running(), head, pdf)
            except (OSError, _TooSlow, _Gone) as error:
                self._end()
                slow = isinstance(error, _TooSlow)
                why = f"it takes longer than {self._patience:g} s" if slow else "its reader ended, for want of memory"
                raise UnreadablePdf(f"the PDF cannot be read: {why}") from error
        if "problem" in answer:
            raise UnreadablePdf(answer["problem"])
        return list(answer["pages"])

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        """Whoever forgets it leaves no process behind."""
        self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(  # noqa: S603  our own module, by the interpreter that runs us
                [sys.executable, "-m", __name__, str(self._patience)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            assert self._process.stdout is not None  # noqa: S101  it is a pipe
            _read(self._process.stdout, len(_READY), time.monotonic() + _START)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait()

    def _ask(self, process: subprocess.Popen[bytes], head: bytes, pdf: bytes) -> dict[str, Any]:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  both are pipes
        until = time.monotonic() + self._patience
        asked = b"".join((_HEAD.pack(len(head)), head, _HEAD.pack(len(pdf)), pdf))
        _write(process.stdin, asked, until)
        (size,) = _HEAD.unpack(_read(process.stdout, _HEAD.size, until))
        found: dict[str, Any] = orjson.loads(_read(process.stdout, min(size, _MOST_ANSWER), until))
        return found


class _TooSlow(Exception):
    pass


class _Gone(Exception):
    pass


def _wait(stream: IO[bytes], event: int, until: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, event)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise _TooSlow


def _write(stream: IO[bytes], content: bytes, until: float) -> None:
    os.set_blocking(stream.fileno(), False)
    left = memoryview(content)
    while left:
        _wait(stream, selectors.EVENT_WRITE, until)
        left = left[os.write(stream.fileno(), left[:_CHUNK]) :]


def _read(stream: IO[bytes], size: int, until: float) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        _wait(stream, selectors.EVENT_READ, until)
        piece = os.read(stream.fileno(), min(_CHUNK, size - len(pieces)))
        if not piece:
            raise _Gone
        pieces += piece
    return bytes(pieces)


def _serve() -> None:
    from millstream.composer.pages import page_texts  # noqa: PLC0415  the process that asks needs no PDFium

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the one that asks, which then hangs up
        signal.signal(number, signal.SIG_IGN)
    most = math.ceil(float(sys.argv[1])) + _LONGER
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(_READY)
    sink.flush()
    while head := _frame(source):
        asked = orjson.loads(head)
        signal.alarm(most)  # it ends this process, in the middle of PDFium too, where the one that asked was killed
        try:
            answer: dict[str, Any] = {"pages": page_texts(_frame(source), asked["password"])}
        except UnreadablePdf as error:
            answer = {"problem": str(error)}
        except MemoryError:
            answer = {"problem": "the PDF takes more memory than there is for it"}
        signal.alarm(0)
        written = orjson.dumps(answer)
        sink.write(_HEAD.pack(len(written)) + written)
        sink.flush()


def _frame(source: IO[bytes]) -> bytes:
    head = source.read(_HEAD.size)
    return source.read(_HEAD.unpack(head)[0]) if len(head) == _HEAD.size else b""


if __name__ == "__main__":
    _serve()
