"""A process that dies in the middle of a decision has decided nothing: all that follows stands or falls with it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from state_room import ANNA, Room, apply, says

from millstream.audit.chain import verify
from millstream.review.model import Verdict
from millstream.review.options import Point

HERE = Path(__file__).parent


@pytest.mark.parametrize("point", [Point.BEFORE_DECISION, Point.AFTER_DECISION])
async def test_a_killed_decision_never_was_and_is_made_anew(room: Room, database_url: str, point: Point) -> None:
    number = await room.open()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "killed_desk.py"), database_url, str(number), room.now.isoformat(), f"{point}:1"
    )
    assert await process.wait() == -signal.SIGKILL
    [row] = await room.rows(
        "SELECT (SELECT count(*) FROM review_answer) AS answers, (SELECT count(*) FROM review_decision) AS decisions, "
        "(SELECT count(*) FROM review_mail WHERE kind = 'tell') AS told, state FROM review"
    )
    assert row == {"answers": 0, "decisions": 0, "told": 0, "state": "open"}
    done = await apply(room, number, says(ANNA, Verdict.REJECT, "no"))
    assert done.refusal is None
    assert len(room.decisions) == 1
    assert (await verify(room.pool)).intact
