"""What comes by itself: reminders, rungs, deadlines, delegations that begin; and questions that came back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from millstream.log import get_logger
from millstream.review.desk import ReviewDesk
from millstream.review.model import Undeliverable
from millstream.review.store import queries
from millstream.storage.errors import DatabaseError
from millstream.storage.pool import Connection, Pool, transaction

log = get_logger(__name__)

BOUNCED: Final = "delivery.bounced"
MAIL_LOST: Final = "review.mail_lost"
_PORTION: Final = 250
"""Reviews in one transaction. Their rows are locked for as long as it takes, the audit chain only at its end.

Portions of 50 took half as long again for 200 reviews (2026-11-25): most of a portion's cost does not grow with it.
"""
_ROUNDS: Final = 8
_AGAIN_SECONDS: Final = 600.0
_ASKING: Final = frozenset({"ask", "climb", "bundle"})


class Event(Protocol):
    """An event as `work` hands it out."""

    @property
    def subject(self) -> str:
        """`delivery:<token>`, or `review:<id>`."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the delivery room wrote: bounce, suppressed, status, diagnostic; of a lost mail what the outbox did."""


class Due:
    """Does what is due, in portions; processes share the work."""

    def __init__(self, pool: Pool, desk: ReviewDesk, *, portion: int = _PORTION) -> None:
        self._pool = pool
        self._desk = desk
        self._portion = portion

    async def sweep(self) -> int:
        """Do what is due now; answers for how many reviews. One that fails harms no other, and is tried again later.

        Raises:
            DatabaseError: the database is away; what was done before stays so.
        """
        done = 0
        for _ in range(_ROUNDS):
            try:
                async with transaction(self._pool) as conn:
                    count = await self._desk.apply_due(conn, self._portion)
            except DatabaseError:
                raise
            except Exception as problem:  # noqa: BLE001  one of the portion cannot be done, and it is not known which
                log.warning("review.portion_failed", error=str(problem))
                count = await self._singly()
            done += count
            if count < self._portion:
                break
        return done

    async def lost(self) -> int:
        """Find mails that were stopped before they reached anybody: a suppressed address, a refusal by Gmail.

        Raises:
            DatabaseError: the database is away; what was done before stays so.
        """
        async with transaction(self._pool) as conn:
            rows = [row async for row in queries.stopped_mails(conn, most=self._portion)]
        for row in rows:
            why = ": ".join(filter(None, (row["reason"], row["detail"]))) or "the question was not sent"
            try:
                async with transaction(self._pool) as conn:
                    await self._desk.apply(conn, row["review_id"], Undeliverable(row["address"], why))
            except DatabaseError:
                raise
            except Exception:
                log.exception("review.lost_failed", review=row["review_id"])
        return len(rows) + await self._stopped_words()

    async def _stopped_words(self) -> int:
        """Reminders and news that were stopped."""
        async with transaction(self._pool) as conn:
            words = [row async for row in queries.stopped_words(conn, most=self._portion)]
            for row in words:
                number, why = row["review_id"], row["error"] or "it was not sent"
                try:
                    async with conn.transaction():
                        await self._desk.lose_word(conn, number, address=row["address"], kind=row["kind"], why=why)
                except DatabaseError:
                    raise
                except Exception:
                    if conn.closed:
                        raise
                    log.exception("review.lost_failed", review=number)
        return len(words)

    async def _singly(self) -> int:
        for count in range(self._portion):
            async with transaction(self._pool) as conn:
                try:
                    async with conn.transaction():
                        if not await self._desk.apply_due(conn, 1):
                            return count
                except DatabaseError:
                    raise
                except Exception:
                    if conn.closed:
                        raise
                    row = await queries.put_off(conn, now=self._desk.now(), seconds=_AGAIN_SECONDS)
                    log.exception("review.due_failed", review=row and row["id"], again_in=_AGAIN_SECONDS)
        return self._portion


def listeners(desk: ReviewDesk) -> dict[str, Callable[[Connection, Event], Awaitable[None]]]:
    """Kind of event to who answers it, for `work.events.Events`."""

    async def bounced(conn: Connection, event: Event) -> None:
        noun, _, token = event.subject.partition(":")
        facts = event.payload
        if noun != "delivery" or not (facts.get("bounce") == "hard" or facts.get("suppressed")):
            return
        found = [row async for row in queries.bounced_mail(conn, token=token)]
        await desk.lock(conn, [row["review_id"] for row in found])
        why = " ".join(f"{facts.get('status') or ''} {facts.get('diagnostic') or ''}".split())
        for row in found:
            await desk.apply(conn, row["review_id"], Undeliverable(row["address"], why or "the mail came back"))

    async def mail_lost(conn: Connection, event: Event) -> None:
        facts, number = event.payload, event.subject.removeprefix("review:")
        if not (number.isascii() and number.isdigit()):
            return
        review_id, address, kind = int(number), str(facts.get("address")), str(facts.get("kind"))
        if kind not in _ASKING:
            why = f"it could not be written: {facts.get('error')}"
            await desk.lose_word(conn, review_id, address=address, kind=kind, why=why)
            return
        await desk.lock(conn, [review_id])
        review = (await desk.stored(conn, review_id)).review
        if review.round == facts.get("round"):
            why = f"the question could not be written: {facts.get('error')}"
            await desk.apply(conn, review_id, Undeliverable(address, why))

    return {BOUNCED: bounced, MAIL_LOST: mail_lost}
