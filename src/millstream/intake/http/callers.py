"""Who calls: a name and the token it brings, checked before a byte of the body is read."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping

from millstream.intake.http.errors import Refused

_LONGEST = 8192


class Callers:
    """Those who may hand in."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        # An empty token would let everybody in.
        self._tokens = {name: token.encode() for name, token in tokens.items() if token}

    def name(self, header: str | None) -> str:
        """The caller behind an `Authorization` header: `Bearer <token>`, or Basic with its name and the token.

        Connectors that know no bearer tokens know user and password.

        Raises:
            Refused: 401; nobody has this token.
        """
        scheme, _, told = (header or "")[:_LONGEST].partition(" ")
        user, token = None, told.strip().encode("utf-8", "replace")
        if scheme.lower() == "basic":
            user, token = _basic(told)
        elif scheme.lower() != "bearer":
            raise _unknown("this needs an Authorization header with a bearer token")
        found = None
        for name, secret in self._tokens.items():  # all of them, so that the time tells nothing
            if hmac.compare_digest(secret, token) and user in (None, name):
                found = name
        if found is None:
            raise _unknown("nobody has this token")
        return found


def _basic(told: str) -> tuple[str, bytes]:
    try:
        user, colon, token = b64decode(told.strip(), validate=True).partition(b":")
        if colon:
            return user.decode(), token
    except ValueError:
        pass
    raise _unknown("the Authorization header cannot be read")


def _unknown(why: str) -> Refused:
    return Refused(why, status=401, headers={"WWW-Authenticate": 'Bearer realm="millstream"'})
