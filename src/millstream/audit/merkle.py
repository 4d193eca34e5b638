"""Merkle trees in the shape of RFC 6962, section 2.1: one hash for many, and short proofs that one is among them.

A leaf is SHA-256(0x00 ‖ what it stands for), a node SHA-256(0x01 ‖ left ‖ right); the left side of a node is the
largest power of two that leaves something for the right. The two first bytes keep a node from passing for a leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY = sha256(b"").digest()
"""The root over nothing."""


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree over values, all its levels kept: 64 bytes a value."""

    def __init__(self, values: Iterable[bytes]) -> None:
        level = [sha256(b"\x00" + value).digest() for value in values]
        self._levels = [level]
        while len(level) > 1:
            # The last of an odd level has nobody beside it and rises as it is: the RFC's tree, made upwards.
            above = [_node(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
            level = above + level[-1:] if len(level) % 2 else above
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """The one hash."""
        return self._levels[-1][0] if self._levels[0] else EMPTY

    def path(self, index: int) -> list[bytes]:
        """The hashes that lead from the value at `index` to the root, from below. IndexError where there is none."""
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(f"there is no value {index}; the tree has {len(self._levels[0])}")
        found = []
        for level in self._levels[:-1]:
            beside = index ^ 1
            if beside < len(level):
                found.append(level[beside])
            index //= 2
        return found


def leads_to(value: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a value at `index` of `size` has by its path; None where the path has not the right length."""
    if not 0 <= index < size:
        return None
    reached, rest, last = sha256(b"\x00" + value).digest(), list(path), size - 1
    while last:
        if index % 2 or index < last:
            if not rest:
                return None
            beside = rest.pop(0)
            reached = _node(beside, reached) if index % 2 else _node(reached, beside)
        index, last = index // 2, last // 2
    return None if rest else reached
