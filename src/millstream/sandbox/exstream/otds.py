"""OTDS: access tokens for service clients and users, at every URL under which installations have the endpoint."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from millstream.sandbox.exstream.config import Caller
from millstream.sandbox.exstream.errors import TokenRefusal, Unauthorized
from millstream.sandbox.exstream.world import World

PATHS: Final = (
    "/tenants/{tenant}/oauth2/token",  # public cloud
    "/otdstenant/{tenant}/oauth2/token",  # ot2
    "/otdsws/otdstenant/{tenant}/oauth2/token",  # local
    "/otdsws/oauth2/token",  # classic: the default tenant
    "/otdstenant/{tenant}/otdsws/oauth2/token",  # tenant first
)
"""Below the root, and below `/otds`."""

_SWEEP_ABOVE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Access:
    """What a token allows. `name` is the client or the user."""

    name: str
    rights: frozenset[str]
    roles: tuple[str, ...]
    expires: float


class Otds:
    """The grants, and the tokens given out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._given: dict[str, Access] = {}

    def clear(self) -> None:
        """Take all tokens back."""
        self._given.clear()

    def grant(self, tenant: str | None, fields: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Answer a token request; raises `TokenRefusal`."""
        if tenant is not None and tenant != self._world.config.tenant:
            raise TokenRefusal(400, "invalid_request", f"Tenant {tenant} does not exist")
        client, secret = _basic(authorization) or (fields.get("client_id", ""), fields.get("client_secret", ""))
        kind = fields.get("grant_type", "")
        if kind == "client_credentials":
            name, caller = client, self._client(client, secret)
        elif kind == "password":
            if client not in self._world.config.public_clients:
                self._client(client, secret)
            name, caller = fields.get("username", ""), self._user(fields)
        else:
            raise TokenRefusal(400, "unsupported_grant_type", f"Grant type {kind[:60] or '(none)'} is not supported")
        return self._answer(name, caller, fields.get("scope", ""))

    def _client(self, client: str, secret: str) -> Caller:
        known = self._world.config.clients.get(client)
        if known is None or not secrets.compare_digest(known.secret.encode(), secret.encode()):
            raise TokenRefusal(401, "invalid_client", "Client authentication failed")
        return known

    def _user(self, fields: Mapping[str, str]) -> Caller:
        known = self._world.config.users.get(fields.get("username", ""))
        if known is None or not secrets.compare_digest(known.secret.encode(), fields.get("password", "").encode()):
            raise TokenRefusal(400, "invalid_grant", "Invalid username or password")
        return known

    def _answer(self, name: str, caller: Caller, scope: str) -> dict[str, Any]:
        now, seconds = self._world.clock.seconds(), self._world.config.token_seconds
        if len(self._given) > _SWEEP_ABOVE:
            self._given = {token: access for token, access in self._given.items() if access.expires > now}
        token = secrets.token_urlsafe(32)
        self._given[token] = Access(name, frozenset(caller.rights), caller.roles, now + seconds)
        answer = {
            "access_token": token,
            "refresh_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": seconds,
        }
        return answer | ({"scope": scope} if scope else {})

    def check(self, authorization: str | None) -> Access:
        """The access behind a header; raises `Unauthorized`."""
        kind, _, token = (authorization or "").partition(" ")
        access = self._given.get(token.strip()) if kind.lower() == "bearer" else None
        if access is None:
            raise Unauthorized("Full authentication is required to access this resource")
        if access.expires <= self._world.clock.seconds():
            raise Unauthorized("The access token expired")
        return access


def _basic(authorization: str | None) -> tuple[str, str] | None:
    kind, _, text = (authorization or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise TokenRefusal(401, "invalid_client", "The Authorization header is no Basic login") from None
    return client, secret


def fields_of(content_type: str, body: bytes, form: Mapping[str, str]) -> dict[str, str]:
    """The fields of a request, from a form or from JSON; raises `TokenRefusal`."""
    if "json" not in content_type:
        return dict(form)
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise TokenRefusal(400, "invalid_request", "The body is no JSON object")
    return {str(name): value for name, value in told.items() if isinstance(value, str)}
