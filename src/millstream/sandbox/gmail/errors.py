"""Every refusal of the sandbox, in Google's wording.

    Refusal                      an answer with an error in it; nothing was done
      BadArgument                400 invalidArgument
        InvalidPageToken         400 "Invalid pageToken"
      MailServiceOff             400 failedPrecondition "Mail service not enabled"
      NoMailbox                  400 failedPrecondition "Precondition check failed."
      InvalidCredentials         401 authError
      MissingCredentials         401 required
      Forbidden                  403 forbidden
        DelegationDenied         403 "Delegation denied for …"
        DomainPolicy             403 domainPolicy
        MetadataScope            403 what gmail.metadata does not allow
      ScopeInsufficient          403 insufficientPermissions
      CloudQuota                 403 rateLimitExceeded "Quota exceeded for quota metric …"
        UserCloudQuota           the same for one user
      ProjectExhausted           403 dailyLimitExceeded
      UserRateLimit              403 or 429, the time in the text
        MailSending              429 "(Mail sending)"
      TooManyConcurrent          429
      Exhausted                  429 "Resource has been exhausted (e.g. check quota)."
      NotFound                   404 notFound
      AlreadyThere               409 aborted
      Backend                    500, 504 backendError
        Unavailable              503 backendError
      FrontEnd                   an HTML page: 400, 404, 411, 413, 502
    OAuthRefusal                 the token endpoint's own shape

Sources: reference section 1.2, which quotes Google's error guide and reports from the field; where a text was not on
record the comment beside it says so.
"""

from typing import Any, Final

from millstream.sandbox.gmail.clock import retry_text

PROJECT: Final = "project_number:100000000001"
"""The consumer named in Cloud-quota refusals."""

_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"


