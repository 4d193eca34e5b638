"""Reviews in a worker: what is due, what waits, what leaves and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from millstream.app.house import House
from millstream.app.review import policy_book, review_drill
from millstream.nextstep.model import Verb, Wish
from millstream.nextstep.store import StepStore
from millstream.review.desk import ReviewDesk
from millstream.review.people import People
from millstream.review.ports import Approvers
from millstream.review.steps import Steps, StepWish
from millstream.storage.pool import Connection
from millstream.work.engine import Sweep
from millstream.work.events import Listener

_DUE_EVERY = 1.0
_GATHER_EVERY = 0.5
_WITHDRAW_EVERY = 15.0
_HOLDS_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Reviewing:
    """What of reviews runs in a worker."""

    sweeps: tuple[Sweep, ...] = ()
    listeners: tuple[Mapping[str, Listener], ...] = ()


async def ask(conn: Connection, wish: StepWish) -> int | None:
    """Write a review's wish down where next steps lie."""
    return await StepStore.ask(
        conn,
        Wish(
            key=wish.key,
            verb=Verb(wish.verb),
            target=wish.target,
            subject=wish.subject,
            actor=wish.actor,
            domain=wish.domain,
            arguments=wish.arguments,
        ),
    )


def open_desk(house: House, *, approvers: Approvers | None = None) -> tuple[ReviewDesk, Steps]:
    """The desk, and what follows from its decisions.

    Raises:
        BadPolicy: policy files cannot be used.
        ConfigError: the pool that asks has no mailbox.
    """
    book, steps = policy_book(house.settings), Steps(ask)
    desk = ReviewDesk(
        book,
        People(book, approvers=approvers),
        finish=steps.finish,
        begun=steps.begun,
        drill=review_drill(house.settings),
    )
    steps.attach(desk)
    return desk, steps
