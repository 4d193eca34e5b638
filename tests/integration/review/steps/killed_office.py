"""A process in which somebody approves, and the step is carried, until it dies at a drill's point."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "sandbox" / "exstream"))
sys.path.insert(0, str(Path(__file__).parents[2] / "nextstep"))

from office import answer_to, desk_of
from step_desk import client_of

from millstream.nextstep.carry import Carrier, StepOptions
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import Tools
from millstream.review.model import Verdict
from millstream.storage.objects import open_store
from millstream.storage.pool import open_pool, transaction


async def main(url: str, doors: dict[str, str], documents: str, number: int, room: str, point: str) -> None:
    pool = await open_pool(url, maximum=3)
    desk, _, _ = desk_of(None, point if room == "review" else None)
    async with transaction(pool) as conn:
        review = await desk.find(conn, number)
        await desk.apply(conn, number, answer_to(review, Verdict.APPROVE))
    server = client_of(doors)
    options = StepOptions(drill=point if room == "steps" else None, lease=0.5)
    async with Carrier(StepStore(pool), Tools(documents=open_store(documents), exstream=server), options) as carrier:
        await carrier.carry_due()
        await carrier.drain()
    await server.close()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5], sys.argv[6]))