class Refusal(Exception):
    """An error answer: `code` is the HTTP status, `reason` the ledger's and the body's `errors[0].reason`."""

    def __init__(  # noqa: PLR0913  Google's error object has this many fields
        self,
        code: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        status: str | None = None,
        detail_message: str | None = None,
        place: str | None = None,
        details: tuple[dict[str, Any], ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.domain = domain
        self.status = status or _STATUS.get(code, "UNKNOWN")
        self.detail_message = detail_message or message
        self.place = place
        self.details = details

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        entry = {"message": self.detail_message, "domain": self.domain, "reason": self.reason}
        if self.place:
            entry |= {
                "location": self.place,
                "locationType": "header" if self.place == "Authorization" else "parameter",
            }
        error: dict[str, Any] = {"code": self.code, "message": self.message, "errors": [entry], "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


class BadArgument(Refusal):
    """A request that can never work."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "invalidArgument", message)


class InvalidPageToken(BadArgument):
    """A page token that was never given out."""

    def __init__(self) -> None:
        super().__init__("Invalid pageToken")


class MailServiceOff(Refusal):
    """The user exists and has no Gmail mailbox."""

    def __init__(self) -> None:
        super().__init__(400, "failedPrecondition", "Mail service not enabled", status="FAILED_PRECONDITION")


class NoMailbox(Refusal):
    """A service account that acts for itself: it has no mailbox."""

    def __init__(self) -> None:
        super().__init__(400, "failedPrecondition", "Precondition check failed.", status="FAILED_PRECONDITION")


class InvalidCredentials(Refusal):
    """An access token that is unknown, expired or revoked."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "authError",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
            "valid authentication credential. See "
            "https://developers.google.com/identity/sign-in/web/devconsole-project.",
            detail_message="Invalid Credentials",
            place="Authorization",
        )


class MissingCredentials(Refusal):
    """No access token at all."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "required",
            "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or "
            "other valid authentication credential. See "
            "https://developers.google.com/identity/sign-in/web/devconsole-project.",
            detail_message="Login Required.",
            place="Authorization",
            details=(
                {
                    "@type": _ERROR_INFO,
                    "reason": "CREDENTIALS_MISSING",
                    "domain": "googleapis.com",
                    "metadata": {"service": "gmail.googleapis.com"},
                },
            ),
        )


class Forbidden(Refusal):
    """Something the caller may not do, whatever the rate."""

    def __init__(self, message: str, *, reason: str = "forbidden") -> None:
        super().__init__(403, reason, message)


class DelegationDenied(Forbidden):
    """A token of one user on the mailbox of another, or a service account without delegation."""

    def __init__(self, caller: str) -> None:
        super().__init__(f"Delegation denied for {caller}")


class DomainPolicy(Forbidden):
    """The domain's administrator does not let apps use Gmail."""

    def __init__(self) -> None:
        super().__init__("The domain policy has disabled third-party Gmail apps", reason="domainPolicy")


class ScopeInsufficient(Refusal):
    """The token lacks the scope for this method."""

    def __init__(self, method: str) -> None:
        super().__init__(
            403,
            "insufficientPermissions",
            "Request had insufficient authentication scopes.",
            detail_message="Insufficient Permission",
            details=(
                {
                    "@type": _ERROR_INFO,
                    "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                    "domain": "googleapis.com",
                    "metadata": {"service": "gmail.googleapis.com", "method": f"gmail.users.{method}"},
                },
            ),
        )


class MetadataScope(Forbidden):
    """What the scope gmail.metadata does not allow."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Metadata scope {what}")


class CloudQuota(Refusal):
    """The Cloud-quota layer: units a minute, per user or per project. No time is named."""

    def __init__(self, *, per_user: bool) -> None:
        limit = "Queries per minute per user" if per_user else "Queries per minute"
        super().__init__(
            403,
            "rateLimitExceeded",
            f"Quota exceeded for quota metric 'Queries' and limit '{limit}' of service 'gmail.googleapis.com' "
            f"for consumer '{PROJECT}'.",
            domain="usageLimits",
            details=(
                {
                    "@type": _ERROR_INFO,
                    "reason": "RATE_LIMIT_EXCEEDED",
                    "domain": "googleapis.com",
                    "metadata": {
                        "service": "gmail.googleapis.com",
                        "consumer": PROJECT.replace("project_number:", "projects/"),
                        "quota_metric": "gmail.googleapis.com/default_requests",
                        "quota_limit": "defaultPerMinutePerUser" if per_user else "defaultPerMinutePerProject",
                    },
                },
            ),
        )


class UserCloudQuota(CloudQuota):
    """The same for one user."""

    def __init__(self) -> None:
        super().__init__(per_user=True)


class ProjectExhausted(Refusal):
    """The project's quota for the day is used up."""

    def __init__(self) -> None:
        super().__init__(
            403,
            "dailyLimitExceeded",
            "Daily Limit Exceeded. The quota will be reset at midnight Pacific Time (PT). You may monitor your quota "
            "usage and adjust limits in the API Console.",
            domain="usageLimits",
        )


class UserRateLimit(Refusal):
    """Gmail's own limiter: the time to come back stands in the text only (two blanks before it)."""

    def __init__(self, until: float, *, code: int = 429, reason: str = "rateLimitExceeded", what: str = "") -> None:
        suffix = f" ({what})" if what else ""
        super().__init__(
            code,
            reason,
            f"User-rate limit exceeded.  Retry after {retry_text(until)}{suffix}",
            domain="usageLimits" if code == 403 else "global",  # noqa: PLR2004  an HTTP status
        )


class MailSending(UserRateLimit):
    """The mailbox may not send for hours; every client of this user is meant."""

    def __init__(self, until: float) -> None:
        super().__init__(until, reason="userRateLimitExceeded", what="Mail sending")


class TooManyConcurrent(Refusal):
    """More requests in flight than one mailbox may have."""

    def __init__(self) -> None:
        super().__init__(429, "rateLimitExceeded", "Too many concurrent requests for user")


class Exhausted(Refusal):
    """The generic one."""

    def __init__(self) -> None:
        super().__init__(429, "rateLimitExceeded", "Resource has been exhausted (e.g. check quota).")


class NotFound(Refusal):
    """No such thing here; a consumed draft and an expired history id say this too."""

    def __init__(self, message: str = "Requested entity was not found.") -> None:
        super().__init__(404, "notFound", message)


class AlreadyThere(Refusal):
    """A name that is taken."""

    def __init__(self, message: str) -> None:
        super().__init__(409, "aborted", message)


class Backend(Refusal):
    """Google's own failure; whether something happened is not said."""

    _TEXT: Final = {
        500: "Internal error encountered.",
        503: "The service is currently unavailable.",
        504: "Deadline expired before operation could complete.",
    }

    def __init__(self, code: int) -> None:
        super().__init__(code, "backendError", self._TEXT.get(code, "Backend Error"))


class Unavailable(Backend):
    """Unavailable for a while."""

    def __init__(self) -> None:
        super().__init__(503)


class FrontEnd(Refusal):
    """An HTML page of the front end, which never saw the API behind it."""

    _TEXT: Final = {
        400: ("Bad Request", "Your client has issued a malformed or illegal request."),
        404: ("Not Found", "The requested URL was not found on this server."),
        411: ("Length Required", "POST requests require a <code>Content-length</code> header."),
        413: ("Request Entity Too Large", "Your client issued a request that was too large."),
        502: ("Server Error", "The server encountered a temporary error and could not complete your request."),
    }

    def __init__(self, code: int) -> None:
        title, sentence = self._TEXT.get(code, self._TEXT[502])
        super().__init__(code, "frontEnd", title)
        self.sentence = sentence

    def page(self) -> str:
        """The HTML body, in the form of Google's robot page."""
        return (
            "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
            f"  <title>Error {self.code} ({self.message})!!1</title>\n"
            f"  <p><b>{self.code}.</b> <ins>That&rsquo;s an error.</ins>\n"
            f"  <p>{self.sentence}  <ins>That&rsquo;s all we know.</ins>\n"
        )


class OAuthRefusal(Exception):
    """A refusal of the token endpoint: `error` and `error_description` in a flat object."""

    def __init__(self, code: int, error: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.error = error
        self.description = description

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": self.error, "error_description": self.description}
