"""`millstream worker`: run the jobs."""

from __future__ import annotations

from millstream.app.worker import run_worker
from millstream.cli import frame


def worker() -> None:
    """Run the jobs of all rooms until Ctrl-C; start more of them, anywhere, to carry more."""

    async def work() -> None:
        await run_worker(frame.settings())

    frame.run(work)
