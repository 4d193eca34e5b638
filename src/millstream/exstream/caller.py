"""A call as it passes: token → one HTTP exchange → answer or error.

The only second try is the one after a 401, with a fresh token, because a request without a valid token was not carried
out. When to try again after anything else is the caller's decision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import orjson

from millstream.exstream import decode, translate
from millstream.exstream.answer import Shape, read_answer, says_failure
from millstream.exstream.errors import BadRequest, Call, ExstreamError
from millstream.exstream.tokens import Credential, TokenSource
from millstream.exstream.transport import Fetched, Reply, Transport, utc_now

JSON = "application/json"
Query = Iterable[tuple[str, str]]
Fits = Callable[[bytes], bool]
"""Whether a file that begins like this can be the one that was asked for."""

_UNAUTHORIZED = 401
_SUCCESS = range(200, 300)
_Result = TypeVar("_Result")


class Sent(NamedTuple):
    """What goes with a request; ``within`` so many seconds the answer has to be there."""

    body: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    within: float | None = None


class Caller:
    """Calls of one service: its address, its credential, the connections."""

    def __init__(self, service: Credential, address: str, transport: Transport, tokens: TokenSource) -> None:
        self._service = service
        self._address = address.rstrip("/")
        self._transport = transport
        self._tokens = tokens

    async def answered(
        self,
        call: Call,
        verb: str,
        path: str,
        *,
        query: Query = (),
        sent: Sent | None = None,
    ) -> Reply:
        """A success by its HTTP status, after at most one renewal of the token.

        Raises:
            ExstreamError: as the answer, or the lack of one, says.
        """
        url = self._url(call, path, query)
        body, headers, within = sent or Sent()

        async def once(bearer: Mapping[str, str]) -> Reply:
            told = {"Accept": f"{JSON}, */*;q=0.5", **headers, **bearer}
            return await self._transport.exchange(call, verb, url, headers=told, body=body, within=within)

        reply = await self._with_token(once, lambda answer: answer.status)
        if reply.status in _SUCCESS:
            return reply
        raise refused(call, reply)

    async def document(
        self,
        call: Call,
        verb: str,
        path: str,
        read: Callable[[Any], _Result],
        *,
        query: Query = (),
        body: bytes | None = None,
    ) -> _Result:
        """A JSON answer as a value.

        Raises:
            SaidFailure: it says that it failed.
            Unreadable: it is none, or lacks what it must hold.
        """
        sent = Sent(body, {"Content-Type": JSON}) if body is not None else None
        reply = await self.answered(call, verb, path, query=query, sent=sent)
        return reading(call, reply, read)

    async def act(self, call: Call, path: str, *, query: Query = ()) -> None:
        """POST without a body; any answer of Exstream's will do that does not say that it failed."""
        reply = await self.answered(call, "POST", path, query=query)
        answer = read_answer(reply.status, reply.headers, reply.body, utc_now())
        if answer.shape not in {Shape.EMPTY, Shape.TEXT, Shape.XML}:
            decode.envelope(call, reply.status, reply.headers, reply.body)

    async def fetch(
        self, call: Call, path: str, to: BinaryIO, *, most: int, query: Query = (), fits: Fits | None = None
    ) -> Fetched:
        """A file, written to ``to`` as it comes."""
        url = self._url(call, path, query)

        def check(status: int, headers: Mapping[str, str], head: bytes, whole: bool) -> None:  # noqa: FBT001  a Check
            _refuse_failure(call, Reply(status, headers, head), whole=whole)
            if fits is not None and head and not fits(head):
                answer = read_answer(status, headers, head, utc_now())
                raise translate.unreadable(call, status, f"another kind of file ({answer.shape}): {answer.text}")

        async def once(bearer: Mapping[str, str]) -> Reply | Fetched:
            told = {"Accept": "*/*", **bearer}
            return await self._transport.stream(call, url, headers=told, to=to, most=most, check=check)

        got = await self._with_token(once, lambda answer: answer.status if isinstance(answer, Reply) else 0)
        if isinstance(got, Fetched):
            return got
        raise refused(call, got)

    async def _with_token(
        self, once: Callable[[Mapping[str, str]], Awaitable[_Result]], status: Callable[[_Result], int]
    ) -> _Result:
        token = await self._tokens.token(self._service)
        answer = await once({"Authorization": f"Bearer {token}"})
        if status(answer) == _UNAUTHORIZED:
            self._tokens.invalidate(self._service, token)
            fresh = await self._tokens.token(self._service)
            if fresh != token:
                answer = await once({"Authorization": f"Bearer {fresh}"})
        return answer

    def _url(self, call: Call, path: str, query: Query) -> str:
        if not self._address:
            raise BadRequest(call, text=f"no address is set: exstream.base_url or exstream.{self._service}_url")
        tail = urlencode(list(query), quote_via=quote, safe="")
        return f"{self._address}/{path}?{tail}" if tail else f"{self._address}/{path}"


def refused(call: Call, reply: Reply) -> ExstreamError:
    """The error for an answer whose status is no success."""
    return translate.refusal(call, read_answer(reply.status, reply.headers, reply.body, utc_now()))


def reading(call: Call, reply: Reply, read: Callable[[Any], _Result]) -> _Result:
    """The value of a JSON answer. Raises SaidFailure or Unreadable."""
    document = decode.envelope(call, reply.status, reply.headers, reply.body)
    try:
        return read(document)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
        why = f"JSON that lacks what it must hold ({type(exc).__name__}: {exc})"
        raise translate.unreadable(call, reply.status, why) from exc


def part(name: str | int) -> str:
    """A name as one part of a path. Raises BadRequest where it would lead elsewhere."""
    text = str(name)
    if text in {"", ".", ".."}:
        raise BadRequest(Call("address"), text=f"{text!r} names nothing")
    return quote(text, safe="")


def _refuse_failure(call: Call, reply: Reply, *, whole: bool) -> None:
    """A file that is an envelope which says that it failed is no file."""
    if not whole or not reply.body.lstrip().startswith(b"{"):
        return
    try:
        document = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return
    if says_failure(document):
        raise translate.said_failure(call, read_answer(reply.status, reply.headers, reply.body, utc_now()))
