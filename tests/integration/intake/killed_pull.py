"""A process that looks for finished jobs and fetches them, until it is killed."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "exstream"))

from pull_desk import client_of, pull_of

from millstream.storage.pool import open_pool


async def main(url: str, doors: dict[str, str], folder: str) -> None:
    pool = await open_pool(url, maximum=3)
    server = client_of(doors, call_seconds=60.0)
    await pull_of(pool, server, Path(folder)).round()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]))
