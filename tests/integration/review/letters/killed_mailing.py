"""A process that hands mails of reviews over until it dies at a drill's point."""

import asyncio
import sys

from millstream.review.mailing import Mailing
from millstream.review.options import ReviewOptions
from millstream.storage.objects import open_store
from millstream.storage.pool import open_pool


async def main(url: str, documents: str, drill: str) -> None:
    pool = await open_pool(url, maximum=3)
    await Mailing(pool, open_store(documents), ReviewOptions(lease=0.5, drill=drill)).send_due()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
