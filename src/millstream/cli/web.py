"""`millstream web`: the HTTP server."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from millstream.app.house import open_house
from millstream.app.web import push_door
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.web import AddressUnusable, build, serve


def web(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen at; web.host if not given.")] = None,
    port: Annotated[int | None, typer.Option(help="The port, 0 for a free one; web.port if not given.")] = None,
    json: Json = False,
) -> None:
    """Serve Gmail's pushes until Ctrl-C. A proxy in front of it ends TLS.

    POST /push/gmail takes what a Pub/Sub push subscription sends; GET /healthz says whether the database answers.
    """

    def announce(address: str) -> None:
        frame.answer({"url": address}, f"listening at {address}: POST /push/gmail, GET /healthz", as_json=json)

    async def served() -> None:
        settings = work.settings()
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stopping.set)
        async with open_house(settings) as house, push_door(house) as door:
            if door is None:
                frame.fail("nobody's push is believed; set push.audience and push.service_account", frame.WRONG)
            app = build(door.hints, door.tokens.verify, reachable=door.reachable)
            at, number = host or settings.web.host, settings.web.port if port is None else port
            try:
                await serve(app, at, number, stopping, announce=announce)
            except AddressUnusable as error:
                frame.fail(str(error), frame.FAILED)

    work.run(served)
