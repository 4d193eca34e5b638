"""The token of a one-click answer: proof that it was Gmail that posted it, for a mail of ours.

https://developers.google.com/workspace/gmail/markup/actions/verifying-bearer-tokens (read 2026-09): a JSON web token in
the header, by Google, whose authorised party is Gmail's account and whose audience is the sender's domain. Google sends
it to those alone who asked for it when they registered; a click without it is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from millstream.gmail.errors import PushRefused
from millstream.gmail.push_token import ISSUERS, SKEW, GoogleKeys, bearer, moment, named_key, same, signed_claims
from millstream.gmail.transport import utc_now

GMAIL = "gmail@system.gserviceaccount.com"


class ClickTokens:
    """Says of each click whether Gmail posted it, for one of our domains."""

    def __init__(self, domains: Collection[str], keys: GoogleKeys, *, clock: Callable[[], datetime] = utc_now) -> None:
        """`domains`: those that reviews are sent from."""
        self._audiences = frozenset(f"https://{domain.lower()}" for domain in domains)
        self._keys = keys
        self._clock = clock

    async def verify(self, authorization_header: str | None) -> Mapping[str, str]:
        """Check the token of a click's `Authorization` header; gives what it proves, for the evidence.

        Raises:
            PushRefused: it proves nothing (to be answered with 401).
            GmailError: Google's keys cannot be had now (503).
        """
        token = bearer(authorization_header)
        key = await self._keys.key(named_key(token))
        if key is None:
            raise PushRefused("key", "Google has no key of this id")
        claims = signed_claims(token, key)
        now = self._clock()
        if now >= moment(claims, "exp") + SKEW:
            raise PushRefused("expiry", "it has expired")
        if now < moment(claims, "iat") - SKEW:
            raise PushRefused("issue time", "it was issued in the future; check this machine's clock")
        if claims.get("iss") not in ISSUERS:
            raise PushRefused("issuer", "it was not issued by accounts.google.com")
        if not same(claims.get("azp"), GMAIL):
            raise PushRefused("party", "it was not made for Gmail")
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in self._audiences:
            raise PushRefused("audience", "it is meant for another sender")
        return {"party": GMAIL, "audience": audience}

    async def close(self) -> None:
        """End all connections."""
        await self._keys.close()
