"""Nobody puts a letter where a question of ours belongs: its reader would be given the question's link."""

import pytest

from millstream.communication.errors import RunMismatch
from millstream.communication.model import Mode, Policy
from millstream.communication.store import RunStore
from millstream.storage.pool import Pool


async def test_runs_of_reviews_are_opened_by_the_review_room_alone(pool: Pool) -> None:
    given = {"pool": "review", "mode": Mode.DRAFT, "policy": Policy(bounce_limit=1.0), "source": "reviews"}
    with pytest.raises(RunMismatch, match="kept for mails of reviews"):
        await RunStore(pool).open_run("reviews/2026-12", **given)
    ours = await RunStore(pool, reviews=True).open_run("reviews/2026-12", **given)
    with pytest.raises(RunMismatch, match="kept for mails of reviews"):
        await RunStore(pool).open_run("reviews/2026-12", **given)
    assert (await RunStore(pool).find("reviews/2026-12")).id == ours.id
