"""Zip files of which every byte is known beforehand: nothing is compressed, no time is kept, nothing stands beside.

So the same content gives the same file wherever it is written, there is nothing that could unfold to more than it is,
and a reader can compare all there is, headers included. Layout: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from millstream.audit.errors import BadBundle

MOST_FILES: Final = 20_000
MOST_BYTES: Final = 0xFFFF_FFFF
"""Without the 64-bit extension."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,150}(/[A-Za-z0-9][A-Za-z0-9._@+-]{0,150})?")

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_SIGN, _CENTRAL_SIGN, _END_SIGN = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION = 20
_UNIX = 3 << 8 | _VERSION
_NEW_YEAR_1980 = 0x21
_MODE = 0o100644 << 16
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a bundle: its path, what is in it, and where its bytes begin."""

    path: str
    size: int
    sha256: str
    offset: int = 0
    crc: int = 0
    whole: bool = True
    """False where the bytes are not those that the packing's own checksum is of."""


class Packer:
    """Writes a bundle, file by file.

    Raises from every method: BadBundle where it would grow beyond what the layout can hold.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._at = 0
        self.members: dict[str, Member] = {}

    def add(self, path: str, content: bytes) -> Member:
        """Add a file. ValueError for a path that is there already, or is none of ours."""
        if NAME.fullmatch(path) is None or path in self.members:
            raise ValueError(f"{path!r} cannot be a file of a bundle, or is one already")
        header = _local(path, len(content), crc := zlib.crc32(content))
        if len(self.members) >= MOST_FILES or self._at + len(header) + len(content) > MOST_BYTES - (1 << 24):
            raise BadBundle(f"the bundle would have more than {MOST_FILES:,} files or 4 GB; export less at once")
        member = Member(path, len(content), hashlib.sha256(content).hexdigest(), self._at + len(header), crc)
        self._sink.write(header)
        self._sink.write(content)
        self._at = member.offset + member.size
        self.members[path] = member
        return member

    def close(self) -> None:
        """Write what stands at the end."""
        self._sink.write(_directory(list(self.members.values()), self._at))


def read(path: Path) -> list[Member]:
    """What lies in a bundle, every byte of it looked at once; memory stays flat.

    Raises:
        BadBundle: the file is none, or not as `Packer` writes it; the text says from where on.
    """
    try:
        with path.open("rb") as source:
            size = source.seek(0, 2)
            source.seek(0)
            if size > MOST_BYTES:
                raise BadBundle(f"{path} has {size:,} bytes; a bundle has less than 4 GB")
            members = list(_members(source, size))
            rest = source.read(size)
    except OSError as error:
        raise BadBundle(f"{path} cannot be read: {error.strerror or error}") from error
    end = members[-1].offset + members[-1].size if members else 0
    if not members or rest != _directory(members, end):
        raise BadBundle(_not_ours(end))
    return members


def content(path: Path, member: Member) -> bytes:
    """The bytes of a file in a bundle."""
    with path.open("rb") as source:
        source.seek(member.offset)
        return source.read(member.size)


def _members(source: BinaryIO, size: int) -> Iterator[Member]:
    seen: set[str] = set()
    while True:
        at = source.tell()
        header = source.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(_LOCAL_SIGN):
            source.seek(at)
            return
        fields = _LOCAL.unpack(header)
        crc, length, name_length = fields[6], fields[8], fields[9]
        name = source.read(name_length).decode("ascii", "replace")
        if NAME.fullmatch(name) is None or name in seen or len(seen) >= MOST_FILES:
            raise BadBundle(_not_ours(at))
        if fields[3]:
            raise BadBundle(f"{name} is compressed, and nothing in a bundle is: it was packed again, or is no bundle")
        start = source.tell()
        if header + name.encode() != _local(name, length, crc) or start + length > size:
            raise BadBundle(_not_ours(at))
        seen.add(name)
        yield _member(source, name, length, crc, start)


def _member(source: BinaryIO, name: str, length: int, crc: int, start: int) -> Member:
    digest, summed, left = hashlib.sha256(), 0, length
    while left:
        chunk = source.read(min(left, _CHUNK))
        if not chunk:
            raise BadBundle(_not_ours(start))
        digest.update(chunk)
        summed = zlib.crc32(chunk, summed)
        left -= len(chunk)
    return Member(name, length, digest.hexdigest(), start, crc, whole=summed == crc)


def _not_ours(at: int) -> str:
    told = "it was changed, cut or packed again"
    return f"from byte {at:,} on the file is not as `millstream review export` writes it: {told}"


def _local(name: str, size: int, crc: int) -> bytes:
    fields = (_VERSION, 0, 0, 0, _NEW_YEAR_1980, crc, size, size, len(name), 0)
    return _LOCAL.pack(_LOCAL_SIGN, *fields) + name.encode("ascii")


def _directory(members: list[Member], at: int) -> bytes:
    found = bytearray()
    for each in members:
        name = each.path.encode("ascii")
        place = each.offset - len(name) - _LOCAL.size
        sizes = (_NEW_YEAR_1980, each.crc, each.size, each.size, len(name))
        found += _CENTRAL.pack(_CENTRAL_SIGN, _UNIX, _VERSION, 0, 0, 0, *sizes, 0, 0, 0, 0, _MODE, place) + name
    return bytes(found) + _END.pack(_END_SIGN, 0, 0, len(members), len(members), len(found), at, 0)
