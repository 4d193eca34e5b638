"""The border: what each answer and each exception of aiohttp becomes."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_exceptions import UnixClientConnectorError
from hypothesis import given
from hypothesis import strategies as st

from millstream.exstream import decode, errors, translate
from millstream.exstream.answer import Shape, read_answer
from millstream.exstream.errors import Call, Effect, ExstreamError, Fault

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
READ = Call("jobs.list", "statements")
WRITE = Call("inputs.batch", "statements", write=True)
RELEASE = Call("flow-steps.release", "statements", write=True)
STATE = Call("resources.state", "statements", write=True)
SORT = Call("jobs.post-sort", "statements", write=True)


def error_body(status: int, message: str, **more: object) -> bytes:
    return json.dumps({"timestamp": 1757401205639, "status": status, "message": message, "path": "/x", **more}).encode()


def data_error(message: str, code: str) -> bytes:
    entry = {"errorMessage": message, "statusCode": code, "engineOutputContext": None}
    return json.dumps({"status": "error", "data": [entry]}).encode()


def refused(status: int, body: bytes, call: Call = WRITE, **headers: str) -> ExstreamError:
    return translate.refusal(call, read_answer(status, headers, body, NOW))


HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>p{}</style></head><body><p>nginx</p>"

TABLE = [
    (400, error_body(400, "Invalid driver"), WRITE, errors.BadRequest),
    (400, error_body(400, "Domain nowhere does not exist"), WRITE, errors.WrongDomain),
    (400, error_body(400, "Cannot change state from APPROVED to REJECTED"), STATE, errors.StateRefused),
    (400, error_body(400, "Malformed uuid"), STATE, errors.BadRequest),
    (400, error_body(400, "The flow's status is not published"), SORT, errors.BadRequest),
    (401, b"", WRITE, errors.Unauthorized),
    (401, HTML, READ, errors.Unauthorized),
    (403, error_body(403, "Access is denied"), READ, errors.Forbidden),
    (403, error_body(403, "No access to domain statements: access denied"), READ, errors.WrongDomain),
    (404, error_body(404, "Job not found"), READ, errors.NotFound),
    (404, error_body(404, "Job 7 in domain statements was not found"), READ, errors.NotFound),
    (404, error_body(404, "Not Found", error="Domain nowhere was not found"), READ, errors.WrongDomain),
    (404, b"", READ, errors.NotFound),
    (404, HTML, READ, errors.Unreadable),
    (404, b"default backend - 404", READ, errors.Unreadable),
    (405, error_body(405, "Method not allowed"), WRITE, errors.BadRequest),
    (409, error_body(409, "import conflict", errorCode=309016), WRITE, errors.Conflict),
    (409, HTML, WRITE, errors.Conflict),
    (409, b"", RELEASE, errors.StateRefused),
    (410, b"", READ, errors.Gone),
    (413, HTML, WRITE, errors.TooLarge),
    (415, b"", WRITE, errors.BadRequest),
    (418, b"", WRITE, errors.BadRequest),
    (422, b"", WRITE, errors.BadRequest),
    (423, error_body(423, "Resource is locked by anna"), STATE, errors.StateRefused),
    (429, b"", WRITE, errors.Limited),
    (500, error_body(500, "Internal Server Error"), WRITE, errors.ServerError),
    (500, HTML, WRITE, errors.ServerError),
    (500, b"", WRITE, errors.ServerError),
    (502, HTML, READ, errors.ServerError),
    (503, HTML, WRITE, errors.ServerError),
    (302, b"", WRITE, errors.Unreadable),
    (101, b"", WRITE, errors.Unreadable),
]


@pytest.mark.parametrize(("status", "body", "call", "kind"), TABLE)
def test_each_refusal_has_its_error(status: int, body: bytes, call: Call, kind: type[ExstreamError]) -> None:
    error = refused(status, body, call)
    assert type(error) is kind
    assert error.status == status
    assert error.operation in str(error)


def test_a_refusal_did_nothing_and_an_unclear_answer_to_a_write_may_have() -> None:
    for status, body, call, kind in TABLE:
        error = refused(status, body, call)
        if issubclass(kind, errors.Refused) or not call.write:
            assert error.effect is Effect.NO, (status, call)
        else:
            assert error.effect is Effect.UNKNOWN, (status, call)
            assert "unknown" in str(error)


def test_a_404_that_something_on_the_way_wrote_did_nothing_and_passes() -> None:
    error = refused(404, HTML, WRITE)
    assert (error.temporary, error.effect) == (True, Effect.NO)


def test_503_with_a_time_is_a_limit_and_the_time_is_kept() -> None:
    error = refused(503, HTML, WRITE, **{"Retry-After": "120"})
    assert isinstance(error, errors.Limited)
    assert error.retry_at == NOW + timedelta(seconds=120)
    dated = refused(429, b"", WRITE, **{"Retry-After": "Wed, 25 Nov 2026 09:05:00 GMT"})
    assert dated.retry_at == NOW + timedelta(minutes=5)
    assert refused(429, b"", WRITE, **{"Retry-After": "soon"}).retry_at is None
    assert refused(429, b"", WRITE, **{"Retry-After": "9" * 5000}).retry_at == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("body", "shape", "text", "code"),
    [
        (error_body(409, "Conflict", details="Package exists", errorCode=309016), Shape.JSON_ERROR,
         "Conflict: Package exists", "309016"),
        (error_body(500, "Oops", details={"why": "otds"}), Shape.JSON_ERROR, 'Oops: {"why":"otds"}', ""),
        (b'{"error":"invalid_client","error_description":"no such client"}', Shape.JSON_ERROR,
         "invalid_client: no such client", "invalid_client"),
        (data_error("EX004120E no driver", "500"), Shape.DATA_ERROR, "EX004120E no driver", "500"),
        (HTML, Shape.HTML, "502 Bad Gateway nginx", ""),
        ("<html><body>Fehler\xe4</body></html>".encode("utf-16"), Shape.HTML, "Fehler\xe4", ""),
        (b"<!-- only a comment -->", Shape.XML, "", ""),
        (b"\xff\xfe\x00", Shape.TEXT, "", ""),
        (b"plain  words\n", Shape.TEXT, "plain words", ""),
        (b'{"message":"a\\u0000b\\u0007c"}', Shape.JSON_ERROR, "a b c", ""),
        (b" \r\n", Shape.EMPTY, "", ""),
        (b'"words"', Shape.JSON, "words", ""),
        (b"[]", Shape.JSON, "[]", ""),
    ],
)  # fmt: skip
def test_words_are_read_in_each_shape(body: bytes, shape: Shape, text: str, code: str) -> None:
    answer = read_answer(500, {}, body, NOW)
    assert (answer.shape, answer.code) == (shape, code)
    if shape is not Shape.TEXT or text:
        assert answer.text == text


def test_secrets_do_not_get_into_an_error() -> None:
    for secret in (
        "Bearer abc.def-123",
        "eyJhbGciOi.eyJzdWIi.sig",
        "*OTDSSSO*Adcd1234",
        "client_secret=hush&x",
        '{"client_secret":"hush"}',
        '{"password":"hush"}',
    ):
        said = str(refused(400, error_body(400, f"seen {secret}")))
        for word in ("abc.def-123", "eyJhbGciOi", "Adcd1234", "hush"):
            assert word not in said


def test_a_long_text_is_cut() -> None:
    assert len(refused(500, b"x" * 1_000_000).text) == errors.TEXT_LIMIT


SAID = [
    (data_error("composition failed", "500"), WRITE, errors.SaidFailure, Effect.UNKNOWN),
    (data_error("composition failed", "500"), READ, errors.SaidFailure, Effect.NO),
    (data_error("empowerUser may not import", "401"), WRITE, errors.Unauthorized, Effect.NO),
    (data_error("no right", "403"), WRITE, errors.Forbidden, Effect.NO),
    (data_error("no such communication", "404"), WRITE, errors.NotFound, Effect.NO),
    (b'{"status":"failure","message":"not holding"}', RELEASE, errors.StateRefused, Effect.NO),
    (b'{"status":"ERROR","message":"no"}', WRITE, errors.SaidFailure, Effect.UNKNOWN),
    (b'{"status":"Failure"}', WRITE, errors.SaidFailure, Effect.UNKNOWN),
]


@pytest.mark.parametrize(("body", "call", "kind", "effect"), SAID)
def test_a_success_that_says_it_failed_is_an_error(
    body: bytes, call: Call, kind: type[ExstreamError], effect: Effect
) -> None:
    with pytest.raises(ExstreamError) as caught:
        decode.envelope(call, 200, {}, body)
    assert type(caught.value) is kind
    assert caught.value.effect is effect
    assert not caught.value.temporary


@pytest.mark.parametrize("body", [HTML, b"", b"{", b"\xff\xfe", b"NaN", b"<a/>"])
def test_a_success_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(errors.Unreadable) as caught:
        decode.envelope(WRITE, 200, {}, body)
    assert (caught.value.effect, caught.value.temporary) == (Effect.UNKNOWN, True)


@pytest.mark.parametrize("word", ["success", "SUCCESS", "ok", "", None, 200])
def test_any_other_status_word_is_a_success(word: object) -> None:
    assert decode.data(decode.envelope(READ, 200, {}, json.dumps({"status": word, "data": [1]}).encode())) == [1]


def test_what_otds_refuses_is_settled_and_what_it_cannot_say_is_not() -> None:
    for status in (400, 401, 403, 404, 302):
        error = translate.token_refusal(READ, read_answer(status, {}, b'{"error":"invalid_client"}', NOW))
        assert (type(error), error.temporary, error.effect) == (errors.TokenRefused, False, Effect.NO)
    for status in (429, 500, 502, 503, 504):
        error = translate.token_refusal(WRITE, read_answer(status, {}, HTML, NOW))
        assert (type(error), error.temporary, error.effect) == (errors.TokenAway, True, Effect.NO)


def kinds_of(parent: type) -> Iterator[type]:
    yield parent
    for child in parent.__subclasses__():
        if child.__module__.startswith("aiohttp"):
            yield from kinds_of(child)


KEY = SimpleNamespace(host="exstream.example.com", port=443, ssl=True, is_ssl=True)
# What the constructors of aiohttp's exceptions want, the most special first.
CONSTRUCTORS = (
    (UnixClientConnectorError, lambda kind: kind("/socket", KEY, OSError(2, "missing"))),
    (aiohttp.ClientConnectorCertificateError, lambda kind: kind(KEY, ssl.SSLCertVerificationError(1, "expired"))),
    (aiohttp.ClientConnectorError, lambda kind: kind(KEY, OSError(111, "refused"))),
    (aiohttp.ClientResponseError, lambda kind: kind(SimpleNamespace(real_url="http://x.example"), (), status=400)),
    (aiohttp.ServerFingerprintMismatch, lambda kind: kind(b"a", b"b", "x.example", 443)),
    (aiohttp.ClientError, lambda kind: kind("odd")),
    (OSError, lambda kind: kind(104, "reset")),
)
NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
FOREIGN = {*kinds_of(aiohttp.ClientError), TimeoutError, ConnectionResetError, BrokenPipeError, OSError}


@pytest.mark.parametrize("kind", sorted(FOREIGN, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_each_exception_of_the_network_has_its_error_and_effect(kind: type) -> None:
    exc = next(make for parent, make in CONSTRUCTORS if issubclass(kind, parent))(kind)
    error = translate.broken(WRITE, exc)
    assert error.effect is (Effect.NO if issubclass(kind, NEVER_SENT) else Effect.UNKNOWN)
    assert translate.broken(READ, exc).effect is Effect.NO
    if issubclass(kind, TimeoutError):
        assert type(error) is errors.TimedOut


def test_every_error_says_what_happened_and_what_to_do() -> None:
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, ExstreamError):
            said = str(kind(Call("jobs.get", "statements"), status=409, text="words"))
            assert said.startswith("jobs.get in statements: ")
            assert said.endswith(".")
            assert kind.fault in Fault


@given(
    st.integers(100, 599),
    st.binary(max_size=300) | st.text(max_size=200).map(str.encode),
    st.sampled_from(
        [
            "",
            "text/html",
            "text/html; charset=klingon",
            "application/json",
            'text/plain; charset="',
            "\r\n",
            "text/html; charset*=x''%",
        ]
    ),
    st.text(max_size=20),
)
def test_no_answer_trips_the_reader(status: int, body: bytes, content_type: str, wait: str) -> None:
    answer = read_answer(status, {"Content-Type": content_type, "Retry-After": wait}, body, NOW)
    assert isinstance(translate.refusal(WRITE, answer), ExstreamError)
    assert isinstance(translate.said_failure(WRITE, answer), ExstreamError)
    assert isinstance(translate.token_refusal(WRITE, answer), ExstreamError)
