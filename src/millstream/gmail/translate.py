"""The one border where Google's answers and aiohttp's exceptions become our errors.

The rows are read from the top; reasons and words come before the status, because one project saw
sixteen rate answers in a day that were all 403 and none 429. Sources: guide "handle errors"
(https://developers.google.com/workspace/gmail/api/guides/handle-errors, read 2026-04-23), the usage
limits page (https://developers.google.com/workspace/gmail/api/reference/quota), and the texts seen by
others as named at the rows.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp

from millstream.gmail import errors
from millstream.gmail.answer import Answer, plain_text, redact
from millstream.gmail.errors import Call, Effect, GmailError


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of refusal: all the given conditions hold (an empty one always does)."""

    error: type[GmailError]
    statuses: frozenset[int] = frozenset()
    reasons: frozenset[str] = frozenset()
    text: re.Pattern[str] | None = None
    methods: frozenset[str] = frozenset()

    def fits(self, answer: Answer, method: str) -> bool:
        """Whether this row describes the answer."""
        return (
            (not self.statuses or answer.status in self.statuses)
            and (not self.methods or method in self.methods)
            and (not self.reasons or not self.reasons.isdisjoint(answer.reasons))
            and (self.text is None or self.text.search(answer.text) is not None)
        )


def _row(error: type[GmailError], *reasons: str, status: tuple[int, ...] = (), text: str = "", method: str = "") -> Row:
    return Row(
        error,
        frozenset(status),
        frozenset(reasons),
        re.compile(text, re.IGNORECASE) if text else None,
        frozenset({method} if method else ()),
    )


