"""Reads and draws documents from outside in a process of its own, which may be killed.

A PDF of a kilobyte can keep any reader busy for days (forms that draw forms ten times, ten deep) or take all memory
(a picture of a million by a million points), and a thread cannot be stopped. The process reads frames from its standard
input and writes them to its standard output. A frame is four bytes of length, most significant first, and so many
bytes; a question is a JSON head and a document, an answer is a JSON head and a picture, which may be empty.
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
from typing import IO, Any, Final

import orjson

from millstream.composer.errors import UnreadablePdf
from millstream.killable import raise_killable

_HEAD = struct.Struct(">I")
_LONGER = 5
"""Seconds after which it ends by itself, beyond those that it is waited for."""
_IDLE: Final = 300
"""Seconds after which it ends where nobody asks; the next question starts another."""
_MOST_MEMORY = 1024**3
_MOST_KEPT_KB: Final = 400_000
"""A process that has grown so large ends after its answer: an allocator gives little back."""
_MOST_ANSWER = 128 * 1024 * 1024
_CHUNK = 1024 * 1024
_READY = b"ready"
_START = 60.0
"""Seconds that the process may take to start, on a machine that is busy."""


class PdfReader:
    """Texts and pictures of documents, one at a time. Starts its process when first asked; for several threads.

    Args:
        patience: seconds that one question may take.
    """

    def __init__(self, patience: float = 10.0) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._patience = patience
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[PdfReader], tuple[float]]:
        """In another process it starts a process of its own."""
        return PdfReader, (self._patience,)

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def texts(self, pdf: bytes, password: str | None = None) -> list[str]:
        """The text of each page, as `pages.page_texts`.

        Raises:
            UnreadablePdf: it cannot be read, or not in time.
        """
        return list(self._asked({"what": "texts", "password": password}, pdf)[0]["found"])

    def count(self, pdf: bytes) -> int:
        """The number of pages; UnreadablePdf as `texts`."""
        return int(self._asked({"what": "count"}, pdf)[0]["found"])

    def png(self, pdf: bytes, n: int, width: int, *, within: float | None = None) -> bytes:
        """The n-th page as `pages.page_png` draws it; `within` so many seconds, where that is less than its patience.

        Raises:
            UnreadablePdf: it cannot be drawn, or not in time.
            IndexError: there is no such page.
        """
        head, picture = self._asked({"what": "png", "n": n, "width": width}, pdf, within=within)
        if "none" in head:
            raise IndexError(head["none"])
        return picture

    def thumbnail(self, content: bytes, width: int, height: int) -> bytes:
        """A PNG or JPEG as a PNG of this size at most.

        Raises:
            ValueError: it is none, or takes too much time or memory.
        """
        try:
            return self._asked({"what": "thumbnail", "width": width, "height": height}, content, noun="picture")[1]
        except UnreadablePdf as error:
            raise ValueError(str(error)) from error

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        """Whoever forgets it leaves no process behind."""
        self._end()

    def _asked(
        self, question: dict[str, Any], content: bytes, *, within: float | None = None, noun: str = "PDF"
    ) -> tuple[dict[str, Any], bytes]:
        head = orjson.dumps(question)
        patience = self._patience if within is None else max(0.0, min(within, self._patience))
        with self._lock:
            was = self.pid
            try:
                try:
                    answer, picture = self._ask(self._running(), head, content, patience)
                except (OSError, _Gone):
                    if was is None:
                        raise
                    self._end()  # one that ran before may have ended for another reason than this document
                    answer, picture = self._ask(self._running(), head, content, patience)
            except (OSError, _TooSlow, _Gone) as error:
                self._end()
                slow = isinstance(error, _TooSlow)
                why = f"it takes longer than {patience:.3g} s" if slow else "its reader ended, for want of memory"
                raise UnreadablePdf(f"the {noun} cannot be read: {why}") from error
            except BaseException:  # interrupted between question and answer: the next one must not hear this answer
                self._end()
                raise
        if "problem" in answer:
            raise UnreadablePdf(answer["problem"])
        return answer, picture

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

    @staticmethod
    def _ask(
        process: subprocess.Popen[bytes], head: bytes, content: bytes, patience: float
    ) -> tuple[dict[str, Any], bytes]:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  both are pipes
        until = time.monotonic() + patience
        _write(process.stdin, b"".join((_HEAD.pack(len(head)), head, _HEAD.pack(len(content)), content)), until)
        answer: dict[str, Any] = orjson.loads(_frame_by(process.stdout, until))
        return answer, _frame_by(process.stdout, until)


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


def _frame_by(stream: IO[bytes], until: float) -> bytes:
    (size,) = _HEAD.unpack(_read(stream, _HEAD.size, until))
    if size > _MOST_ANSWER:
        raise _Gone
    return _read(stream, size, until)


# The other process


def _serve() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what is in it belongs to customers
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the one that asks, which then hangs up
        signal.signal(number, signal.SIG_IGN)
    raise_killable()
    most = math.ceil(float(sys.argv[1])) + _LONGER
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(_READY)
    sink.flush()
    signal.alarm(_IDLE)
    while head := _frame(source):
        asked = orjson.loads(head)
        signal.alarm(most)  # it ends this process, in the middle of PDFium too, where the one that asked was killed
        picture = b""
        try:
            answer, picture = _answered(asked, _frame(source))
        except (UnreadablePdf, ValueError) as error:
            answer = {"problem": str(error)}
        except MemoryError:
            answer = {"problem": "it takes more memory than there is for it"}
        written = orjson.dumps(answer)
        sink.write(b"".join((_HEAD.pack(len(written)), written, _HEAD.pack(len(picture)), picture)))
        sink.flush()
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > _MOST_KEPT_KB:
            return
        signal.alarm(_IDLE)


def _answered(asked: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    from millstream.composer import pages  # noqa: PLC0415  the process that asks needs no PDFium

    match asked["what"]:
        case "texts":
            return {"found": pages.page_texts(content, asked["password"])}, b""
        case "count":
            return {"found": pages.page_count(content)}, b""
        case "png":
            try:
                return {}, pages.page_png(content, asked["n"], asked["width"])
            except IndexError as error:
                return {"none": str(error)}, b""
    return {}, pages.thumbnail(content, asked["width"], asked["height"])


def _frame(source: IO[bytes]) -> bytes:
    head = source.read(_HEAD.size)
    return source.read(_HEAD.unpack(head)[0]) if len(head) == _HEAD.size else b""


if __name__ == "__main__":
    _serve()
