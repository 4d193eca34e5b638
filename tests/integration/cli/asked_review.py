"""A question that somebody is asked, as commands find it in the database."""

from __future__ import annotations

import asyncio

from millstream.review.desk import ReviewDesk
from millstream.review.model import Content, Subject, SubjectKind
from millstream.review.people import People
from millstream.review.policy import PolicyBook
from millstream.storage.pool import open_pool, transaction


def asked_by(book: PolicyBook, database_url: str) -> int:
    """Open a review under the policy `letters`; nothing follows its decision."""

    async def opened() -> int:
        desk = ReviewDesk(book, People(book), finish=_finish, begun=_begun)
        pool = await open_pool(database_url)
        try:
            async with transaction(pool) as conn:
                subject = Subject(SubjectKind.COMMUNICATION, "1", name="Letter of October")
                number = await desk.open(conn, "letters", subject, Content("a" * 64, facts={"customer": "C-1"}))
        finally:
            await pool.close()
        assert number is not None
        return number

    return asyncio.run(opened())


async def _finish(*_given: object) -> None:
    """Nothing follows."""


async def _begun(*_given: object) -> bool:
    return False
