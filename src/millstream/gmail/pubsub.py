"""Hints by pull: Gmail tells a Pub/Sub topic that a mailbox has news, and we ask a subscription of it.

A hint says no more than "look into this history": it can come late, twice, or not at all (guide "push
notifications", https://developers.google.com/workspace/gmail/api/guides/push), so polling goes on beside it.

The same hints can be pulled in two ways. ``grpc`` is Google's own client; ``rest`` asks the same service over HTTP/1.1,
for networks whose proxies let no gRPC through. Both take their tokens from our own sources, so that one place knows
keys, impersonation and addresses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
import pybase64

from millstream import lazy
from millstream.gmail import errors
from millstream.gmail.errors import Call, GmailError, HintMalformed, PushMalformed
from millstream.gmail.impersonation import ImpersonatedTokens, machine_tokens
from millstream.gmail.options import PUBSUB_SCOPES, GmailOptions
from millstream.gmail.service_account import ServiceAccountKey, ServiceAccountTokens
from millstream.gmail.tokens import TokenSource

Via = Literal["grpc", "rest"]

# Requests to Pub/Sub have at most 512 KiB (https://cloud.google.com/pubsub/quotas, "Acknowledgment IDs");
# an id has about 200 bytes.
_IDS_AT_ONCE = 1000
_HISTORY_IDS = range(1, 2**64)
_DIGITS = len(str(_HISTORY_IDS.stop))
_LONGEST_ADDRESS = 320

# By the words of google.rpc.Code, which gRPC and the JSON of Google's interfaces share.
KINDS: Mapping[str, type[GmailError]] = {
    "NOT_FOUND": errors.SubscriptionMissing,
    "PERMISSION_DENIED": errors.SubscriptionForbidden,
    "UNAUTHENTICATED": errors.BadCredentials,
    "RESOURCE_EXHAUSTED": errors.HintsLimited,
    "INVALID_ARGUMENT": errors.SubscriptionUnfit,
    "FAILED_PRECONDITION": errors.SubscriptionUnfit,
    "OUT_OF_RANGE": errors.SubscriptionUnfit,
    "UNIMPLEMENTED": errors.SubscriptionUnfit,
    "ALREADY_EXISTS": errors.SubscriptionUnfit,
    "ABORTED": errors.HintsAway,
    "CANCELLED": errors.HintsAway,
    "DATA_LOSS": errors.HintsAway,
    "DEADLINE_EXCEEDED": errors.HintsAway,
    "INTERNAL": errors.HintsAway,
    "UNAVAILABLE": errors.HintsAway,
    "UNKNOWN": errors.HintsAway,
}


@dataclass(frozen=True, slots=True)
class Hint:
    """The mailbox had news when its history stood at ``history_id`` (an unsigned 64-bit number)."""

    mailbox: str
    history_id: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """A hint with the id it is acknowledged by; without a hint it is rubbish, to be acknowledged all the same."""

    ack_id: str
    hint: Hint | None


class HintSource(Protocol):
    """Where hints are pulled from. What is not acknowledged in the subscription's time comes again."""

    async def pull(self, most: int = 100) -> Sequence[Pulled]:
        """Wait until there are hints and give them; nothing when none came in the time of one wait.

        Raises:
            HintsError: Pub/Sub refuses or cannot be reached.
            GmailError: our account has no token.
        """

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Say that these need not come again; ids out of date are ignored. Raises as ``pull`` does."""

    async def close(self) -> None:
        """End a pull under way, which then gives nothing, and all connections."""


def hint_source(
    subscription: str,
    tokens: TokenSource,
    options: GmailOptions,
    *,
    via: Via = "grpc",
    wait_seconds: float = 60.0,
) -> HintSource:
    """Hints of a subscription (``projects/PROJECT/subscriptions/NAME``); to be made inside the loop that uses it.

    Args:
        subscription: the full name of a pull subscription.
        tokens: of :func:`account_tokens`; closed with the source.
        options: ``pubsub_endpoint`` may be a plain ``http`` address of this machine, for emulators.
        via: Google's client over gRPC, or REST.
        wait_seconds: how long one pull may wait for hints; Pub/Sub itself ends it after a time of its own.
    """
    if via == "grpc":
        kind = lazy.load_grpc("millstream.gmail.pubsub_grpc:GrpcHints")
    else:
        kind = lazy.load("millstream.gmail.pubsub_rest:RestHints")
    source: HintSource = kind(subscription, tokens, options, wait_seconds)
    return source


def account_tokens(
    options: GmailOptions,
    *,
    key_file: Path | None = None,
    service_account: str | None = None,
    identity_file: Path | None = None,
) -> TokenSource:
    """Tokens for Pub/Sub: of a service account by its key, by impersonation, or of this machine's own identity.

    Args:
        options: where Google is.
        key_file: the key of a service account.
        service_account: its address, without a key: the machine's identity has it sign.
        identity_file: application default credentials; without it the metadata server is asked.

    Raises:
        BadCredentials: the key file cannot be read.
    """
    if key_file is not None:
        return ServiceAccountTokens(ServiceAccountKey.from_file(key_file), options, PUBSUB_SCOPES)
    machine = machine_tokens(options, identity_file)
    if service_account is not None:
        return ImpersonatedTokens(service_account, machine, options, PUBSUB_SCOPES)
    return machine


def read_hint(data: bytes) -> Hint:
    """What Gmail publishes: ``{"emailAddress": …, "historyId": …}``, the number as such or in a string.

    Raises:
        HintMalformed: it is something else.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise HintMalformed("its data is no JSON") from None
    if not isinstance(document, dict):
        raise HintMalformed("its data is no JSON object")
    address, history_id = document.get("emailAddress"), document.get("historyId")
    if not isinstance(address, str) or "@" not in address.strip("@") or len(address) > _LONGEST_ADDRESS:
        raise HintMalformed("its data names no mailbox")
    if isinstance(history_id, str) and history_id.isascii() and history_id.isdecimal() and len(history_id) <= _DIGITS:
        history_id = int(history_id)
    if not isinstance(history_id, int) or isinstance(history_id, bool) or history_id not in _HISTORY_IDS:
        raise HintMalformed("its data has no history id")
    return Hint(address, history_id)


