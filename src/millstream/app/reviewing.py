"""Reviews in a worker: what is due, what waits, what leaves and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from millstream.app.house import House
from millstream.app.review import policy_book, review_drill, review_options, reviews_on
from millstream.app.watching import watching
from millstream.communication.model import Mode
from millstream.delivery.holds import Holds
from millstream.gmail import Gmail
from millstream.nextstep.model import Verb, Wish
from millstream.nextstep.store import StepStore
from millstream.review import due
from millstream.review.desk import ReviewDesk
from millstream.review.gathering import Gathering, GatheringOptions
from millstream.review.mailing import TICK as MAILING_TICK
from millstream.review.mailing import Mailing
from millstream.review.options import Point
from millstream.review.papers import TICK as PAPERS_TICK
from millstream.review.papers import Papers
from millstream.review.people import People
from millstream.review.ports import Approvers
from millstream.review.replies import Replies
from millstream.review.steps import Steps
from millstream.review.watched import Levels
from millstream.review.wishes import StepWish
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


@asynccontextmanager
async def reviewing(house: House, gmail: Gmail) -> AsyncIterator[Reviewing]:
    """What of reviews runs in this worker; nothing where no policy is named.

    Raises:
        BadPolicy: policy files cannot be used.
        ConfigError: the pool that asks has no mailbox.
        ExstreamError: what its tokens need is not set.
    """
    if not reviews_on(house.settings):
        # What was ordered before the policies were taken away is still carried out.
        yield Reviewing((_carrying(house),))
        return
    options = review_options(house.settings)
    levels = Levels()
    desk, steps = open_desk(house, approvers=levels)
    holds = Holds(house.pool)
    gathering = Gathering(
        house.pool, desk, desk.book, replace=holds.replace, options=GatheringOptions(settle=options.settle)
    )
    mailing = Mailing(
        house.pool,
        house.documents,
        options,
        calendars=desk.book.calendars,
        mode=Mode(house.settings.delivery.mode),
    )
    papers = Papers(house.pool, house.documents, gmail.mailbox)
    replies = Replies(desk, options.languages)
    sweeps = (
        Sweep("reviews", _DUE_EVERY, due.Due(house.pool, desk).sweep),
        Sweep("review_mails", MAILING_TICK, mailing.send_due),
        Sweep("review_papers", PAPERS_TICK, papers.collect_due),
        Sweep("review_gathering", _GATHER_EVERY, gathering.sweep),
        Sweep("review_withdrawn", _WITHDRAW_EVERY, gathering.withdraw),
        _carrying(house),
    )
    async with watching(house, desk, steps, levels, every=options.watch) as looks:
        yield Reviewing(
            (*sweeps, *looks), (due.listeners(desk), replies.listeners(), steps.listeners(), gathering.listeners())
        )


def _carrying(house: House) -> Sweep:
    drill = review_drill(house.settings)
    return Sweep(
        "review_orders", _HOLDS_EVERY, Holds(house.pool, in_order=lambda: drill.passes(Point.IN_HOLD_ORDER)).carry_due
    )
