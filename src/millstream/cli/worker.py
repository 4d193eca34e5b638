"""`millstream worker`: run the jobs."""

from __future__ import annotations

from millstream.app.worker import run_worker
from millstream.cli import frame, work
from millstream.cli.frame import Json


def worker(*, json: Json = False) -> None:
    """Run the jobs of all rooms until Ctrl-C. Start more of them, anywhere, to carry more.

    Ctrl-C and SIGTERM end it in order: what is in flight ends first. What it says while it runs goes to the log on
    standard error.
    """

    async def worked() -> None:
        settings = work.settings()
        if not any(settings.senders.pools.values()):
            frame.warn("no sender mailboxes are set, so nothing will leave; set senders.pools")
        await run_worker(settings)

    work.run(worked)
    frame.answer({"stopped": "in order"}, "stopped in order", as_json=json)
