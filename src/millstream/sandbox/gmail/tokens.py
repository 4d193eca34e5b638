"""Access tokens: who may call, for which mailbox, with which scopes, until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from millstream.sandbox.gmail.errors import InvalidCredentials, MissingCredentials
from millstream.sandbox.gmail.world import World

SCOPE_PREFIX: Final = "https://www.googleapis.com/auth/"
FULL: Final = "https://mail.google.com/"
OPEN_PREFIX: Final = "sandbox:"
_SWEEP_ABOVE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Access:
    """What one access token allows. `subject` is the mailbox, or a service account that acts for itself."""

    subject: str
    scopes: frozenset[str]
    expires: float
    caller: str
    is_delegated: bool = False

    def allows(self, scopes: frozenset[str]) -> bool:
        """Whether any of these scopes was granted."""
        return not self.scopes.isdisjoint(scopes)

    @property
    def is_metadata_only(self) -> bool:
        """Whether bodies and searches are out of reach."""
        return "gmail.metadata" in self.scopes and self.scopes.isdisjoint({FULL, "gmail.modify", "gmail.readonly"})


def short_scopes(text: str | Iterable[str]) -> frozenset[str]:
    """Scope URLs (blank-separated text or a list) without Google's common prefix."""
    urls = text.split() if isinstance(text, str) else text
    return frozenset(url.removeprefix(SCOPE_PREFIX) for url in urls)


class Tokens:
    """The access tokens given out, by their text."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._given: dict[str, Access] = {}

    def give(self, subject: str, scopes: frozenset[str], *, caller: str, is_delegated: bool = False) -> str:
        """Make a token that lives as long as the configuration says, by the sandbox's clock."""
        now = self._world.clock.seconds()
        if len(self._given) > _SWEEP_ABOVE:
            self._given = {token: access for token, access in self._given.items() if access.expires > now}
        token = f"ya29.{self._world.new_token()}"
        expires = now + self._world.config.token_seconds
        self._given[token] = Access(subject, scopes, expires, caller, is_delegated)
        return token

    def check(self, authorization: str | None, parameter: str | None = None) -> Access:
        """The access behind an Authorization header or an `access_token` parameter.

        Raises `MissingCredentials` or `InvalidCredentials`, the latter also for a mailbox whose token is dead.
        """
        if authorization is None and parameter is None:
            raise MissingCredentials
        kind, _, token = (authorization or f"Bearer {parameter}").partition(" ")
        if kind.lower() != "bearer":
            raise InvalidCredentials
        token = token.strip()
        access = self._given.get(token) or self._open(token)
        if access is None or access.expires <= self._world.clock.seconds():
            raise InvalidCredentials
        account = self._world.account(access.subject)
        if account is not None and account.condition.token_dead:
            raise InvalidCredentials
        return access

    def _open(self, token: str) -> Access | None:
        if not self._world.config.open_tokens or not token.startswith(OPEN_PREFIX):
            return None
        access = Access(
            token.removeprefix(OPEN_PREFIX).lower(),
            frozenset({FULL, "gmail.settings.basic", "gmail.settings.sharing", "cloud-platform"}),
            float("inf"),
            "open token",
        )
        self._given[token] = access
        return access

    def revoke(self, token: str) -> bool:
        """Take a token back; says whether it was there."""
        return self._given.pop(token, None) is not None

    def clear(self) -> None:
        """Take all tokens back."""
        self._given.clear()
