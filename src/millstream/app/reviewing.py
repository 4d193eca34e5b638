"""Reviews in a worker: what is due, what waits, what leaves and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from millstream.app.house import House
from millstream.app.reading_options import reading_options
from millstream.app.review import open_desk, review_drill, review_options, reviews_on
from millstream.app.review_replies import check_replies
from millstream.app.watching import watching
from millstream.communication.model import Mode
from millstream.delivery.holds import Holds
from millstream.gmail import Gmail
from millstream.gmail.client import MailboxClient
from millstream.mailbox.meter import ReadingMeter, project_window
from millstream.review import due
from millstream.review.gathering import Gathering, GatheringOptions
from millstream.review.mailing import TICK as MAILING_TICK
from millstream.review.mailing import Mailing
from millstream.review.missing import TICK as MISSING_TICK
from millstream.review.missing import Missed, owed
from millstream.review.options import Point
from millstream.review.papers import TICK as PAPERS_TICK
from millstream.review.papers import Papers
from millstream.review.replies import Replies
from millstream.review.watched import Levels
from millstream.work.engine import Sweep
from millstream.work.events import Listener

_DUE_EVERY = 1.0
_LOST_EVERY = 5.0
_GATHER_EVERY = 0.5
_WITHDRAW_EVERY = 15.0
_HOLDS_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Reviewing:
    """What of reviews runs in a worker."""

    sweeps: tuple[Sweep, ...] = ()
    listeners: tuple[Mapping[str, Listener], ...] = ()


@asynccontextmanager
async def reviewing(house: House, gmail: Gmail) -> AsyncIterator[Reviewing]:
    """What of reviews runs in this worker; nothing where no policy is named, and nothing is left of earlier ones.

    Raises:
        BadPolicy: policy files cannot be used.
        ConfigError: the pool that asks has no mailbox, or replies are read nowhere.
        ExstreamError: what its tokens need is not set.
    """
    if not reviews_on(house.settings) and not await owed(house.pool):
        # What was ordered before the policies were taken away is still carried out.
        yield Reviewing((_carrying(house),))
        return
    options = review_options(house.settings)
    levels = Levels()
    desk, steps = open_desk(house, approvers=levels)
    check_replies(house.settings, desk.book)
    gathering = Gathering(
        house.pool, desk, desk.book, holds=Holds(house.pool), options=GatheringOptions(settle=options.settle)
    )
    mailing = Mailing(
        house.pool,
        house.documents,
        options,
        calendars=desk.book.calendars,
        mode=Mode(house.settings.delivery.mode),
    )
    papers = Papers(house.pool, house.documents, metered(house, gmail))
    replies = Replies(desk, options.languages)
    what_is_due = due.Due(house.pool, desk)
    missed = Missed(house.pool, desk.book.policies)
    sweeps = (
        Sweep("reviews", _DUE_EVERY, what_is_due.sweep),
        Sweep("review_lost", _LOST_EVERY, what_is_due.lost),
        Sweep("review_mails", MAILING_TICK, mailing.send_due),
        Sweep("review_papers", PAPERS_TICK, papers.collect_due),
        Sweep("review_gathering", _GATHER_EVERY, gathering.sweep),
        Sweep("review_withdrawn", _WITHDRAW_EVERY, gathering.withdraw),
        Sweep("review_policies", MISSING_TICK, missed.look),
        _carrying(house),
    )
    async with watching(house, desk, steps, levels, every=options.watch) as looks:
        yield Reviewing(
            (*sweeps, *looks), (due.listeners(desk), replies.listeners(), steps.listeners(), gathering.listeners())
        )


def metered(house: House, gmail: Gmail) -> Callable[[str], MailboxClient]:
    """Mailboxes whose lanes leave room for each call before it is made; what they always leave is the reading's."""
    options = replace(reading_options(house.settings), beside=1)
    project = project_window(options.limits, options.project_share)
    meters: dict[str, ReadingMeter] = {}

    def mailbox(address: str) -> MailboxClient:
        meter = meters.get(address)
        if meter is None:
            announce = partial(house.mailboxes.announce, address)
            meter = meters[address] = ReadingMeter(options, project, announce=announce)
            meter.share_with(lane=True)
        return gmail.mailbox(address, meter)

    return mailbox


def _carrying(house: House) -> Sweep:
    drill = review_drill(house.settings)
    return Sweep(
        "review_orders", _HOLDS_EVERY, Holds(house.pool, in_order=lambda: drill.passes(Point.IN_HOLD_ORDER)).carry_due
    )
