"""A process that carries orders out, until it is killed in one."""

import asyncio
import sys
from functools import partial

from millstream.delivery.holds import Holds
from millstream.drill import Drill
from millstream.review.options import Point
from millstream.storage.pool import open_pool


async def main(url: str, portion: int, order: str) -> None:
    pool = await open_pool(url, maximum=2)
    drill = Drill(order, Point)
    await Holds(pool, portion=portion, in_order=partial(drill.passes, Point.IN_HOLD_ORDER)).carry_due()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
