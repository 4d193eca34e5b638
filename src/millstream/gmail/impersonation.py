"""Keyless delegation: no key file anywhere, IAM signs the assertion for us.

The machine's own identity (metadata server, application default credentials, or a token file that an agent
renews) asks the IAM Credentials service to sign as the delegated service account; it needs the role
``roles/iam.serviceAccountTokenCreator`` on it. Source: projects.serviceAccounts.signJwt
(https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signJwt).
"""

import asyncio
from pathlib import Path
from urllib.parse import quote

import orjson
from yarl import URL

from millstream.gmail import translate
from millstream.gmail.errors import BadCredentials, Call, Unauthorized
from millstream.gmail.options import DRAFT_SCOPES, GmailOptions
from millstream.gmail.service_account import ServiceAccountKey, read_credentials
from millstream.gmail.token_endpoint import TokenEndpoint, claims, read_grant, subject
from millstream.gmail.tokens import MACHINE, CachedTokens, Grant, TokenSource
from millstream.gmail.transport import utc_now

CLOUD_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_FILE_SECONDS = 60.0
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


class ImpersonatedTokens(CachedTokens):
    """Tokens by delegation of a service account whose key nobody holds."""

    def __init__(
        self,
        service_account: str,
        source: TokenSource,
        options: GmailOptions,
        scopes: tuple[str, ...] = DRAFT_SCOPES,
    ) -> None:
        super().__init__()
        self._account = service_account
        self._source = source
        self._scopes = scopes
        self._endpoint = TokenEndpoint(options)
        path = f"/v1/projects/-/serviceAccounts/{quote(service_account, safe='')}:signJwt"
        self._sign_url = URL(options.iam_endpoint.rstrip("/") + path, encoded=True)

    async def fetch(self, mailbox: str) -> Grant:
        """Have an assertion for the mailbox signed and exchange it; for MACHINE one of the account itself."""
        told = orjson.dumps(claims(self._account, self._scopes, subject(mailbox), utc_now())).decode()
        body = orjson.dumps({"payload": told})
        try:
            signed = await self._sign(mailbox, body)
        except Unauthorized:
            self._source.invalidate(MACHINE)
            signed = await self._sign(mailbox, body)
        return await self._endpoint.assertion(mailbox, signed)

    async def close(self) -> None:
        """End fetches and connections, those of the source too."""
        await super().close()
        await self._endpoint.close()
        await self._source.close()

    async def _sign(self, mailbox: str, body: bytes) -> str:
        call = Call("iam.signJwt", mailbox)
        headers = {"Authorization": f"Bearer {await self._source.token(MACHINE)}", "Content-Type": "application/json"}
        document = await self._endpoint.json(call, "POST", self._sign_url, headers=headers, body=body)
        signed = document.get("signedJwt")
        if not isinstance(signed, str):
            raise translate.unreadable(call, 200, b"an answer without signedJwt", TypeError())
        return signed


class MetadataTokens(CachedTokens):
    """The identity of the virtual machine, pod or job we run in."""

    def __init__(self, options: GmailOptions) -> None:
        super().__init__()
        self._endpoint = TokenEndpoint(options)
        self._url = URL(options.metadata_endpoint.rstrip("/") + _METADATA_PATH)

    async def fetch(self, mailbox: str) -> Grant:
        """Ask the metadata server, which needs no secret."""
        call = Call("metadata.token", mailbox)
        document = await self._endpoint.json(call, "GET", self._url, headers={"Metadata-Flavor": "Google"})
        return read_grant(call, document)

    async def close(self) -> None:
        """End fetches and connections."""
        await super().close()
        await self._endpoint.close()


class CredentialsFileTokens(CachedTokens):
    """Application default credentials from a file: a user's (``gcloud auth``) or a service account's."""

    def __init__(self, path: Path, options: GmailOptions) -> None:
        super().__init__()
        self._path = path
        self._endpoint = TokenEndpoint(options)

    async def fetch(self, mailbox: str) -> Grant:
        """Read the file and exchange what it holds."""
        info = await asyncio.to_thread(read_credentials, self._path)
        kind = info.get("type")
        if kind == "service_account":
            key = ServiceAccountKey(info)
            return await self._endpoint.assertion(mailbox, key.sign(claims(key.email, CLOUD_SCOPES, None, utc_now())))
        if kind == "authorized_user":
            wanted = ("client_id", "client_secret", "refresh_token")
            form = {"grant_type": "refresh_token", **{name: str(info.get(name, "")) for name in wanted}}
            grant, _ = await self._endpoint.grant(mailbox, form)
            return grant
        text = f"{self._path} is of type {kind!r}; authorized_user and service_account can be used"
        raise BadCredentials(Call("credentials", mailbox), text=text)

    async def close(self) -> None:
        """End fetches and connections."""
        await super().close()
        await self._endpoint.close()


class TokenFile(CachedTokens):
    """An access token in a file that something else keeps fresh; read again every minute at most."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def fetch(self, mailbox: str) -> Grant:
        """Read the file. Raises BadCredentials when it is missing or empty."""
        try:
            token = (await asyncio.to_thread(self._path.read_text)).strip()
        except OSError as exc:
            token, why = "", f": {exc.strerror}"
        else:
            why = ": it is empty"
        if not token:
            raise BadCredentials(Call("credentials", mailbox), text=f"no access token in {self._path}{why}")
        return Grant(token, _FILE_SECONDS)


def machine_tokens(options: GmailOptions, credentials: Path | None = None) -> TokenSource:
    """The machine's own identity: a credentials file if one is named, otherwise the metadata server."""
    return MetadataTokens(options) if credentials is None else CredentialsFileTokens(credentials, options)
