"""Opens Exstream as the settings name it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from millstream.config import Settings
from millstream.exstream import (
    BasicAuth,
    Call,
    DividedTokens,
    EngineService,
    Exstream,
    ExstreamOptions,
    FilterStyle,
    OtdsOptions,
    OtdsTokens,
    Paging,
    StaticTokens,
    TokenSource,
    UsernameToken,
    token_url,
)
from millstream.exstream.errors import BadRequest, TokenRefused

_SEE = "see docs/reference/configuration.md"


def exstream_options(settings: Settings) -> ExstreamOptions:
    """Where Exstream is, how it is spoken to and how long it is waited for."""
    exstream = settings.exstream
    base = (exstream.base_url or "").rstrip("/")
    return ExstreamOptions(
        orchestration_url=exstream.orchestration_url or (f"{base}/orchestration" if base else ""),
        design_url=exstream.design_url or (f"{base}/design" if base else ""),
        domain=exstream.domain,
        call_seconds=exstream.call_seconds,
        generate_seconds=exstream.generate_seconds,
        connections=exstream.connections,
        proxy=exstream.proxy,
        certificates=exstream.certificates,
        page_size=exstream.page_size,
        paging=Paging(exstream.paging),
        orchestration_filter=FilterStyle(exstream.orchestration_filter),
        design_filter=FilterStyle(exstream.design_filter),
        headers=exstream.headers,
        csrf_token=_plain(exstream.csrf_token),
        empower_user=exstream.empower_user,
    )


def token_source(settings: Settings) -> TokenSource:
    """Where access tokens come from: one account for both services, or one for each.

    Raises:
        TokenRefused: the address of the token service lacks a part, or a grant what it needs.
    """
    tokens = settings.exstream_tokens
    options = exstream_options(settings)
    usual = _account(settings, options, design=False)
    if tokens.design_grant is None:
        return usual
    return DividedTokens(orchestration=usual, design=_account(settings, options, design=True))


@asynccontextmanager
async def exstream(settings: Settings) -> AsyncIterator[Exstream]:
    """The client of an installation with services.

    Raises:
        BadRequest: the mode has none.
        TokenRefused: as :func:`token_source`.
    """
    mode = settings.exstream.mode
    if mode not in {"cloud", "local"}:
        raise BadRequest(Call("connect"), text=f"exstream.mode is {mode}, which has no services to call; {_SEE}")
    async with Exstream(exstream_options(settings), token_source(settings)) as client:
        yield client


@asynccontextmanager
async def engine_service(settings: Settings) -> AsyncIterator[EngineService]:
    """The engine as a web service.

    Raises:
        BadRequest: its address is not set, or the account that its auth needs.
    """
    section = settings.exstream
    call = Call("connect")
    if not section.ews_url:
        raise BadRequest(call, text=f"exstream.ews_url is not set; {_SEE}")
    auth: BasicAuth | UsernameToken | None = None
    if section.ews_auth != "none":
        user, password = section.ews_user, _plain(section.ews_password)
        if not user or password is None:
            raise BadRequest(call, text=f"ews_auth {section.ews_auth} needs ews_user and ews_password; {_SEE}")
        auth = BasicAuth(user, password) if section.ews_auth == "basic" else UsernameToken(user, password)
    async with EngineService(section.ews_url, auth, exstream_options(settings)) as service:
        yield service


def _account(settings: Settings, options: ExstreamOptions, *, design: bool) -> TokenSource:
    """The tokens of the usual account, or of the design service's own."""
    tokens = settings.exstream_tokens
    grant = tokens.design_grant if design and tokens.design_grant else tokens.grant
    if grant == "static":
        return StaticTokens(_plain(tokens.static_token) or "")
    own = design and tokens.design_client_id is not None
    username = (tokens.design_username if design else None) or tokens.username
    password = (_plain(tokens.design_password) if design else None) or _plain(tokens.password)
    if grant == "password" and (not username or password is None):
        prefix = "design_" if design else ""
        raise TokenRefused(
            Call("oauth2.token"),
            text=f"the grant password needs exstream_tokens.{prefix}username and {prefix}password; {_SEE}",
        )
    otds = OtdsOptions(
        url=token_url(
            tokens.layout, otds_url=tokens.otds_url, region=tokens.region, tenant=tokens.tenant, url=tokens.url
        ),
        grant=grant,
        body=tokens.body,
        client_auth=tokens.client_auth,
        client_id=(tokens.design_client_id if design else None) or tokens.client_id,
        client_secret=_plain(tokens.design_client_secret if own else tokens.client_secret),
        username=username,
        password=password,
        scopes=tokens.scopes,
        early_seconds=tokens.early_seconds,
    )
    return OtdsTokens(otds, options)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
