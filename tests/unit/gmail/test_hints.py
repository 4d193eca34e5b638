"""Totality of the border to Pub/Sub, and what a push's envelope holds."""

import base64
import json
from collections.abc import Iterator

import grpc
import grpc.aio
import pytest
from google.api_core import exceptions as google_errors
from google.auth.exceptions import RefreshError
from hypothesis import given
from hypothesis import strategies as st

from millstream.gmail import Hint, decode_push, errors
from millstream.gmail.errors import Call, Effect, GmailError
from millstream.gmail.pubsub import KINDS
from millstream.gmail.pubsub_grpc import broken

PULL = Call("pubsub.pull", "projects/p/subscriptions/s")


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


# Those of the older client, which other tests drive, are not raised by the one we use.
CALL_ERRORS = sorted(
    (kind for kind in set(_subclasses(google_errors.GoogleAPICallError)) if kind.__module__ == google_errors.__name__),
    key=lambda kind: kind.__name__,
)


def test_every_status_of_grpc_has_its_error() -> None:
    assert {code.name for code in grpc.StatusCode} - {"OK"} == set(KINDS)


@pytest.mark.parametrize("kind", CALL_ERRORS, ids=lambda kind: kind.__name__)
def test_no_exception_of_googles_client_escapes(kind: type) -> None:
    error = broken(PULL, kind("words"))
    assert isinstance(error, GmailError)
    assert error.effect is Effect.NO
    code = kind.grpc_status_code
    if code is not None:
        assert type(error) is KINDS[code.name]


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (google_errors.RetryError("late", None), errors.HintsAway),
        (grpc.RpcError("odd"), errors.HintsAway),
        (grpc.aio.UsageError("Channel is closed."), errors.HintsAway),
        (OSError(24, "too many files"), errors.HintsAway),
        (RuntimeError("loop"), errors.HintsAway),
        (RefreshError("no"), errors.BadCredentials),
        (TypeError("not a message"), errors.SubscriptionUnfit),
        (ValueError("bad address"), errors.SubscriptionUnfit),
    ],
)
def test_what_the_layers_below_raise_is_told_too(exc: Exception, kind: type) -> None:
    assert type(broken(PULL, exc)) is kind


def test_no_error_repeats_a_token() -> None:
    error = broken(PULL, google_errors.PermissionDenied("Bearer ya29.secret was refused"))
    assert "secret" not in str(error)


def envelope(data: object = None, **changes: object) -> bytes:
    packed = base64.b64encode(json.dumps(data).encode()).decode()
    document = {"message": {"data": packed, "messageId": "1"}, "subscription": "projects/p/subscriptions/s"}
    return json.dumps({**document, **changes}).encode()


@pytest.mark.parametrize("number", [18446744073709551615, "18446744073709551615"])
def test_the_history_id_of_a_push_is_a_number_or_a_string(number: object) -> None:
    pushed = envelope({"emailAddress": "inbox@bank.example", "historyId": number})
    assert decode_push(pushed) == Hint("inbox@bank.example", 2**64 - 1)


def test_data_in_the_alphabet_for_addresses_is_read_too() -> None:
    """Gmail's guide says base64url; Pub/Sub's JSON says base64."""
    data = b'{"emailAddress":"inbox~?>@bank.example","historyId":7}'
    packed = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert "_" in packed or "-" in packed
    assert decode_push(envelope(message={"data": packed})).history_id == 7


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"7", b"null", b"{}", b'"message"', b'{"message": {}}', b'{"message": 7, "subscription": "s"}',
     b'{"message": {"data": "e30="}}', b'{"message": {"data": "e30="}, "subscription": 7}', b"\xff", b"[" * 10_000],
)  # fmt: skip
def test_what_is_no_envelope_is_malformed(body: bytes) -> None:
    with pytest.raises(errors.PushMalformed) as caught:
        decode_push(body)
    assert not isinstance(caught.value, errors.HintMalformed)


@pytest.mark.parametrize(
    "message", [{}, {"data": None}, {"data": 7}, {"data": "%"}, {"data": ""}, {"data": "e30="}, {"data": "WzFd"},
                {"data": "é"}, {"attributes": {"a": "b"}}],
)  # fmt: skip
def test_an_envelope_without_a_hint_is_told_from_no_envelope(message: dict) -> None:
    with pytest.raises(errors.HintMalformed):
        decode_push(envelope(message=message))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_a_push_error_comes_of_rubbish(body: bytes) -> None:
    with pytest.raises(errors.PushMalformed):
        decode_push(body)


@given(JSON)
def test_nothing_but_a_hint_or_its_error_comes_of_rubbish_in_an_envelope(data: object) -> None:
    with pytest.raises(errors.HintMalformed):
        decode_push(envelope(data))
