"""Hints by gRPC: Google's own client (``google-cloud-pubsub``), of which we take what speaks to the service.

It is imported when a worker pulls and by nothing else, as it brings gRPC and 0.2 s of CPU. From its source (2.44.0):
``pull`` by itself tries again after four kinds of failure for a minute, which is switched off here, as it is the
caller who decides; the channel keeps itself alive every 30 s; and one given to the transport leaves credentials to us.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1 import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from millstream.gmail import errors
from millstream.gmail.answer import redact
from millstream.gmail.errors import Call, GmailError
from millstream.gmail.options import GmailOptions
from millstream.gmail.pubsub import Pulled, in_portions, pulled, refusal
from millstream.gmail.tokens import MACHINE, TokenSource

_LATE = "DEADLINE_EXCEEDED"
_ANSWER_BYTES = 16 * 2**20
_Answer = TypeVar("_Answer")


class GrpcHints:
    """A :class:`~millstream.gmail.pubsub.HintSource` on Google's client; to be made inside the loop that uses it."""

    def __init__(self, subscription: str, tokens: TokenSource, options: GmailOptions, wait_seconds: float) -> None:
        self._subscription = subscription
        self._tokens = tokens
        self._wait = wait_seconds
        self._short = options.call_seconds
        self._channel = _channel(Call("pubsub.connect", subscription), options)
        self._client = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=self._channel))
        self._closed = False

    async def pull(self, most: int = 100) -> Sequence[Pulled]:
        """Wait for hints; nothing when none came in time, or when the source is closed meanwhile."""
        call = Call("pubsub.pull", self._subscription)
        asked = {"subscription": self._subscription, "max_messages": most}
        try:
            answer = await self._answered(call, self._client.pull, asked, self._wait)
        except errors.HintsAway as exc:
            # Nobody answered a server that was reached: it had nothing to say.
            if exc.reason == _LATE and self._channel.get_state() is grpc.ChannelConnectivity.READY:
                return ()
            raise
        except asyncio.CancelledError:
            if self._closed and not _asked_to_stop():
                return ()
            raise
        return [pulled(received.ack_id, received.message.data) for received in answer.received_messages]

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Say that these need not come again."""
        call = Call("pubsub.acknowledge", self._subscription)
        for portion in in_portions(ack_ids):
            asked = {"subscription": self._subscription, "ack_ids": portion}
            await self._answered(call, self._client.acknowledge, asked, self._short)

    async def close(self) -> None:
        """End the channel with what is under way on it, and the source of tokens."""
        self._closed = True
        await self._channel.close()
        await self._tokens.close()

    async def _answered(
        self, call: Call, method: Callable[..., Awaitable[_Answer]], asked: dict[str, Any], within: float
    ) -> _Answer:
        """An answer, after at most one renewal of the token."""
        token = await self._tokens.token(MACHINE)
        try:
            return await _once(call, method, asked, token, within)
        except errors.BadCredentials:
            self._tokens.invalidate(MACHINE, token)
        return await _once(call, method, asked, await self._tokens.token(MACHINE), within)


async def _once(
    call: Call, method: Callable[..., Awaitable[_Answer]], asked: dict[str, Any], token: str, within: float
) -> _Answer:
    try:
        return await method(request=asked, retry=None, timeout=within, metadata=[("authorization", f"Bearer {token}")])
    except Exception as exc:
        raise broken(call, exc) from exc


def broken(call: Call, exc: Exception) -> GmailError:
    """The error for an exception of Google's client, of gRPC or of Python below them.

    Nothing passes, whatever its class: gRPC's own layers raise what they like (a closed channel is a ``UsageError``,
    an odd address a ``ValueError``).
    """
    code = exc.grpc_status_code if isinstance(exc, GoogleAPICallError) else None
    if isinstance(exc, GoogleAPICallError) and code is not None:
        return refusal(call, code.name, redact(str(exc.message)))
    text = redact(f"{type(exc).__name__}: {exc}")
    if isinstance(exc, GoogleAuthError):
        return errors.BadCredentials(call, text=text)
    temporary = isinstance(exc, GoogleAPIError | grpc.RpcError | grpc.aio.UsageError | OSError | RuntimeError)
    return (errors.HintsAway if temporary else errors.SubscriptionUnfit)(call, text=text)


def _channel(call: Call, options: GmailOptions) -> grpc.aio.Channel:
    """The way to Pub/Sub: TLS, or none at all for an emulator on this machine."""
    endpoint = options.pubsub_endpoint
    try:
        address = urlsplit(endpoint)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:
        raise errors.SubscriptionUnfit(call, text=f"the endpoint is no address: {endpoint}") from None
    if address.scheme not in ("http", "https") or not address.hostname:
        raise errors.SubscriptionUnfit(call, text=f"the endpoint is no HTTP address: {endpoint}")
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    told: list[tuple[str, Any]] = [
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.max_receive_message_length", _ANSWER_BYTES),
        ("grpc.primary_user_agent", options.user_agent),
        ("grpc.enable_retries", 0),
        ("grpc.max_reconnect_backoff_ms", 10_000),
    ]
    if options.proxy:
        told.append(("grpc.http_proxy", options.proxy))
    if address.scheme == "https":
        trusted = grpc.ssl_channel_credentials(_trusted(options))
        return grpc.aio.secure_channel(f"{host}:{port}", trusted, told)
    if not _of_this_machine(address.hostname):
        text = f"a token does not travel in the clear to {address.hostname}; use https"
        raise errors.SubscriptionUnfit(call, text=text)
    return grpc.aio.insecure_channel(f"{host}:{port}", told)


def _trusted(options: GmailOptions) -> bytes | None:
    """The authorities to trust, those of the system and further ones; None stands for gRPC's own list."""
    if options.certificates is None:
        return None
    trust = ssl.create_default_context()
    trust.load_verify_locations(options.certificates)
    return "".join(ssl.DER_cert_to_PEM_cert(one) for one in trust.get_ca_certs(binary_form=True)).encode()


def _of_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _asked_to_stop() -> bool:
    """Whether this task was cancelled from outside: closing a channel raises the same exception in it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
