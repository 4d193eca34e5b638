"""Signing in: to the provider and back, and a cookie that says for a while who it was.

Code flow with PKCE (RFC 7636) and a nonce. What must come back is worked out from a random word in the browser's cookie
and our secret, so that nothing is kept here, and a code that somebody else began is worth nothing in this browser.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import orjson

from millstream.signin.errors import SignInRefused
from millstream.signin.provider import Provider
from millstream.signin.token import Person, read

_BEGUN_FOR = 600
"""Seconds from the way to the provider to the way back."""
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """Who signs people in, and where they come back to."""

    issuer: str
    client: str
    client_secret: str
    returns_to: str
    """Our address that the provider knows: `https://…/review/signed-in`."""
    secret: bytes
    """Signs our cookies."""
    lasts: float = 900.0
    """Seconds that a sign-in counts."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The way to the provider."""

    url: str
    cookie: str


class SignIn:
    """Sends people to the provider, and reads who comes back."""

    def __init__(self, options: SignInOptions, *, clock: Callable[[], datetime] | None = None) -> None:
        """Raises BadIssuer: the provider's address cannot be used."""
        self._options = options
        self._provider = Provider(options.issuer)
        self._clock = clock or (lambda: datetime.now(UTC))

    @property
    def lasts(self) -> float:
        """Seconds that a sign-in counts."""
        return self._options.lasts

    async def begin(self, purpose: str, *, hint: str = "", choose: bool = False) -> Begun:
        """Begin a sign-in for one purpose.

        `hint` is the address that is expected; with `choose` the provider lets people choose among their accounts.

        Raises:
            BadIssuer, ProviderAway: the provider cannot be used now.
        """
        document = await self._provider.document()
        chance = secrets.token_urlsafe(24)
        challenge = urlsafe_b64encode(sha256(self._word("verifier", chance).encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self._options.client,
            "redirect_uri": self._options.returns_to,
            "scope": "openid email",
            "state": self._word("state", chance, purpose),
            "nonce": self._word("nonce", chance),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"login_hint": hint} if hint else {}),
            **({"prompt": "select_account"} if choose else {}),
        }
        joint = "&" if "?" in document.authorize else "?"
        cookie = self._sealed("begun", {"chance": chance, "for": purpose}, _BEGUN_FOR)
        return Begun(f"{document.authorize}{joint}{urlencode(asked)}", cookie)

    async def finish(self, answer: Mapping[str, str], cookie: str) -> tuple[Person, str]:
        """Who comes back, and for which purpose; `answer` is the query that the provider sent them with.

        Raises:
            SignInRefused: it proves nothing.
            BadIssuer, ProviderAway: the provider cannot be used now.
        """
        begun = self._opened("begun", cookie)
        if begun is None:
            raise SignInRefused("cookie", "it was not begun in this browser, or too long ago")
        chance, purpose = str(begun["chance"]), str(begun["for"])
        if not hmac.compare_digest(answer.get("state", "").encode(), self._word("state", chance, purpose).encode()):
            raise SignInRefused("state", "the answer belongs to another sign-in")
        document = await self._provider.document()
        named = answer.get("iss")
        if (named is None and document.names_itself) or (named is not None and named != document.issuer):
            raise SignInRefused("mix-up", "the answer comes from another provider")
        code = answer.get("code", "")
        if "error" in answer or not code:
            raise SignInRefused("denied", "the provider did not sign you in")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._options.returns_to,
            "code_verifier": self._word("verifier", chance),
        }
        options = self._options
        given = await self._provider.token(form, options.client, options.client_secret)
        nonce = self._word("nonce", chance)
        person = await read(
            given.get("id_token"), self._provider, client=options.client, nonce=nonce, now=self._clock()
        )
        return person, purpose

    def kept(self, person: Person, purpose: str) -> str:
        """A cookie that says who signed in, for one purpose, as long as `lasts`."""
        told = {"sub": person.subject, "email": person.email, "iss": person.issuer, "for": purpose}
        return self._sealed("signed", told, self._options.lasts)

    def person(self, cookie: str, purpose: str) -> Person | None:
        """Whom a cookie names, if it is ours, still good, and for this purpose."""
        told = self._opened("signed", cookie)
        if told is None or told["for"] != purpose:
            return None
        return Person(told["sub"], told["email"], told["iss"])

    async def close(self) -> None:
        """End all connections."""
        await self._provider.close()

    def _word(self, *parts: str) -> str:
        """43 characters that only we can work out."""
        said = b"".join(len(part).to_bytes(4, "big") + part for part in (each.encode() for each in ("sign-in", *parts)))
        return urlsafe_b64encode(hmac.digest(self._options.secret, said, sha256)).decode().rstrip("=")

    def _sealed(self, kind: str, told: Mapping[str, Any], seconds: float) -> str:
        until = int(self._clock().timestamp() + seconds)
        body = urlsafe_b64encode(orjson.dumps({**told, "until": until})).decode().rstrip("=")
        return f"{body}.{self._word(kind, body)}"

    def _opened(self, kind: str, cookie: str) -> dict[str, Any] | None:
        body, _, seal = cookie.partition(".")
        if len(cookie) > _LONGEST or not hmac.compare_digest(seal.encode(), self._word(kind, body).encode()):
            return None
        told: dict[str, Any] = orjson.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return told if told["until"] > self._clock().timestamp() else None
