"""A bad night of the relay, with a worker that dies at every point: what is unclear is held, or doubled and listed."""

import signal
from typing import Any

import pytest
from acceptance_stage import START, Stage

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

FEW, MANY = 150, 1_000
_HANG = 5.0
"""Longer than the worker waits for a reply."""


def storm(seed: int) -> list[dict[str, Any]]:
    """2 % 451, 1 % 421, 1 % lost and 1 % silent after the dot, 1 % cut in the body, every tenth connection shut."""
    content = {"method": "smtp.content", "probability": 0.01}
    return [
        {"point": "before", "kind": "busy_451", "method": "smtp.rcpt", "probability": 0.02, "seed": seed},
        {"point": "before", "kind": "closing_421", "method": "smtp.mail", "probability": 0.01, "seed": seed + 1},
        {"point": "after", "kind": "reset", "seed": seed + 2, **content},
        {
            "point": "after",
            "kind": "hang",
            "method": "smtp.content",
            "probability": 0.01,
            "delay": _HANG,
            "seed": seed + 3,
        },
        {"point": "before", "kind": "reset", "method": "smtp.body", "probability": 0.01, "seed": seed + 4},
        {"point": "before", "kind": "closing_421", "method": "smtp.connect", "positions": list(range(10, 400, 10))},
        {"point": "odd", "kind": "slow", "method": "smtp.content", "probability": 0.02, "delay": 0.5, "seed": seed + 5},
    ]


async def rages(stage: Stage, seed: int, eventually) -> None:
    """The storm over a run, a death at each point, and then fair weather until nothing moves any more."""
    await stage.post("faults", storm(seed))
    for number, point in enumerate(points_of(Road.RELAY)):
        worker = await stage.worker(delivery__drill=f"{point}:{1 if point is Point.IN_SETTLE else 3 + number}")
        assert await worker.end(START) == -signal.SIGKILL, worker.said
    await stage.worker()
    await eventually(lambda: is_settled(stage), within=3 * START)


@pytest.mark.parametrize(("count", "seed"), [(FEW, 1), pytest.param(MANY, 2, marks=pytest.mark.slow)])
async def test_under_hold_nothing_is_missing_but_what_is_listed_and_nothing_comes_twice(
    stage: Stage, mailboxes, smtp_port, eventually, count: int, seed: int
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:3], again_after_seconds=1)
    addresses = await submit_by(stage, count, unclear=Unclear.HOLD)
    await rages(stage, seed, eventually)
    await nothing_missing_under_hold(stage, addresses)
    assert await waiting(stage)
    counts = await stage.counts()
    assert counts.keys() == {"accepted", "uncertain"}
    assert await stage.chain_is_intact()


@pytest.mark.parametrize(("count", "seed"), [(FEW, 3), pytest.param(MANY, 4, marks=pytest.mark.slow)])
async def test_under_again_nothing_is_missing_and_every_second_copy_is_listed(
    stage: Stage, mailboxes, smtp_port, eventually, count: int, seed: int
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:3], again_after_seconds=1, most_again=9)
    addresses = await submit_by(stage, count, unclear=Unclear.AGAIN)
    await rages(stage, seed, eventually)
    assert await stage.counts() == {"accepted": count}
    _, listed = await every_second_copy_is_listed(stage, addresses)
    await one_message_id_each(stage)
    assert listed, "the storm lost no reply"
    assert await stage.chain_is_intact()
