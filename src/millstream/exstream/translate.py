"""The one border where Exstream's answers and the exceptions of aiohttp and of files become our errors.

No list of Exstream's words is public, so what an answer means is read from its status first, and from words only where
two kinds share one status. Sources: its API descriptions (v1) and OpenText's SDK sample, read 2026-11-24.
"""

from __future__ import annotations

import errno
import re

import aiohttp

from millstream.exstream import errors
from millstream.exstream.answer import Answer, Shape, redact
from millstream.exstream.errors import Call, Effect, ExstreamError

BY_STATUS: dict[int, type[ExstreamError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.BadRequest,
    406: errors.BadRequest,
    408: errors.TimedOut,
    409: errors.Conflict,
    410: errors.Gone,
    412: errors.Conflict,
    413: errors.TooLarge,
    415: errors.BadRequest,
    422: errors.BadRequest,
    423: errors.StateRefused,
    429: errors.Limited,
}

# What the engine's statusCode says inside of an answer; other codes are failures of a composition.
BY_CODE: dict[str, type[ExstreamError]] = {
    "401": errors.Unauthorized,
    "403": errors.Forbidden,
    "404": errors.NotFound,
    "409": errors.Conflict,
    "413": errors.TooLarge,
}

_SERVER = 500
_UNAVAILABLE = 503
_FIRST_REFUSAL = 400
_NOT_FOUND = 404
_UNPROVEN = frozenset({_NOT_FOUND, 405})
_CONFIGURED = frozenset({300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 410, 411, 413, 415, 422})
# Only where the domain itself is spoken of: "Job 7 in domain bank was not found" is about the job.
_DOMAIN = re.compile(
    r"(?:^|: )(?:the )?domain\b.*\b(?:not found|not exist|unknown|invalid|denied)"
    r"|\b(?:no|no such|unknown|invalid) domain\b|\b(?:access|permission|rights?) (?:to|for|in) (?:the )?domain\b",
    re.IGNORECASE,
)
_MOVE = re.compile(r"\b(state|status|workflow|approved|locked|transition|holding)\b", re.IGNORECASE)
_MOVES = ("resources.state", "resources.states", ".stop", ".release", ".reprocessing")

# The request cannot have been written when one of these is raised (aiohttp 3.14, client_exceptions.py).
_NEVER_WRITTEN = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def refusal(call: Call, answer: Answer) -> ExstreamError:
    """The error for an answer that is not a success (status 300 and above, or 1xx)."""
    kind = _kind(call, answer)
    effect = None
    if kind is errors.Unreadable and answer.status in _UNPROVEN:
        effect = Effect.NO  # something on the way knows no such address: the request went no further
    return _made(kind, call, answer, effect=effect)


def said_failure(call: Call, answer: Answer) -> ExstreamError:
    """The error for HTTP 200 with ``status`` error or failure."""
    kind = BY_CODE.get(answer.code, errors.SaidFailure) if answer.shape is Shape.DATA_ERROR else errors.SaidFailure
    if kind is errors.SaidFailure and _moves(call) and _MOVE.search(answer.text):
        kind = errors.StateRefused
    error = _made(kind, call, answer)
    error.temporary = False  # no token was refused, and the same data meets the same engine
    return error


def token_refusal(call: Call, answer: Answer, *, at: str = "", hint: str = "") -> ExstreamError:
    """The error for an answer of OTDS that is not a success: where it was asked, and what the cause may be."""
    kind = errors.TokenRefused if answer.status in _CONFIGURED else errors.TokenAway
    words = _joined(answer.text, f"asked at {redact(at)}" if at else "", hint)
    return kind(call, status=answer.status, code=answer.code, text=words, retry_at=answer.retry_at)


def token_broken(call: Call, exc: ExstreamError, *, at: str = "") -> ExstreamError:
    """The error for an exchange with OTDS that gave no answer; `at` is where it was asked."""
    words = _joined(exc.text, f"asked at {redact(at)}" if at else "")
    if isinstance(exc, errors.BadRequest):
        return errors.TokenRefused(call, text=words)
    return errors.TokenAway(call, status=exc.status, text=words)


def _joined(text: str, *rest: str) -> str:
    """The words with what we know ourselves, which must not be lost behind a long page."""
    ours = "; ".join(part for part in rest if part)
    room = max(errors.TEXT_LIMIT - len(ours) - 3, 0)
    said = text if len(text) <= room else f"{text[:room]}…"
    return "; ".join(part for part in (said, ours) if part)


def broken(call: Call, exc: BaseException) -> ExstreamError:
    """The error for an exception of aiohttp or of the network."""
    text = redact(f"{type(exc).__name__}: {exc}")
    effect = Effect.NO if isinstance(exc, _NEVER_WRITTEN) else call.worst
    if isinstance(exc, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return errors.BadRequest(call, text=f"the address is no HTTP address: {text}")
    if isinstance(exc, TimeoutError):
        return errors.TimedOut(call, text=text, effect=effect)
    return errors.ConnectionLost(call, text=text, effect=effect)


def unreadable(call: Call, status: int | None, why: str) -> ExstreamError:
    """The error for a success that cannot be read; what it did is unknown if it writes."""
    return errors.Unreadable(call, status=status, text=redact(why))


def unwritable(call: Call, exc: OSError, place: str = "") -> ExstreamError:
    """The error for a file that cannot be written: ours to mend, and nothing of Exstream's."""
    kind = errors.NoSpace if exc.errno in _FULL else errors.NotWritable
    return kind(call, text=f"{place}: {exc.strerror or exc}" if place else exc.strerror or str(exc))


def _kind(call: Call, answer: Answer) -> type[ExstreamError]:
    status = answer.status
    if status == _UNAVAILABLE and answer.retry_at:
        return errors.Limited
    if status >= _SERVER:
        return errors.ServerError
    if status < _FIRST_REFUSAL or (status in _UNPROVEN and not answer.exstreams):
        # A redirect leads to a login page and is not followed. A 404 that Exstream did not write comes from an
        # ingress whose backend is away, and proves nothing about a job.
        return errors.Unreadable
    kind = BY_STATUS.get(status, errors.BadRequest)
    if kind in {errors.Forbidden, errors.NotFound, errors.BadRequest} and _DOMAIN.search(answer.text):
        return errors.WrongDomain
    if _moves(call) and (kind is errors.Conflict or (kind is errors.BadRequest and _MOVE.search(answer.text))):
        return errors.StateRefused
    return kind


def _moves(call: Call) -> bool:
    return call.write and call.operation.endswith(_MOVES)


def _made(kind: type[ExstreamError], call: Call, answer: Answer, *, effect: Effect | None = None) -> ExstreamError:
    return kind(call, status=answer.status, code=answer.code, text=answer.text, retry_at=answer.retry_at, effect=effect)
