"""Room for so many bytes: who comes first gets it first."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple


class _Waiting(NamedTuple):
    granted: asyncio.Future[None]
    size: int


class Room:
    """Of `most` bytes; what is larger takes all of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._waiting: deque[_Waiting] = deque()

    async def take(self, size: int) -> int:
        """Wait until there is room for so many; answers how many to give back."""
        size = min(size, self._most)
        if not self._waiting and size <= self._free:
            self._free -= size
            return size
        waiting = _Waiting(asyncio.get_running_loop().create_future(), size)
        self._waiting.append(waiting)
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self.give(0)  # it may have been the one in the way
            else:
                self.give(size)
            raise
        return size

    def give(self, size: int) -> None:
        """Give it back."""
        self._free += size
        while self._waiting and self._waiting[0].size <= self._free:
            waiting = self._waiting.popleft()
            self._free -= waiting.size
            waiting.granted.set_result(None)
