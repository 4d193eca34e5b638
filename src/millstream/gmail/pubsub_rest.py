"""Hints by REST: ``:pull`` and ``:acknowledge`` over our own transport.

Shapes: projects.subscriptions.pull and .acknowledge
(https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions/pull). ``returnImmediately`` is left out,
as Google advises: the server then waits for a bounded time and answers an empty object when nothing came.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson
from yarl import URL

from millstream.gmail import errors, translate
from millstream.gmail.answer import Answer, read_answer
from millstream.gmail.errors import Call, Effect, GmailError, HintMalformed
from millstream.gmail.options import GmailOptions
from millstream.gmail.pubsub import KINDS, Pulled, in_portions, pulled, refusal, unpacked
from millstream.gmail.tokens import MACHINE, TokenSource
from millstream.gmail.transport import Reply, Transport, utc_now

_SUCCESS = 200
_UNAUTHORIZED = 401
_TIMED_OUT = 504
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}


class RestHints:
    """A :class:`~millstream.gmail.pubsub.HintSource` for networks that pass HTTP/1.1 alone."""

    def __init__(self, subscription: str, tokens: TokenSource, options: GmailOptions, wait_seconds: float) -> None:
        self._subscription = subscription
        self._tokens = tokens
        self._waiting = Transport(replace(options, call_seconds=wait_seconds))
        self._short = Transport(options)
        base = f"{options.pubsub_endpoint.rstrip('/')}/v1/{quote(subscription)}"
        self._pull_url = URL(f"{base}:pull", encoded=True)
        self._acknowledge_url = URL(f"{base}:acknowledge", encoded=True)
        self._closed = False

    async def pull(self, most: int = 100) -> Sequence[Pulled]:
        """Wait for hints; nothing when none came in time, or when the source is closed meanwhile."""
        # Written as a write, so that the error tells a request that waited in vain from one that never left.
        call = Call("pubsub.pull", self._subscription, write=True)
        closed_before = self._closed
        try:
            reply = await self._answered(self._waiting, call, self._pull_url, {"maxMessages": most})
        except errors.TimedOut as exc:
            if exc.effect is Effect.UNKNOWN:
                return ()
            raise errors.HintsAway(call, text=exc.text) from exc
        except errors.HintsAway:
            if closed_before or not self._closed:
                raise
            return ()
        if reply.status == _TIMED_OUT:
            return ()
        try:
            received = orjson.loads(reply.body).get("receivedMessages") or ()
            return [_read(entry) for entry in received]
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise translate.unreadable(replace(call, write=False), reply.status, reply.body, exc) from exc

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Say that these need not come again."""
        call = Call("pubsub.acknowledge", self._subscription)
        for portion in in_portions(ack_ids):
            await self._answered(self._short, call, self._acknowledge_url, {"ackIds": portion})

    async def close(self) -> None:
        """End all connections, those of the source of tokens too."""
        self._closed = True
        await self._waiting.close()
        await self._short.close()
        await self._tokens.close()

    async def _answered(self, transport: Transport, call: Call, url: URL, asked: dict[str, Any]) -> Reply:
        """A success, or the end of a wait, after at most one renewal of the token."""
        if self._closed:  # the transport would open new connections, which nobody would end
            raise errors.HintsAway(call, text="the source is closed")
        body = orjson.dumps(asked)
        token = await self._tokens.token(MACHINE)
        reply = await self._exchange(transport, call, url, token, body)
        if reply.status == _UNAUTHORIZED:
            self._tokens.invalidate(MACHINE, token)
            reply = await self._exchange(transport, call, url, await self._tokens.token(MACHINE), body)
        if reply.status == _SUCCESS:
            return reply
        answer = read_answer(reply.status, reply.headers, reply.body, utc_now())
        if reply.status == _TIMED_OUT and "DEADLINE_EXCEEDED" in answer.reasons:
            return reply
        raise _refused(call, answer)

    @staticmethod
    async def _exchange(transport: Transport, call: Call, url: URL, token: str, body: bytes) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            return await transport.exchange(call, "POST", url, headers=headers, body=body)
        except errors.BadRequest as exc:  # the endpoint is no address
            raise errors.SubscriptionUnfit(call, text=exc.text) from exc
        except errors.ConnectionLost as exc:
            raise errors.HintsAway(call, text=exc.text) from exc


def _read(entry: dict[str, Any]) -> Pulled:
    """A ReceivedMessage; one without an ack id is none, one without data is rubbish to be acknowledged."""
    ack_id = entry["ackId"]
    if not isinstance(ack_id, str) or not ack_id:
        raise TypeError("an ack id was expected")
    try:
        return pulled(ack_id, unpacked((entry.get("message") or {}).get("data")))
    except HintMalformed:
        return Pulled(ack_id, None)


def _refused(call: Call, answer: Answer) -> GmailError:
    if answer.status < 500 and not answer.googles:  # noqa: PLR2004  below it no server of Google's has failed
        return errors.Unreadable(replace(call, write=False), status=answer.status, text=answer.text)
    word = next((reason for reason in answer.reasons if reason in KINDS), _WORDS.get(answer.status, "UNAVAILABLE"))
    error = refusal(call, word, answer.text, answer.status)
    error.retry_at = answer.retry_at
    return error
