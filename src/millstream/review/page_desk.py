"""The ledger as answer pages see it."""

from __future__ import annotations

from pathlib import Path

import aiosql

from millstream.review.desk import ReviewDesk
from millstream.review.model import Answered, Content
from millstream.review.ports import Applied, DocumentStore
from millstream.review.sheet import Addressed, AskedCase, Case
from millstream.storage.pool import Pool, transaction

queries = aiosql.from_path(Path(__file__).with_name("pages.sql"), "apsycopg", mandatory_parameters=False)


class LedgerPages:
    """Reads reviews for pages, and lets the answers of pages count. A database that is away is told at once."""

    def __init__(self, pool: Pool, desk: ReviewDesk, documents: DocumentStore, *, patience: float = 2.0) -> None:
        """`patience`: seconds to wait for a connection; whoever looks at a page may look again."""
        self._pool = pool
        self._desk = desk
        self._documents = documents
        self._patience = patience

    async def addressed(self, token: str) -> Addressed | None:
        """What the mail of a delivery asked; None where it is no mail of a review."""
        async with transaction(self._pool, patience=self._patience) as conn:
            rows = [row async for row in queries.addressed(conn, token=token)]
        if not rows:
            return None
        cases = (AskedCase(row["number"], row["review_id"], row["round"], row["seat_id"]) for row in rows)
        return Addressed(rows[0]["address"], tuple(cases))

    async def case(self, review_id: int) -> Case:
        """A review as it stands.

        Raises:
            UnknownReview: no review has the number.
        """
        async with transaction(self._pool, patience=self._patience) as conn:
            stored = await self._desk.stored(conn, review_id)
            rows = [row async for row in queries.rounds(conn, id=review_id)]
        contents = {row["number"]: Content.from_json(row["hash"], row["content"]) for row in rows}
        calendar = self._desk.people.calendar(stored.policy)
        return Case(stored.review, stored.policy, contents, calendar.time_zone if calendar else "UTC")

    async def answer(self, review_id: int, answered: Answered) -> Applied:
        """Let an answer count, or not, in a transaction of its own."""
        async with transaction(self._pool, patience=self._patience) as conn:
            return await self._desk.apply(conn, review_id, answered)

    async def document(self, sha256: str) -> bytes:
        """A paper's bytes.

        Raises:
            DocumentStoreError: they cannot be read.
        """
        return await self._documents.get(sha256)

    def canonical(self, address: str) -> str:
        """The one address that a person is known by, from any of theirs."""
        person = self._desk.people.person(address)
        return person.address if person else address.strip().lower()
