"""Waiting for a store that is away: again with growing gaps, and at the end a sentence for whoever asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from millstream.intake.errors import DocumentsFailed, LedgerFailed
from millstream.storage.errors import (
    DatabaseAway,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DocumentStoreError,
    StorageError,
    StoreAway,
)

Result = TypeVar("Result")

AGAIN = "What was committed is in; submit the same again when that is mended, and the rest follows."
_FIRST_GAP_SECONDS = 0.05
_LONGEST_GAP_SECONDS = 2.0
_TEMPORARY = (DatabaseAway, DatabaseBusy, DatabaseFull, StoreAway)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store that is away is waited for."""

    seconds: float
    hopeless: Callable[[StorageError], bool] = lambda _: False
    """Whether what is usually temporary is not."""

    async def asked(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """What the ledger says.

        Raises:
            LedgerFailed: the database is away for longer than we wait, or refuses us.
        """
        try:
            return await self.patiently(call)
        except DatabaseError as error:
            raise LedgerFailed(f"{error} {AGAIN}") from error

    async def kept(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """What the document store says.

        Raises:
            DocumentsFailed: it is full, away for longer than we wait, or refuses us.
        """
        try:
            return await self.patiently(call)
        except DocumentStoreError as error:
            raise DocumentsFailed(f"{error} {AGAIN}") from error

    async def patiently(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Call again with growing gaps while waiting may help: every call here bears being made twice.

        Raises:
            LedgerFailed, DocumentsFailed: it took too long.
            StorageError: waiting does not help.
        """
        loop = asyncio.get_running_loop()
        began, gap = loop.time(), _FIRST_GAP_SECONDS
        while True:
            try:
                return await call()
            except _TEMPORARY as error:
                waited = loop.time() - began
                if waited + gap > self.seconds or self.hopeless(error):
                    raise _given_up(error, waited) from error
            await asyncio.sleep(gap)
            gap = min(gap * 2, _LONGEST_GAP_SECONDS)


def _given_up(error: StorageError, waited: float) -> Exception:
    kind = DocumentsFailed if isinstance(error, DocumentStoreError) else LedgerFailed
    return kind(f"{error} Given up after {waited:.0f} s. {AGAIN}")
