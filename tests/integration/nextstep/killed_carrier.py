"""A process that carries steps against a sandbox until it dies at a drill's point, or nothing is due."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "exstream"))

from step_desk import client_of

from millstream.nextstep.carry import Carrier, StepOptions
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import Tools
from millstream.storage.objects import open_store
from millstream.storage.pool import open_pool


async def main(url: str, doors: dict[str, str], documents: str, drill: str) -> None:
    pool = await open_pool(url, maximum=3)
    server = client_of(doors)
    tools = Tools(documents=open_store(documents), exstream=server)
    async with Carrier(StepStore(pool), tools, StepOptions(drill=drill, lease=0.5)) as carrier:
        await carrier.carry_due()
        await carrier.drain()
    await server.close()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], sys.argv[4]))
