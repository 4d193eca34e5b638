"""kill -9 at every named point of the relay road, under both policies; and a relay that dies itself."""

import signal

import pytest
from acceptance_stage import START, Stage, one_each

from millstream.communication.model import Road, Unclear
from millstream.delivery.options import Point, points_of
from relay_stage import (
    every_second_copy_is_listed,
    is_settled,
    nothing_missing_under_hold,
    one_message_id_each,
    submit_by,
    waiting,
    with_relay,
)

COUNT = 30
POINTS = points_of(Road.RELAY)
UNSENT = (Point.BEFORE_ENVELOPE, Point.AFTER_BODY_BEFORE_COMMIT)
"""Where nothing was sent, provably: no person is asked."""


async def dies(stage: Stage, point: Point) -> None:
    """A worker that kills itself when it comes to this point for the third time, with others in flight."""
    worker = await stage.worker(delivery__drill=f"{point}:{1 if point is Point.IN_SETTLE else 3}")
    assert await worker.end(START) == -signal.SIGKILL, worker.said


async def leaves_with_a_death(stage: Stage, point: Point, eventually) -> None:
    if point is Point.IN_SETTLE:  # there is something to settle only after another death
        await dies(stage, Point.AFTER_DOT_BEFORE_REPLY)
    await dies(stage, point)
    await stage.worker()
    await eventually(lambda: is_settled(stage), within=START)


@pytest.mark.parametrize("point", POINTS)
async def test_a_death_under_hold_doubles_nothing_and_lists_what_is_unclear(
    stage: Stage, mailboxes, smtp_port, eventually, point: Point
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:2])
    addresses = await submit_by(stage, COUNT, unclear=Unclear.HOLD)
    await leaves_with_a_death(stage, point, eventually)
    await nothing_missing_under_hold(stage, addresses)
    if point not in UNSENT:
        assert await waiting(stage)
    assert await stage.chain_is_intact()


@pytest.mark.parametrize("point", POINTS)
async def test_a_death_under_again_misses_nothing_and_lists_every_second_copy(
    stage: Stage, mailboxes, smtp_port, eventually, point: Point
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:2])
    addresses = await submit_by(stage, COUNT, unclear=Unclear.AGAIN)
    await leaves_with_a_death(stage, point, eventually)
    await every_second_copy_is_listed(stage, addresses)
    await one_message_id_each(stage)
    assert await stage.chain_is_intact()


@pytest.mark.parametrize("point", UNSENT)
async def test_what_has_no_dot_is_proven_unsent_and_sent_once(
    stage: Stage, mailboxes, smtp_port, eventually, point: Point
) -> None:
    """One message at a time: nothing else is in flight when the worker dies."""
    await with_relay(stage, smtp_port, mailboxes[0], per_lane=1)
    addresses = await submit_by(stage, COUNT, unclear=Unclear.HOLD)
    await leaves_with_a_death(stage, point, eventually)
    assert await stage.arrived() == one_each(addresses)
    assert await waiting(stage) == set()
    assert await stage.rows("SELECT count(*) FROM delivery WHERE repeats > 0") == [{"count": 0}]


async def test_a_death_between_the_row_and_the_dot_is_repeated_without_a_copy(
    stage: Stage, mailboxes, smtp_port, eventually
) -> None:
    await with_relay(stage, smtp_port, mailboxes[0], per_lane=1)
    addresses = await submit_by(stage, COUNT, unclear=Unclear.AGAIN)
    await leaves_with_a_death(stage, Point.AFTER_COMMIT_BEFORE_DOT, eventually)
    twice, listed = await every_second_copy_is_listed(stage, addresses)
    assert (twice, len(listed)) == (set(), 1)


async def test_a_death_after_the_dot_leaves_a_second_copy_that_is_listed(
    stage: Stage, mailboxes, smtp_port, eventually
) -> None:
    await with_relay(stage, smtp_port, mailboxes[0], per_lane=1)
    addresses = await submit_by(stage, COUNT, unclear=Unclear.AGAIN)
    await leaves_with_a_death(stage, Point.AFTER_REPLY_BEFORE_COMMIT, eventually)
    twice, listed = await every_second_copy_is_listed(stage, addresses)
    assert twice == listed
    assert len(twice) == 1
