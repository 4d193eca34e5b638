"""`millstream smtp`: the SMTP door."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from millstream.app.house import open_house
from millstream.app.smtp import smtp_door
from millstream.cli import frame, work
from millstream.cli.frame import Json


def smtp(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen at; intake_smtp.host if not given.")] = None,
    port: Annotated[int | None, typer.Option(help="The port, 0 for a free one; intake_smtp.port if not given.")] = None,
    json: Json = False,
) -> None:
    """Take mail from an Exstream or StreamServe SMTP connector until Ctrl-C. Its first line says where it listens.

    250 is answered when a message is durable; workers make communications of what came in.
    """

    async def served() -> None:
        settings = work.settings()
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stopping.set)
        async with open_house(settings) as house:
            try:
                async with smtp_door(house, host=host, port=port) as door:
                    at, tls = door.options.host, door.options.tls is not None
                    frame.answer(
                        {"host": at, "port": door.port, "tls": tls},
                        f"listening at {at}:{door.port}, {'STARTTLS is offered' if tls else 'without TLS'}",
                        as_json=json,
                    )
                    await stopping.wait()
            except OSError as error:
                wish = host or settings.intake_smtp.host
                number = settings.intake_smtp.port if port is None else port
                why = error.strerror or error
                frame.fail(f"cannot listen at {wish}:{number}: {why}; choose another port", frame.FAILED)

    work.run(served, goes_on="messages that were answered with 250 are in, and clients send the others again")
