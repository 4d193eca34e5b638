"""The address for pushes: ``POST /push/gmail``, and ``GET /healthz`` for whoever watches over us.

What Pub/Sub does with an answer decides which one is given (https://cloud.google.com/pubsub/docs/push#receive_push):
102, 200, 201, 202 and 204 acknowledge; everything else makes it push again, less and less often, for days. So a
hint that is worthless for ever is answered with 204 and logged, and only what may succeed later is refused.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from millstream.gmail.errors import GmailError, HintMalformed, PushForbidden, PushMalformed, PushRefused
from millstream.gmail.pubsub import Hint, decode_push
from millstream.intake.http import HttpDoor
from millstream.log import get_logger
from millstream.storage.errors import DatabaseError
from millstream.web.intake import add_intake
from millstream.web.review import ReviewDoor, add_review
from millstream.web.shield import BodyMissing, BodyTooLarge, SecurityHeaders, read_body

log = get_logger(__name__)

LARGEST = 64 * 1024
"""Bytes of a push; one of Gmail's has some 500."""

_NO_CONTENT = 204
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_TIMED_OUT = 408
_TOO_LARGE = 413
_AWAY = 503
_RETRY = {"Retry-After": "10"}

Verify = Callable[[str | None], Awaitable[None]]
"""Checks an ``Authorization`` header: :meth:`millstream.gmail.push_token.PushTokens.verify`."""

Reachable = Callable[[], Awaitable[bool]]


class HintSink(Protocol):
    """Who is told about hints; the mailbox room."""

    async def hint(self, hints: Sequence[Hint]) -> int:
        """Make the hints durable and say how many were for mailboxes that are known here. Raises a DatabaseError."""


def build(
    hints: HintSink | None = None,
    verify: Verify | None = None,
    *,
    reachable: Reachable,
    intake: HttpDoor | None = None,
    review: ReviewDoor | None = None,
) -> FastAPI:
    """The application, with the doors that are open: pushes where there are `hints` and `verify`, intake, and reviews.

    ``reachable`` says whether the database answers, and shall not wait long for it.
    """
    # No page describes this interface: whoever may use it is Google, who knows it, or has our manual.
    app = FastAPI(title="Millstream", docs_url=None, redoc_url=None, openapi_url=None)
    if hints is not None and verify is not None:
        _add_push(app, hints, verify)
    if intake is not None:
        add_intake(app, intake)
    if review is not None:
        add_review(app, review)

    @app.get("/healthz")
    async def healthz() -> Response:
        """Say that we are alive, and whether the database is."""
        return JSONResponse({"status": "ok", "database": "reachable" if await _asked(reachable) else "away"})

    app.add_middleware(SecurityHeaders)
    return app


def _add_push(app: FastAPI, hints: HintSink, verify: Verify) -> None:
    @app.post("/push/gmail", status_code=_NO_CONTENT)
    async def push(request: Request) -> Response:
        """Take a hint from Pub/Sub."""
        # The token first: a body from anybody is not even read.
        refusal = await _checked(verify, request.headers.get("authorization"))
        return refusal or await _taken(hints, request)


async def _checked(verify: Verify, header: str | None) -> Response | None:
    """The answer to a push that is not believed, or None."""
    try:
        await verify(header)
    except PushForbidden as exc:
        log.warning("push.forbidden", check=exc.check, why=str(exc))
        return _told(_FORBIDDEN, str(exc))
    except PushRefused as exc:
        log.info("push.refused", check=exc.check, why=str(exc))
        return _told(_UNAUTHORIZED, str(exc), {"WWW-Authenticate": "Bearer"})
    except GmailError as exc:
        log.warning("push.unverified", why=str(exc))
        return _told(_AWAY, "Google's keys cannot be had now", _RETRY)
    return None


async def _taken(hints: HintSink, request: Request) -> Response:
    try:
        hint = decode_push(await read_body(request, LARGEST))
    except BodyTooLarge:
        return _told(_TOO_LARGE, f"a push has at most {LARGEST} bytes", {"Connection": "close"})
    except BodyMissing:
        return _told(_TIMED_OUT, "the body did not come whole in time", {"Connection": "close"})
    except HintMalformed as exc:
        log.warning("push.rubbish", why=str(exc))
        return Response(status_code=_NO_CONTENT)
    except PushMalformed as exc:
        log.warning("push.malformed", why=str(exc))
        return _told(_BAD_REQUEST, str(exc))
    try:
        known = await hints.hint([hint])
    except DatabaseError as exc:
        log.warning("push.store_away", why=str(exc))
        return _told(_AWAY, "the hint could not be stored; push again", _RETRY)
    if not known:
        log.warning("push.unknown_mailbox", mailbox=hint.mailbox)
    return Response(status_code=_NO_CONTENT)


async def _asked(reachable: Reachable) -> bool:
    try:
        return await reachable()
    except DatabaseError:
        return False


def _told(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=headers)
