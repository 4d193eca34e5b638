"""`millstream web`: the HTTP server."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from millstream.app.house import open_house
from millstream.app.review_pages import AnswerPages, answer_pages
from millstream.app.web import http_door, push_door, reachable
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.web import AddressUnusable, AmpDoor, ReviewDoor, build, serve

_INTAKE = ["POST /api/v1/runs", "POST /api/v1/communications"]


def web(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen at; web.host if not given.")] = None,
    port: Annotated[int | None, typer.Option(help="The port, 0 for a free one; web.port if not given.")] = None,
    json: Json = False,
) -> None:
    """Serve Gmail's pushes, the HTTP door of intake and the reviewers' pages until Ctrl-C. A proxy in front ends TLS.

    POST /push/gmail takes what a Pub/Sub push subscription sends; POST /api/v1/runs and /api/v1/communications take
    what an Exstream HTTP connector sends; /review/ is where reviewers answer; GET /healthz says whether the database
    answers.
    """

    async def served() -> None:
        settings = work.settings()
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stopping.set)
        async with open_house(settings) as house, push_door(house) as push, answer_pages(house) as answers:
            intake = http_door(house)
            if push is None and intake is None and answers is None:
                frame.fail(
                    "nobody's push is believed, nobody may hand in, and no reviewer is asked; set push.audience and "
                    "push.service_account, or intake_http.tokens, or review.policies and review.base_url",
                    frame.WRONG,
                )
            app = build(
                push.hints if push else None,
                push.tokens.verify if push else None,
                reachable=lambda: reachable(house),
                intake=intake,
                review=_reviewers(answers),
            )
            doors = [
                *(["POST /push/gmail"] if push else []),
                *(_INTAKE if intake else []),
                *(["/review/"] if answers else []),
                "GET /healthz",
            ]

            def announce(address: str) -> None:
                frame.answer({"url": address}, f"listening at {address}: {', '.join(doors)}", as_json=json)

            at, number = host or settings.web.host, settings.web.port if port is None else port
            try:
                await serve(app, at, number, stopping, announce=announce)
            except AddressUnusable as error:
                frame.fail(str(error), frame.FAILED)

    work.run(served)


def _reviewers(answers: AnswerPages | None) -> ReviewDoor | None:
    if answers is None:
        return None
    clicks = answers.clicks.verify if answers.clicks else None
    amp = AmpDoor(answers.amp_senders) if answers.amp_senders else None
    return ReviewDoor(answers.pages, answers.base_url, answers.sign_in, clicks, amp=amp)
