"""Mailboxes that were connected one by one by their owners: a refresh token each."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import quote, unquote

import orjson

from millstream.gmail.errors import BadCredentials, Call, TokenDead
from millstream.gmail.options import GmailOptions
from millstream.gmail.service_account import read_credentials
from millstream.gmail.token_endpoint import TokenEndpoint
from millstream.gmail.tokens import CachedTokens, Grant

_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The application as Google knows it (a client of type "desktop")."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the client file that the Cloud console gives (``installed`` or ``web``)."""
        info = read_credentials(path)
        inner = info.get("installed") or info.get("web") or info
        try:
            return cls(str(inner["client_id"]), str(inner["client_secret"]))
        except (KeyError, TypeError):
            text = f"{path} has no client_id and client_secret; download the client from the Cloud console again"
            raise BadCredentials(Call("credentials", "every mailbox"), text=text) from None


class RefreshTokens(Protocol):
    """Where refresh tokens are kept."""

    def read(self, mailbox: str) -> str | None:
        """The mailbox's refresh token, or None if it was never connected."""

    def write(self, mailbox: str, refresh_token: str) -> None:
        """Keep a refresh token in place of the one before."""


class TokenFolder:
    """One file for each mailbox, readable by us alone (0600), in the shape of ``authorized_user`` credentials."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, mailbox: str) -> str | None:
        """The mailbox's refresh token. Raises BadCredentials when others could read the file."""
        path = self._file(mailbox)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return None
        if mode & _OTHERS:
            text = f"{path} can be read by others; run chmod 600 on it and connect the mailbox again"
            raise BadCredentials(Call("credentials", mailbox), text=text)
        token = read_credentials(path).get("refresh_token")
        return token if isinstance(token, str) and token else None

    def write(self, mailbox: str, refresh_token: str) -> None:
        """Keep a refresh token; the file appears whole or not at all."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = orjson.dumps({"type": "authorized_user", "mailbox": mailbox, "refresh_token": refresh_token})
        draft = self._file(mailbox).with_suffix(".new")
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file(mailbox))

    def mailboxes(self) -> tuple[str, ...]:
        """The connected mailboxes, in the order of their names."""
        return tuple(sorted(unquote(path.stem) for path in self._path.glob("*.json")))

    def _file(self, mailbox: str) -> Path:
        return self._path / f"{quote(mailbox.lower(), safe='@')}.json"


class GivenRefreshTokens:
    """Refresh tokens from a mapping, for settings that hold them as secrets."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = dict(tokens)

    def read(self, mailbox: str) -> str | None:
        """The mailbox's refresh token, or None."""
        return self._tokens.get(mailbox)

    def write(self, mailbox: str, refresh_token: str) -> None:
        """Keep it for this process."""
        self._tokens[mailbox] = refresh_token

    def __repr__(self) -> str:
        return f"GivenRefreshTokens({sorted(self._tokens)})"


class AuthorizedUserTokens(CachedTokens):
    """Tokens from the refresh tokens that owners of mailboxes gave us."""

    def __init__(self, client: OAuthClient, kept: RefreshTokens, options: GmailOptions) -> None:
        super().__init__()
        self._client = client
        self._kept = kept
        self._endpoint = TokenEndpoint(options)

    async def fetch(self, mailbox: str) -> Grant:
        """Exchange the mailbox's refresh token. Raises TokenDead when it has none."""
        kept = await asyncio.to_thread(self._kept.read, mailbox)
        if kept is None:
            raise TokenDead(Call("oauth2.token", mailbox), text="the mailbox was never connected")
        form = {
            "grant_type": "refresh_token",
            "client_id": self._client.id,
            "client_secret": self._client.secret,
            "refresh_token": kept,
        }
        grant, document = await self._endpoint.grant(mailbox, form)
        fresh = document.get("refresh_token")
        if isinstance(fresh, str) and fresh and fresh != kept:
            await asyncio.to_thread(self._kept.write, mailbox, fresh)
        return grant

    async def close(self) -> None:
        """End fetches and connections."""
        await super().close()
        await self._endpoint.close()
