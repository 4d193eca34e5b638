"""A block: entries of the audit chain that follow each other, and one hash for them (docs/decisions/0024).

Its tree is that of `merkle` over the entries' hashes. Its own hash is SHA-256 over the hash of the block before, its
number, its first and its last position (eight bytes each, the highest first), the tree's root, and the hash of its last
entry: who keeps one block's hash elsewhere has pinned everything before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

FIRST: Final = hashlib.sha256(b"millstream blocks").digest()
"""What stands before the first block."""


@dataclass(frozen=True, slots=True)
class Block:
    """Entries from one position to another, and the hash that stands for them and everything before."""

    number: int
    first_seq: int
    last_seq: int
    root: bytes
    last_hash: bytes
    """The hash of its last entry."""
    hash: bytes

    @property
    def size(self) -> int:
        """How many entries it has."""
        return self.last_seq - self.first_seq + 1

    def hash_after(self, before: bytes) -> bytes:
        """The hash it must have, given the one of the block before."""
        numbers = b"".join(n.to_bytes(8, "big") for n in (self.number, self.first_seq, self.last_seq))
        return hashlib.sha256(before + numbers + self.root + self.last_hash).digest()

    def to_json(self) -> dict[str, Any]:
        """The form it has in a bundle."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {name: value.hex() if isinstance(value, bytes) else value for name, value in told.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Block:
        """Read back what `to_json` stored. KeyError, TypeError or ValueError where it is not of that form."""
        numbers = [stored[name] for name in ("number", "first_seq", "last_seq")]
        if not all(type(n) is int and 0 < n < 1 << 63 for n in numbers):
            raise ValueError("a block's numbers are not positive whole numbers")
        hashes = [hash_of(stored[name]) for name in ("root", "last_hash", "hash")]
        return cls(*numbers, *hashes)


def hash_of(word: object) -> bytes:
    """The bytes of a hash that is written as 64 hexadecimal digits in lower case. ValueError where it is not."""
    if not isinstance(word, str) or len(word) != 2 * hashlib.sha256().digest_size or word != word.lower():
        raise ValueError("a hash is not 64 hexadecimal digits")
    return bytes.fromhex(word)


def misplaced(blocks: Iterable[Block], *, before: bytes = FIRST) -> Block | None:
    """The first block that does not follow from the one before it; None where all do."""
    number, last_seq = 0, 0
    for block in blocks:
        follows = (block.number, block.first_seq) == (number + 1, last_seq + 1) and block.last_seq >= block.first_seq
        if not follows or block.hash_after(before) != block.hash:
            return block
        before, number, last_seq = block.hash, block.number, block.last_seq
    return None
