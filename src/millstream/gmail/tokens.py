"""Access tokens for mailboxes: kept until shortly before they expire, fetched by one caller for all."""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from millstream.gmail.errors import Call, GmailError, TokenDead

MACHINE = "this machine"
"""The name under which a source is asked for a token of its own account, which acts as no mailbox."""

_EARLY_SECONDS = 300.0
_SPREAD_SECONDS = 60.0
_USABLE_SECONDS = 10.0
_PAUSE_SECONDS = 30.0


class TokenSource(Protocol):
    """Where the client gets its tokens from."""

    async def token(self, mailbox: str) -> str:
        """A valid access token to act as the mailbox. Raises a GmailError with effect ``no``."""

    def invalidate(self, mailbox: str, token: str | None = None) -> None:
        """Forget the mailbox's token, because Google refused it; with ``token`` only if it is still that one."""

    async def close(self) -> None:
        """End connections and fetches under way."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token and for how many seconds it is valid."""

    token: str = field(repr=False)
    seconds: float


@dataclass(slots=True)
class _Held:
    token: str = field(repr=False)
    renew_at: float
    expires_at: float


class CachedTokens(ABC):
    """One token for each mailbox, renewed five to six minutes before it expires.

    Renewals of one mailbox are one flight, whoever waits for it; renewals of many mailboxes are
    spread over a minute. A renewal that fails for now leaves the old token in use while it is valid.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._flights: dict[str, asyncio.Task[str]] = {}

    @abstractmethod
    async def fetch(self, mailbox: str) -> Grant:
        """Get a new token from Google."""

    async def token(self, mailbox: str) -> str:
        """A valid access token. Raises a GmailError with effect ``no`` when Google gives none."""
        held = self._held.get(mailbox)
        if held is not None and self._clock() < held.renew_at:
            return held.token
        return await self._renewed(mailbox)

    def invalidate(self, mailbox: str, token: str | None = None) -> None:
        """Forget a token that Google refused; a newer one than that stays."""
        held = self._held.get(mailbox)
        if held is not None and token in (None, held.token):
            del self._held[mailbox]

    async def close(self) -> None:
        """Stop fetches under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _renewed(self, mailbox: str) -> str:
        flight = self._flights.get(mailbox)
        if flight is None:
            flight = asyncio.create_task(self._renew(mailbox), name=f"token of {mailbox}")
            self._flights[mailbox] = flight
            flight.add_done_callback(lambda done: self._landed(mailbox, done))
        try:
            # One caller giving up must not take the token from the others.
            return await asyncio.shield(flight)
        except GmailError as exc:
            held = self._held.get(mailbox)
            now = self._clock()
            if not exc.temporary or held is None or now + _USABLE_SECONDS > held.expires_at:
                raise
            held.renew_at = now + _PAUSE_SECONDS
            return held.token

    async def _renew(self, mailbox: str) -> str:
        grant = await self.fetch(mailbox)
        now = self._clock()
        early = _EARLY_SECONDS + random.uniform(0, _SPREAD_SECONDS)  # noqa: S311  spreads load, guards nothing
        self._held[mailbox] = _Held(
            token=grant.token,
            renew_at=now + grant.seconds - min(early, grant.seconds / 2),
            expires_at=now + grant.seconds,
        )
        return grant.token

    def _landed(self, mailbox: str, flight: asyncio.Task[str]) -> None:
        self._flights.pop(mailbox, None)
        if not flight.cancelled():
            flight.exception()  # seen, even when every caller has gone


class StaticTokens:
    """Tokens given beforehand: one for all mailboxes, or one each. For benches and tests."""

    def __init__(self, tokens: str | Mapping[str, str]) -> None:
        self._tokens = tokens

    async def token(self, mailbox: str) -> str:
        """The given token. Raises TokenDead for a mailbox without one."""
        if isinstance(self._tokens, str):
            return self._tokens
        try:
            return self._tokens[mailbox]
        except KeyError:
            raise TokenDead(Call("token", mailbox), text="no token was given for this mailbox") from None

    def invalidate(self, mailbox: str, token: str | None = None) -> None:
        """Nothing can be fetched in its place."""

    async def close(self) -> None:
        """Nothing is open."""
