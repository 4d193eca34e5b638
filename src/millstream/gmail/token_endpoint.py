"""OAuth 2.0 grants at the token endpoint: signed assertions, refresh tokens, authorisation codes.

Assertions follow RFC 7523 and "Using OAuth 2.0 for server to server applications"
(https://developers.google.com/identity/protocols/oauth2/service-account). Their audience is always
Google's own address, as google-auth signs it, wherever the token URL points.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from yarl import URL

from millstream.gmail import translate
from millstream.gmail.answer import read_answer
from millstream.gmail.errors import Call
from millstream.gmail.options import GmailOptions
from millstream.gmail.tokens import MACHINE, Grant
from millstream.gmail.transport import Transport, utc_now

AUDIENCE = "https://oauth2.googleapis.com/token"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_HOUR = 3600
_SUCCESS = 200


class TokenEndpoint:
    """Google's token endpoint and the few JSON services beside it; has connections of its own."""

    def __init__(self, options: GmailOptions) -> None:
        self.options = options
        self._transport = Transport(options)
        self._url = URL(options.token_url)

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    async def grant(self, mailbox: str, form: Mapping[str, str]) -> tuple[Grant, dict[str, Any]]:
        """Post a grant; gives the token and the whole document (a refresh token may be in it)."""
        call = Call("oauth2.token", mailbox)
        document = await self.json(call, "POST", self._url, headers=_FORM, body=urlencode(form).encode())
        return read_grant(call, document), document

    async def assertion(self, mailbox: str, signed: str) -> Grant:
        """Exchange a signed assertion for a token."""
        grant, _ = await self.grant(mailbox, {"grant_type": JWT_BEARER, "assertion": signed})
        return grant

    async def json(
        self, call: Call, verb: str, url: URL, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> dict[str, Any]:
        """One exchange whose answer is a JSON object. Raises a GmailError otherwise."""
        reply = await self._transport.exchange(call, verb, url, headers=headers, body=body)
        if reply.status != _SUCCESS:
            raise translate.token_refusal(call, read_answer(reply.status, reply.headers, reply.body, utc_now()))
        try:
            document = orjson.loads(reply.body)
        except orjson.JSONDecodeError as exc:
            raise translate.unreadable(call, reply.status, b"an answer that is no JSON", exc) from None
        if not isinstance(document, dict):
            raise translate.unreadable(call, reply.status, b"JSON that is no object", TypeError())
        return document


def read_grant(call: Call, document: Mapping[str, Any]) -> Grant:
    """The token in a grant's answer. The document itself never gets into an error: it holds secrets."""
    try:
        return Grant(str(document["access_token"]), float(document.get("expires_in", _HOUR)))
    except (KeyError, TypeError, ValueError) as exc:
        raise translate.unreadable(call, _SUCCESS, b"an answer without access_token", exc) from None


def subject(mailbox: str) -> str | None:
    """Whom an assertion acts as: the mailbox, or nobody but its issuer when that is asked for (MACHINE)."""
    return None if mailbox == MACHINE else mailbox


def claims(issuer: str, scopes: tuple[str, ...], subject: str | None, now: datetime) -> dict[str, Any]:
    """The claims of an assertion that is valid for an hour, the longest Google allows."""
    issued = int(now.timestamp())
    told: dict[str, Any] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "iat": issued,
        "exp": issued + _HOUR,
        "scope": " ".join(scopes),
    }
    if subject is not None:
        told["sub"] = subject
    return told
