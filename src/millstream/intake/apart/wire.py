"""What goes between the two processes: pickles of our own values, each after its length, over a pair of sockets.

Nobody else can write to it: the pair has no name, and only the process we start inherits it.
"""

from __future__ import annotations

import pickle
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final

from millstream.intake.batch import BatchSize
from millstream.intake.making import Outline
from millstream.intake.path import Made
from millstream.intake.ports import Source, Terms

LENGTH: Final = struct.Struct("!Q")


class WireClosed(Exception):
    """The other process hung up."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be read, and how it is made."""

    source: Source
    terms: Terms
    size: BatchSize
    parallel: int
    documents: str
    """The store's URL."""
    patience_seconds: float


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that was made, in order; `last` of its batch."""

    made: list[Made]
    last: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """There are no more batches; `error` is why, where the source has more."""

    error: Exception | None = None


Answer = Outline | Piece | Ended


def frame(value: Any) -> bytes:
    """As it goes over the wire."""
    content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(content)) + content


def unframed(content: bytes) -> Any:
    """What came over the wire, without its length."""
    return pickle.loads(content)  # noqa: S301  our own process wrote it, see above


class Wire:
    """The end inside the process that makes; it blocks."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._file = end.makefile("rb")

    def send(self, value: Answer) -> None:
        """Raises WireClosed."""
        try:
            self._end.sendall(frame(value))
        except OSError as error:
            raise WireClosed from error

    def receive(self) -> Any:
        """Raises WireClosed."""
        return unframed(self._read(LENGTH.unpack(self._read(LENGTH.size))[0]))

    def _read(self, size: int) -> bytes:
        try:
            found = self._file.read(size)
        except OSError as error:
            raise WireClosed from error
        if len(found) < size:
            raise WireClosed
        return found


def sent_alone(error: Exception) -> Exception:
    """The error if it comes out of its pickle as it went in, else one that says the same."""
    try:
        same = unframed(frame(error)[LENGTH.size :])
    except Exception:  # noqa: BLE001  whatever an error's own constructor raises
        same = None
    if type(same) is type(error) and str(same) == str(error):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
