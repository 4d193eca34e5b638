"""Totality of the border: every documented refusal and every exception of aiohttp has its error."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_exceptions import UnixClientConnectorError

from millstream.gmail import errors, translate
from millstream.gmail.answer import read_answer
from millstream.gmail.errors import Call, Effect, GmailError

NOW = datetime(2026, 9, 11, 19, 58, 30, tzinfo=UTC)
SEND = Call("drafts.send", "a@bank.example", write=True)
LIST = Call("history.list", "a@bank.example")


def body(code: int, message: str, reason: str = "", status: str = "", details: list[dict] | None = None) -> bytes:
    error: dict = {"code": code, "message": message}
    if reason:
        error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
    if status:
        error["status"] = status
    if details:
        error["details"] = details
    return json.dumps({"error": error}).encode()


def refused(status: int, content: bytes, call: Call = SEND, **headers: str) -> GmailError:
    return translate.refusal(call, read_answer(status, headers, content, NOW), NOW)


CLOUD = (
    "Quota exceeded for quota metric 'Queries' and limit 'Queries per {}' of service 'gmail.googleapis.com' "
    "for consumer 'project_number:123456789012'."
)
RATE = "rateLimitExceeded"
SCOPES = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]

DOCUMENTED = [
    (400, "Invalid To header", "invalidArgument", errors.InvalidRecipient),
    (400, "Invalid Cc header", "invalidArgument", errors.InvalidRecipient),
    (400, "Recipient address required", "invalidArgument", errors.InvalidRecipient),
    (400, "Invalid From header", "invalidArgument", errors.BadRequest),
    (400, "'raw' RFC822 payload message string or uploading message via /upload/* URL required", "invalidArgument",
     errors.BadRequest),
    (400, "Invalid id value", "invalidArgument", errors.BadRequest),
    (400, "Bad Request", "badRequest", errors.BadRequest),
    (400, "Invalid pageToken", "invalidArgument", errors.PageTokenInvalid),
    (400, "Mail service not enabled", "failedPrecondition", errors.MailServiceOff),
    (400, "Precondition check failed.", "failedPrecondition", errors.MailServiceOff),
    (400, "Message not a draft", "invalidArgument", errors.NotFound),
    (400, "Request payload size exceeds the limit: 1048576 bytes.", "badRequest", errors.PayloadTooLarge),
    (400, "Media is larger than allowed", "uploadTooLarge", errors.PayloadTooLarge),
    (413, "Request Entity Too Large", "uploadTooLarge", errors.PayloadTooLarge),
    (401, "Invalid Credentials", "authError", errors.Unauthorized),
    (403, "Daily Limit Exceeded", "dailyLimitExceeded", errors.ProjectExhausted),
    (403, CLOUD.format("day"), RATE, errors.ProjectExhausted),
    (403, CLOUD.format("minute per user"), RATE, errors.RateLimited),
    (429, CLOUD.format("minute per user"), RATE, errors.RateLimited),
    (403, CLOUD.format("minute"), RATE, errors.ProjectRateLimited),
    (403, "Rate Limit Exceeded", RATE, errors.RateLimited),
    (403, "User Rate Limit Exceeded", "userRateLimitExceeded", errors.RateLimited),
    (403, "User-rate limit exceeded.  Retry after 2026-09-11T20:00:00.000Z", RATE, errors.RateLimited),
    (429, "User-rate limit exceeded.  Retry after 2026-09-11T20:00:00.000Z", "userRateLimitExceeded",
     errors.RateLimited),
    (429, "User-rate limit exceeded.  Retry after 2026-09-11T20:00:00.000Z (Mail sending)", RATE,
     errors.MailSendingLimit),
    (403, "User-rate limit exceeded (Mail sending)", "userRateLimitExceeded", errors.MailSendingLimit),
    (429, "Too many concurrent requests for user", RATE, errors.TooManyConcurrent),
    (403, "Too many concurrent requests for user", RATE, errors.TooManyConcurrent),
    (429, "Resource has been exhausted (e.g. check quota).", RATE, errors.Exhausted),
    (403, "The domain administrators have disabled Gmail apps.", "domainPolicy", errors.DomainForbids),
    (403, "Insufficient Permission", "insufficientPermissions", errors.ScopeMissing),
    (403, "Metadata scope does not support 'q' parameter", "forbidden", errors.ScopeMissing),
    (403, "Delegation denied for a@bank.example", "forbidden", errors.DelegationDenied),
    (403, "Gmail API has not been used in project 1 before or it is disabled.", "accessNotConfigured",
     errors.Forbidden),
    (404, "Requested entity was not found.", "notFound", errors.NotFound),
    (408, "Request Timeout", "", errors.TimedOut),
    (409, "The operation was aborted.", "aborted", errors.ServerError),
    (500, "Internal error encountered.", "backendError", errors.ServerError),
    (502, "Bad Gateway", "backendError", errors.ServerError),
    (503, "The service is currently unavailable.", "backendError", errors.ServerError),
    (504, "Deadline expired", "backendError", errors.ServerError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message", "reason", "kind"), DOCUMENTED)
def test_every_documented_refusal_has_its_error(status: int, message: str, reason: str, kind: type) -> None:
    error = refused(status, body(status, message, reason))
    assert type(error) is kind
    assert (error.status, error.reason, error.text) == (status, reason, " ".join(message.split()))
    assert error.effect is (Effect.UNKNOWN if isinstance(error, errors.Unclear) else Effect.NO)


def test_a_missing_scope_is_found_in_the_details_and_before_the_status() -> None:
    content = body(403, "Request had insufficient authentication scopes.", status="PERMISSION_DENIED", details=SCOPES)
    error = refused(403, content)
    assert type(error) is errors.ScopeMissing
    assert error.reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


def test_an_expired_history_id_is_told_from_a_missing_message() -> None:
    content = body(404, "Requested entity was not found.", "notFound")
    assert type(refused(404, content, LIST)) is errors.HistoryExpired
    assert type(refused(404, content, SEND)) is errors.NotFound


def test_a_server_error_is_unknown_for_a_write_and_no_for_a_read() -> None:
    assert refused(503, body(503, "x", "backendError"), SEND).effect is Effect.UNKNOWN
    assert refused(503, body(503, "x", "backendError"), LIST).effect is Effect.NO


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 432), 451, 500, 502, 503, 504, 520, 599])
@pytest.mark.parametrize(
    "content", [b"", b"<html><title>Oops</title></html>", b'{"error": {}}', b'{"error": "x"}', b"[1]"]
)
def test_every_status_with_any_body_has_an_error(status: int, content: bytes) -> None:
    error = refused(status, content)
    assert isinstance(error, GmailError)
    googles = content in (b'{"error": {}}', b'{"error": "x"}') and status != 404
    refused_by_status = status in (400, 401, 413, 429) or (googles and 400 <= status < 500)
    trusted = refused_by_status and status not in (408, 409)
    assert error.effect is (Effect.NO if trusted else Effect.UNKNOWN)


def test_a_404_that_is_not_gmails_proves_nothing_about_a_draft() -> None:
    for content in (b"<html>404</html>", b"", b'{"message": "no route"}', b'{"error": "no such path"}'):
        error = refused(404, content, Call("drafts.get", "a@bank.example"))
        assert type(error) is errors.Unreadable
        assert error.temporary


def test_pages_in_html_are_told_by_status_and_their_words_are_kept() -> None:
    page = b"<html><head><title>Error 413</title><style>p{}</style></head><body><p>Your client issued &amp; more</p>"
    error = refused(413, page)
    assert type(error) is errors.PayloadTooLarge
    assert error.text == "Error 413: Your client issued & more"
    assert type(refused(400, page)) is errors.BadRequest
    assert type(refused(429, page)) is errors.RateLimited
    assert type(refused(403, page)) is errors.Unreadable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("User-rate limit exceeded.  Retry after 2026-09-11T20:00:00.000Z", datetime(2026, 9, 11, 20, tzinfo=UTC)),
        ("Retry after 2026-09-11T20:00:00Z (Mail sending)", datetime(2026, 9, 11, 20, tzinfo=UTC)),
        ("retry after 2026-09-11t22:00:00.5+02:00", datetime(2026, 9, 11, 20, 0, 0, 500_000, tzinfo=UTC)),
        ("Retry after: 2026-09-11 20:00:00", datetime(2026, 9, 11, 20, tzinfo=UTC)),
        ("Retry after 2026-99-11T20:00:00Z", None),
        ("Retry after lunch", None),
    ],
)
def test_the_time_hidden_in_the_words_is_found(text: str, expected: datetime | None) -> None:
    assert refused(403, body(403, text, RATE)).retry_at == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("90", datetime(2026, 9, 11, 20, tzinfo=UTC)),
        ("Fri, 11 Sep 2026 20:00:00 GMT", datetime(2026, 9, 11, 20, tzinfo=UTC)),
        ("soon", None),
        ("-1", None),
    ],
)
def test_the_header_gives_seconds_or_a_date(value: str, expected: datetime | None) -> None:
    assert refused(429, body(429, "x", RATE), **{"Retry-After": value}).retry_at == expected


def test_the_latest_of_several_stated_times_counts() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "91.5s"}]
    content = body(429, "Retry after 2026-09-11T20:00:00Z", RATE, details=details)
    error = refused(429, content, **{"Retry-After": "5"})
    assert error.retry_at == datetime(2026, 9, 11, 20, 0, 1, 500_000, tzinfo=UTC)


def test_a_clock_that_is_wrong_does_not_make_us_come_too_early() -> None:
    content = body(429, "Retry after 2026-09-11T20:00:00Z", RATE)
    theirs_is_two_minutes_behind = refused(429, content, Date="Fri, 11 Sep 2026 19:56:30 GMT")
    assert theirs_is_two_minutes_behind.retry_at == datetime(2026, 9, 11, 20, 2, tzinfo=UTC)
    nearly_equal = refused(429, content, Date="Fri, 11 Sep 2026 19:58:27 GMT")
    assert nearly_equal.retry_at == datetime(2026, 9, 11, 20, tzinfo=UTC)


def test_a_cloud_quota_of_a_minute_is_free_again_with_the_next_one() -> None:
    next_minute = datetime(2026, 9, 11, 19, 59, tzinfo=UTC)
    assert refused(403, body(403, CLOUD.format("minute per user"), RATE)).retry_at == next_minute
    assert refused(403, body(403, CLOUD.format("minute"), RATE)).retry_at == next_minute
    assert refused(403, body(403, CLOUD.format("day"), RATE)).retry_at is None


TOKEN_ANSWERS = [
    (400, "invalid_grant", "Token has been expired or revoked.", errors.TokenDead),
    (400, "invalid_grant", "Bad Request", errors.TokenDead),
    (400, "invalid_grant", "Invalid email or User ID", errors.TokenDead),
    (400, "invalid_grant", "Invalid JWT Signature.", errors.BadCredentials),
    (400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
     errors.BadCredentials),
    (401, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method.",
     errors.ScopeMissing),
    (401, "invalid_client", "The OAuth client was not found.", errors.BadCredentials),
    (401, "deleted_client", "The OAuth client was deleted.", errors.BadCredentials),
    (400, "invalid_scope", "Some requested scopes were invalid.", errors.ScopeMissing),
    (400, "admin_policy_enforced", "", errors.DomainForbids),
    (403, "access_denied", "Account restricted", errors.TokenDead),
    (429, "rate_limit_exceeded", "", errors.RateLimited),
    (400, "internal_failure", "", errors.ServerError),
    (503, "temporarily_unavailable", "", errors.ServerError),
    (400, "something_new", "", errors.BadRequest),
]  # fmt: skip


@pytest.mark.parametrize(("status", "word", "description", "kind"), TOKEN_ANSWERS)
def test_every_answer_of_the_token_endpoint_has_its_error(status: int, word: str, description: str, kind: type) -> None:
    content = json.dumps({"error": word, "error_description": description}).encode()
    error = translate.token_refusal(Call("oauth2.token", "a@bank.example"), read_answer(status, {}, content, NOW))
    assert type(error) is kind
    assert error.effect is Effect.NO
    assert error.reason == word


def test_the_iam_service_speaks_in_the_shape_of_the_interfaces() -> None:
    content = body(403, "Permission 'iam.serviceAccounts.signJwt' denied", status="PERMISSION_DENIED")
    error = translate.token_refusal(Call("iam.signJwt", "a@bank.example"), read_answer(403, {}, content, NOW))
    assert type(error) is errors.Forbidden


def test_what_looks_like_a_token_is_not_repeated() -> None:
    echo = "Authorization: Bearer abc.def-1 and ya29.A0_secret-x and 1//0gSecret and eyJhbGci.eyJzdWIi.c2ln"
    text = refused(400, echo.encode()).text
    assert text == "Authorization: Bearer *** and *** and *** and ***"


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


CLIENT_ERRORS = sorted(set(_subclasses(aiohttp.ClientError)), key=lambda kind: kind.__name__)

NEVER_WRITTEN = {
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ClientConnectorSSLError",
    "ClientConnectorCertificateError",
    "ClientProxyConnectionError",
    "ClientSSLError",
    "UnixClientConnectorError",
    "ConnectionTimeoutError",
    "ServerFingerprintMismatch",
    "ClientHttpProxyError",
    # The address was none, so nothing was ever dialled.
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
}


KEY = SimpleNamespace(host="gmail.example", port=443, ssl=True, is_ssl=True)
# What the constructors of aiohttp's exceptions want, the most special first.
CONSTRUCTORS = (
    (UnixClientConnectorError, lambda kind: kind("/socket", KEY, OSError(2, "missing"))),
    (aiohttp.ClientConnectorCertificateError, lambda kind: kind(KEY, ssl.SSLCertVerificationError(1, "expired"))),
    (aiohttp.ClientConnectorError, lambda kind: kind(KEY, OSError(111, "refused"))),
    (aiohttp.ClientResponseError, lambda kind: kind(SimpleNamespace(real_url="http://gmail.example"), (), status=400)),
    (aiohttp.ServerFingerprintMismatch, lambda kind: kind(b"a", b"b", "gmail.example", 443)),
    (aiohttp.ClientError, lambda kind: kind("odd")),
)


def _made(kind: type) -> Exception:
    return next(make for parent, make in CONSTRUCTORS if issubclass(kind, parent))(kind)


@pytest.mark.parametrize("kind", CLIENT_ERRORS, ids=lambda kind: kind.__name__)
def test_no_exception_of_aiohttp_escapes_and_each_has_the_right_effect(kind: type) -> None:
    error = translate.broken(SEND, _made(kind))
    assert isinstance(error, GmailError)
    assert error.effect is (Effect.NO if kind.__name__ in NEVER_WRITTEN else Effect.UNKNOWN)
    assert translate.broken(LIST, _made(kind)).effect is Effect.NO
    if issubclass(kind, TimeoutError):
        assert type(error) is errors.TimedOut


@pytest.mark.parametrize("exc", [ConnectionResetError(104, "reset"), BrokenPipeError(32, "pipe"), OSError(28, "full")])
def test_errors_of_the_system_after_the_request_are_unknown_for_a_write(exc: OSError) -> None:
    error = translate.broken(SEND, exc)
    assert type(error) is errors.ConnectionLost
    assert error.effect is Effect.UNKNOWN


def test_running_out_of_time_is_its_own_error() -> None:
    assert type(translate.broken(SEND, TimeoutError())) is errors.TimedOut
    assert translate.broken(SEND, TimeoutError()).effect is Effect.UNKNOWN
