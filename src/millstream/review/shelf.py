"""Reviews for people: lists, one review's whole history, and delegations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from millstream.review.errors import BadDelegation, UnknownReview
from millstream.review.model import State
from millstream.review.people import People, StandIn, circle, stand_in_of
from millstream.review.ports import Clock
from millstream.review.store import dumps, queries
from millstream.storage.pool import Connection


def _now() -> datetime:
    return datetime.now(UTC)


class Shelf:
    """Looks things up, and keeps delegations. Everything works on the connection it is given."""

    def __init__(self, people: People, *, clock: Clock = _now) -> None:
        self._people = people
        self._clock = clock

    async def listed(  # noqa: PLR0913  filters, by name
        self,
        conn: Connection,
        *,
        state: State | None = None,
        policy: str | None = None,
        address: str | None = None,
        overdue: bool | None = None,
        before: int | None = None,
        most: int = 50,
    ) -> list[dict[str, Any]]:
        """Reviews, the newest first; `address`: those that wait for this person. `before`: a number to go on from."""
        values = {"state": state, "policy": policy, "overdue": overdue, "before": before, "most": most}
        person = None if address is None else self._canonical(address)
        return [row async for row in queries.list_reviews(conn, address=person, **values)]

    async def counted(self, conn: Connection) -> list[dict[str, Any]]:
        """How many reviews there are: {policy, state, overdue, reviews}."""
        return [row async for row in queries.count_reviews(conn)]

    async def history(self, conn: Connection, review_id: int) -> dict[str, Any]:
        """One review with all there is: rounds, seats, answers, decisions, mails, steps, orders, papers, each in order.

        Raises:
            UnknownReview: no review has the number.
        """
        found: dict[str, Any] | None = await queries.history_of(conn, id=review_id)
        if found is None:
            raise UnknownReview(f"there is no review {review_id}; `millstream review list` shows those there are")
        return found

    # Delegations

    async def delegations(self, conn: Connection) -> list[dict[str, Any]]:
        """Those made by command that hold now or later; those of the files stand in the book."""
        return [row async for row in queries.delegations_now(conn, now=self._clock())]

    async def delegate(  # noqa: PLR0913  the facts of a delegation, by name
        self,
        conn: Connection,
        address: str,
        to: str,
        *,
        since: datetime,
        until: datetime | None = None,
        policy: str | None = None,
        actor: str,
    ) -> int:
        """Have somebody answer for somebody else for a while; questions that wait move when it begins.

        Raises:
            BadDelegation: the policies know one of them not, it is one person, it ends before it begins, or it leads
                in a circle.
        """
        now = self._clock()
        giver, taker = self._known(address), self._known(to)
        if giver == taker:
            raise BadDelegation(f"{address} and {to} are one person")
        if until is not None and until <= max(since, now):
            raise BadDelegation("the delegation would end before it begins, or has ended; choose a later end")
        await queries.lock_delegations(conn)
        await self._refuse_circles(conn, StandIn(giver, taker, since, until, policy))
        values = {"address": giver, "to_address": taker, "policy": policy, "since": since, "until": until}
        row = await queries.delegate(conn, actor=actor, now=now, **values)
        await queries.wake_for_delegation(conn, address=giver, policy=policy, at=max(since, now))
        await self._audit(conn, "delegation_made", actor, delegation=row["id"], **values)
        return int(row["id"])

    async def end_delegation(self, conn: Connection, number: int, *, actor: str) -> None:
        """Let a delegation hold no more; questions that moved stay where they are.

        Raises:
            BadDelegation: there is none that holds.
        """
        row = await queries.end_delegation(conn, id=number, now=self._clock())
        if row is None:
            raise BadDelegation(f"no delegation {number} holds; `millstream review delegations` shows those that do")
        await self._audit(conn, "delegation_ended", actor, delegation=number, **row)

    async def _refuse_circles(self, conn: Connection, made: StandIn) -> None:
        rows = [row async for row in queries.delegations_now(conn, now=self._clock())]
        if problem := circle([*self._people.delegated(), *map(stand_in_of, rows), made]):
            raise BadDelegation(problem)

    def _known(self, address: str) -> str:
        person = self._people.person(address)
        if person is None:
            raise BadDelegation(f"{address} is in no policy file; name people there first")
        return person.address

    def _canonical(self, address: str) -> str:
        person = self._people.person(address)
        return person.address if person else address.strip().lower()

    @staticmethod
    async def _audit(conn: Connection, kind: str, actor: str, **facts: Any) -> None:
        payload = dumps({name: value for name, value in facts.items() if value is not None})
        subject = f"person:{facts['address']}"
        entry = {"actor": actor, "kind": f"review.{kind}", "subject": subject, "payload": payload}
        await queries.audit(conn, entries=dumps([entry]))
