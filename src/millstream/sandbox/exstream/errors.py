"""Every refusal of the sandbox.

    Refusal                an answer with an error in it; nothing was done
      BadRequest           400: a request that can never work
      Unauthorized         401: no token, an unknown or an expired one
      Forbidden            403: the caller lacks a right
      NotFound             404: no such thing
        Wiped              404: it was there; its files are not any more
      Conflict             409: not in this state
      TooLarge             413: the body
      Limited              429: too often
      Broken               500: the server's own fault
    DataRefusal            the data form: status error, a list of errorMessage and statusCode
    TokenRefusal           the token endpoint's own shape
    EngineRefusal          the engine's web service: a SOAP fault
    DriverProblem          a driver that the engine cannot read

Shapes: the vendor's SDK and a real server's answers. Which status goes with which cause is on record only in part;
where it is not, the nearest meaning in HTTP was taken.
"""

from http import HTTPStatus
from typing import Any


class Refusal(Exception):
    """An error answer in Exstream's shape."""

    status = 500

    def __init__(self, details: str, *, code: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(details)
        self.details = details
        self.code = code
        self.retry_after = retry_after

    def body(self, path: str, now: int) -> dict[str, Any]:
        """The JSON body; `now` in milliseconds."""
        phrase = HTTPStatus(self.status).phrase
        body: dict[str, Any] = {
            "timestamp": now,
            "status": self.status,
            "message": phrase,
            "error": phrase,
            "details": self.details,
            "path": path,
        }
        return body if self.code is None else body | {"errorCode": self.code}


class BadRequest(Refusal):
    """A request that can never work."""

    status = 400


class Unauthorized(Refusal):
    """No token, or one that is unknown or expired."""

    status = 401


class Forbidden(Refusal):
    """The caller lacks a right."""

    status = 403


class NotFound(Refusal):
    """No such thing."""

    status = 404


class Wiped(NotFound):
    """Files that are not retained any more."""


class Conflict(Refusal):
    """Not in this state."""

    status = 409


class TooLarge(Refusal):
    """A body above the limit."""

    status = 413


class Limited(Refusal):
    """Too many calls."""

    status = 429


class Broken(Refusal):
    """The server's own fault."""


class DataRefusal(Exception):
    """An error in the data form; `status` is HTTP's, `code` the text inside."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        entry = {"errorMessage": self.message, "statusCode": self.code, "engineOutputContext": {}}
        return {"status": "error", "data": [entry]}


class TokenRefusal(Exception):
    """A refusal of the token endpoint: `error` and `error_description`."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": self.error, "error_description": self.description}


class EngineRefusal(Exception):
    """A SOAP fault; `client` where the request is to blame."""

    def __init__(self, message: str, *, client: bool = False, status: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.client = client
        self.status = status


class DriverProblem(Exception):
    """A driver that cannot be read, or not as far as a customer."""