def decode_push(body: bytes) -> Hint:
    """The hint in the envelope that Pub/Sub pushes (https://cloud.google.com/pubsub/docs/push#receive_push).

    Raises:
        PushMalformed: it is no such envelope.
        HintMalformed: it is one that carries no hint; sending it again will not mend it.
    """
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise PushMalformed("it is no JSON") from None
    message = envelope.get("message") if isinstance(envelope, dict) else None
    if not isinstance(message, dict) or not isinstance(envelope.get("subscription"), str):
        raise PushMalformed("it has no message and subscription")
    return read_hint(unpacked(message.get("data")))


def unpacked(data: Any) -> bytes:
    """The data of a message in JSON: base64, of either alphabet. Raises HintMalformed."""
    if not isinstance(data, str):
        raise HintMalformed("it has no data")
    try:
        return pybase64.b64decode(data.replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4), validate=True)
    except ValueError:
        raise HintMalformed("its data is no base64") from None


def pulled(ack_id: str, data: bytes) -> Pulled:
    """A message as the queue gave it; rubbish has no hint."""
    try:
        return Pulled(ack_id, read_hint(data))
    except HintMalformed:
        return Pulled(ack_id, None)


def in_portions(ack_ids: Sequence[str]) -> list[list[str]]:
    """Ids as many at once as one request takes."""
    ids = list(ack_ids)
    return [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]


def refusal(call: Call, word: str, text: str, status: int | None = None) -> GmailError:
    """The error for a status word of Google's; one that nobody knows yet counts as a failure for now."""
    return KINDS.get(word, errors.HintsAway)(call, status=status, reason=word, text=text)