_RATE = ("rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED")
_SCOPE = ("insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
_OFF = ("failedPrecondition", "FAILED_PRECONDITION")

API_ROWS = (
    # Hours, not seconds; shared by all clients of the mailbox.
    _row(errors.MailSendingLimit, status=(403, 429), text=r"\(mail sending\)|daily (user )?sending (limit|quota)"),
    _row(errors.TooManyConcurrent, status=(403, 429), text=r"too many concurrent requests"),
    # The layer of Cloud quotas names its limit (mxngls/gmail-cleaner issue 5, elie222/inbox-zero issue 480).
    _row(errors.ProjectExhausted, status=(403, 429), text=r"quota exceeded for quota metric .* limit '[^']*per day"),
    _row(errors.RateLimited, status=(403, 429), text=r"quota exceeded for quota metric .* limit '[^']*per user"),
    _row(errors.ProjectRateLimited, status=(403, 429), text=r"quota exceeded for quota metric"),
    _row(errors.ProjectExhausted, "dailyLimitExceeded", "dailyLimitExceededUnreg", status=(403, 429)),
    _row(errors.Exhausted, status=(403, 429), text=r"resource has been exhausted"),
    _row(errors.RateLimited, *_RATE, status=(403, 429)),
    _row(errors.RateLimited, status=(403, 429), text=r"user-rate limit exceeded|rate limit exceeded"),
    _row(errors.Exhausted, "RESOURCE_EXHAUSTED", "quotaExceeded", status=(403, 429)),
    # An administrator's matters.
    _row(errors.DomainForbids, "domainPolicy", status=(400, 403)),
    _row(errors.ScopeMissing, *_SCOPE, status=(401, 403)),
    _row(
        errors.ScopeMissing, status=(401, 403), text=r"insufficient (authentication scopes|permission)|metadata scope"
    ),
    _row(errors.DelegationDenied, status=(403,), text=r"delegation denied for"),
    _row(errors.MailServiceOff, *_OFF, status=(400, 403), text=r"mail service not enabled|precondition check failed"),
    # Words as in dacastro4/laravel-gmail issue 121.
    _row(errors.PageTokenInvalid, status=(400,), text=r"page ?token"),
    # The message's matters.
    _row(errors.PayloadTooLarge, status=(413,)),
    _row(errors.PayloadTooLarge, "uploadTooLarge", status=(400,)),
    _row(errors.PayloadTooLarge, status=(400,), text=r"payload size exceeds|too large|larger than"),
    _row(errors.InvalidRecipient, status=(400,), text=r"invalid (to|cc|bcc) header|recipient address required"),
    # A consumed draft answers 404, and was seen to answer 400 (taylorwilsdon/google_workspace_mcp pull request 1035).
    _row(errors.NotFound, status=(400,), text=r"message not a draft|invalid draft", method="drafts.send"),
    _row(errors.HistoryExpired, "notFound", "NOT_FOUND", status=(404,), method="history.list"),
    _row(errors.NotFound, "notFound", "NOT_FOUND", status=(404,)),
)

# By status alone, for words that nobody has written down yet. A 404 is not among them: one that does not
# say "notFound" in Google's own shape comes from something on the way and proves nothing about a draft.
BY_STATUS: dict[int, type[GmailError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    408: errors.TimedOut,
    409: errors.ServerError,  # ABORTED: a conflict of Google's own, to be tried again from further up
    413: errors.PayloadTooLarge,
    429: errors.RateLimited,
}

# The shapes of RFC 6749 §5.2; words as Google's token endpoint uses them.
TOKEN_ROWS = (
    _row(errors.BadCredentials, "invalid_grant", text=r"invalid jwt|signature|iat|short-lived|account not found"),
    _row(errors.TokenDead, "invalid_grant", "access_denied", "invalid_rapt", "invalid_subject"),
    _row(errors.ScopeMissing, "unauthorized_client", "invalid_scope"),
    _row(errors.DomainForbids, "admin_policy_enforced", "org_internal"),
    _row(errors.RateLimited, "rate_limit_exceeded", "slow_down"),
    _row(errors.ServerError, "internal_failure", "server_error", "temporarily_unavailable"),
    _row(errors.BadCredentials, "invalid_client", "deleted_client", "disabled_client", "invalid_request"),
    _row(errors.BadCredentials, "unsupported_grant_type", "redirect_uri_mismatch"),
)

_SERVER = 500
_FIRST_REFUSAL = 400
_FORBIDDEN = 403
_NOT_FOUND = 404

# The request cannot have been written when one of these is raised (aiohttp 3.14, client_exceptions.py).
_NEVER_WRITTEN = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
)


def refusal(call: Call, answer: Answer, now: datetime) -> GmailError:
    """The error for an answer of the API that is not a success (status 300 and above, or 1xx)."""
    kind = _kind(API_ROWS, call, answer)
    return _made(kind, call, answer, _next_minute(kind, answer, now))


def token_refusal(call: Call, answer: Answer) -> GmailError:
    """The error for an answer of the token endpoint or of the IAM service that is not a success."""
    kind = next((row.error for row in TOKEN_ROWS if row.fits(answer, call.method)), None)
    return _made(kind or _kind(API_ROWS, call, answer), call, answer, answer.retry_at)


def broken(call: Call, exc: BaseException) -> GmailError:
    """The error for an exception of aiohttp or of the operating system."""
    text = redact(f"{type(exc).__name__}: {exc}")
    effect = Effect.NO if isinstance(exc, _NEVER_WRITTEN) else call.worst
    if isinstance(exc, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return errors.BadRequest(call, text=f"the endpoint is no HTTP address: {text}")
    if isinstance(exc, TimeoutError):
        return errors.TimedOut(call, text=text, effect=effect)
    return errors.ConnectionLost(call, text=text, effect=effect)


def unreadable(call: Call, status: int, body: bytes | bytearray, exc: Exception) -> GmailError:
    """The error for a success that cannot be read; what it did is unknown if it writes."""
    return errors.Unreadable(call, status=status, text=redact(f"{type(exc).__name__} in: {plain_text(body)}"))


def _kind(rows: tuple[Row, ...], call: Call, answer: Answer) -> type[GmailError]:
    if answer.status >= _SERVER:
        return errors.ServerError
    if answer.status < _FIRST_REFUSAL:  # a redirect: Gmail sends none, and following it could repeat a send
        return errors.Unreadable
    if answer.googles:
        found = next((row.error for row in rows if row.fits(answer, call.method)), None)
        if found:
            return found
    if not answer.googles and answer.status == _FORBIDDEN:
        # A page that says so is a proxy's; one that inspects replies may say it after the request was passed on.
        return errors.Unreadable
    if answer.status in BY_STATUS:
        return BY_STATUS[answer.status]
    return errors.BadRequest if answer.googles and answer.status != _NOT_FOUND else errors.Unreadable


def _made(kind: type[GmailError], call: Call, answer: Answer, retry_at: datetime | None) -> GmailError:
    return kind(call, status=answer.status, reason=answer.reason, text=answer.text, retry_at=retry_at)


def _next_minute(kind: type[GmailError], answer: Answer, now: datetime) -> datetime | None:
    """The stated moment; quotas of Cloud state none and start afresh with the next minute."""
    if answer.retry_at or "quota metric" not in answer.text or not issubclass(kind, errors.LimitReached):
        return answer.retry_at
    if kind is errors.ProjectExhausted:
        return None
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
