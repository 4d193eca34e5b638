"""A process that answers a review and dies at a drill's point."""

import asyncio
import sys
from datetime import datetime

from state_room import ANNA, make_room, says

from millstream.drill import Drill
from millstream.review.model import Verdict
from millstream.review.options import Point
from millstream.storage.pool import open_pool, transaction


async def main(url: str, number: int, now: str, drill: str) -> None:
    pool = await open_pool(url, maximum=3)
    room = make_room(pool, drill=Drill(drill, Point))
    room.now = datetime.fromisoformat(now)
    async with transaction(pool) as conn:
        await room.desk.apply(conn, number, says(ANNA, Verdict.REJECT, "no"))
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
