"""A process that fetches what was sent, until somebody ends it."""

import asyncio
import sys

from millstream.gmail import Gmail, GmailOptions, StaticTokens
from millstream.review.papers import Papers
from millstream.storage.objects import open_store
from millstream.storage.pool import open_pool


async def main(url: str, documents: str, endpoint: str, mailbox: str) -> None:
    options = GmailOptions(endpoint=endpoint, token_url=f"{endpoint}/token", call_seconds=60.0)
    async with Gmail(options, StaticTokens({mailbox: f"sandbox:{mailbox}"})) as gmail:
        pool = await open_pool(url, maximum=3)
        await Papers(pool, open_store(documents), gmail.mailbox).collect_due()
        await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
