"""The desk behind every door: many hand over at once, one commit makes all of it durable, and then all are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from millstream.drill import Drill
from millstream.intake.consignment import Accepted, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.errors import DocumentsFailed, IntakeError, LedgerFailed
from millstream.intake.options import Point
from millstream.intake.ports import DocumentStore
from millstream.storage.errors import ConstraintBroken, DatabaseError, DocumentStoreError, QueryFailed

_MOST_AT_ONCE = 500
_FIRST_LOOK = 0.05
_LONGEST_GAP = 0.1


@dataclass(frozen=True, slots=True)
class _Waiting:
    offer: Offer
    content: bool
    told: asyncio.Future[Accepted]


class Reception:
    """Fulfils `consignment.Receiving` for one process.

    What is handed over while a commit is under way goes into the next one: a flush of the document store and a
    statement cost the same for one as for a hundred.
    """

    def __init__(
        self, store: ConsignmentStore, documents: DocumentStore, *, gap: float = 0.004, drill: Drill | None = None
    ) -> None:
        self._store = store
        self._documents = documents
        self._gap = gap
        self._drill = drill
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None

    async def receive(self, offer: Offer, content: bytes | None = None) -> Accepted:
        """Return when the offer, and its content where it is given, survive a power failure.

        Raises:
            DocumentsFailed: the document store does not take the content; nothing is promised.
            LedgerFailed: the database is away or refuses it; nothing is promised.
        """
        if content is not None:
            try:
                stored = await self._documents.put(content)
            except DocumentStoreError as error:
                raise DocumentsFailed(str(error)) from error
            offer = replace(offer, place=f"sha256:{stored.sha256}")
        told: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(offer, content is not None, told))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return await told

    async def settled(self, number: int, *, within: float) -> Accepted:
        """Wait until a consignment is taken or failed, for so many seconds at most; answers how it stands then.

        Raises:
            LedgerFailed: the database is away.
            UnknownConsignment: there is none.
        """
        loop = asyncio.get_running_loop()
        deadline, gap = loop.time() + within, _FIRST_LOOK
        while True:
            try:
                found = await self._store.standing(number)
            except DatabaseError as error:
                raise LedgerFailed(str(error)) from error
            left = deadline - loop.time()
            if found.state != "received" or left <= 0:
                return found
            await asyncio.sleep(min(gap, left))
            gap = min(gap * 1.2, _LONGEST_GAP)

    async def _commit(self) -> None:
        """Until nobody waits: gather for a moment, make durable, tell."""
        await asyncio.sleep(self._gap)
        while self._waiting:
            now, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            try:
                await self._tell(now)
            except BaseException as error:
                # Whatever it is, nobody may wait for ever for a word that does not come.
                self._committing = None
                broken = LedgerFailed(f"nothing was taken in: {error!r}")
                for each in (*now, *self._waiting):
                    _refuse(each, broken)
                self._waiting = []
                raise
        self._committing = None

    async def _tell(self, group: Sequence[_Waiting]) -> None:
        try:
            answers = await self._durable(group)
        except IntakeError as error:
            if len(group) > 1 and isinstance(error.__cause__, QueryFailed | ConstraintBroken):
                # One of them is such that no ledger can hold it: it alone is refused.
                for each in group:
                    await self._tell([each])
                return
            for each in group:
                _refuse(each, error)
            return
        if self._drill is not None:
            self._drill.passes(Point.AFTER_RECEIPT)
        for each, answer in zip(group, answers, strict=True):
            if not each.told.done():
                each.told.set_result(answer)

    async def _durable(self, group: Sequence[_Waiting]) -> list[Accepted]:
        try:
            if any(each.content for each in group):
                await self._documents.flush()
            return await self._store.receive([each.offer for each in group])
        except DocumentStoreError as error:
            raise DocumentsFailed(str(error)) from error
        except DatabaseError as error:
            raise LedgerFailed(str(error)) from error


def _refuse(waiting: _Waiting, error: Exception | Any) -> None:
    if not waiting.told.done():
        waiting.told.set_exception(error)
