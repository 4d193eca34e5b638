"""A service account with a key, delegated to the mailboxes of its domain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import orjson
from google.auth import crypt, jwt
from google.auth.exceptions import GoogleAuthError

from millstream.gmail.errors import BadCredentials, Call
from millstream.gmail.options import DRAFT_SCOPES, GmailOptions
from millstream.gmail.token_endpoint import TokenEndpoint, claims, subject
from millstream.gmail.tokens import CachedTokens, Grant
from millstream.gmail.transport import utc_now


class ServiceAccountKey:
    """A service account's key file, as the Cloud console gives it; signs assertions (RS256)."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        try:
            self.email = str(info["client_email"])
            self._signer = crypt.RSASigner.from_service_account_info(info)  # type: ignore[no-untyped-call]  # google-auth ships no types
        except (KeyError, ValueError, GoogleAuthError) as exc:
            # The cause stays out of the chain: it may quote the key.
            raise _unusable(f"it is no service account key ({type(exc).__name__})") from None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the key from a JSON file. Raises BadCredentials when there is none."""
        return cls(read_credentials(path))

    def sign(self, told: Mapping[str, Any]) -> str:
        """The claims as a signed JWT."""
        signed: bytes = jwt.encode(self._signer, dict(told))  # type: ignore[no-untyped-call]  # the same
        return signed.decode()

    def __repr__(self) -> str:
        return f"ServiceAccountKey({self.email!r}, key=***)"


class ServiceAccountTokens(CachedTokens):
    """Tokens by domain-wide delegation: the account signs that it acts as the mailbox (``sub``)."""

    def __init__(self, key: ServiceAccountKey, options: GmailOptions, scopes: tuple[str, ...] = DRAFT_SCOPES) -> None:
        super().__init__()
        self._key = key
        self._scopes = scopes
        self._endpoint = TokenEndpoint(options)

    async def fetch(self, mailbox: str) -> Grant:
        """Sign an assertion for the mailbox and exchange it; for MACHINE one of the account itself."""
        signed = self._key.sign(claims(self._key.email, self._scopes, subject(mailbox), utc_now()))
        return await self._endpoint.assertion(mailbox, signed)

    async def close(self) -> None:
        """End fetches and connections."""
        await super().close()
        await self._endpoint.close()


def read_credentials(path: Path) -> dict[str, Any]:
    """A JSON object of credentials. Raises BadCredentials, without a word of its content."""
    try:
        info = orjson.loads(path.read_bytes())
    except OSError as exc:
        raise _unusable(f"{path} cannot be read: {exc.strerror}") from exc
    except orjson.JSONDecodeError:
        raise _unusable(f"{path} is no JSON") from None
    if not isinstance(info, dict):
        raise _unusable(f"{path} holds no JSON object")
    return info


def _unusable(why: str) -> BadCredentials:
    return BadCredentials(Call("credentials", "every mailbox"), text=why)
