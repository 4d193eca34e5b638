"""Opens Exstream as the settings name it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

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
from millstream.exstream.errors import NoCredentials, NotConfigured
from millstream.nextstep.model import Verb

_WITH_SERVICES = ("cloud", "local")


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
        NoCredentials: the address of the token service lacks a part, or a grant what it needs.
    """
    tokens, options = settings.exstream_tokens, exstream_options(settings)
    static = StaticTokens(_plain(tokens.static_token) or "")
    usual = static if tokens.grant == "static" else OtdsTokens(account(settings), options)
    match tokens.design_grant:
        case None:
            return usual
        case "static":
            return DividedTokens(orchestration=usual, design=static)
        case _:
            return DividedTokens(orchestration=usual, design=OtdsTokens(design_account(settings), options))


def account(settings: Settings) -> OtdsOptions:
    """How the account that serves orchestration, and usually design, asks for its tokens.

    Raises:
        NoCredentials: as :func:`token_source`.
    """
    tokens = settings.exstream_tokens
    url = token_url(tokens.layout, otds_url=tokens.otds_url, region=tokens.region, tenant=tokens.tenant, url=tokens.url)
    otds = OtdsOptions(
        url=url,
        grant="password" if tokens.grant == "password" else "client_credentials",
        body=tokens.body,
        client_auth=tokens.client_auth,
        client_id=tokens.client_id,
        client_secret=_plain(tokens.client_secret),
        username=tokens.username,
        password=_plain(tokens.password),
        scopes=tokens.scopes,
        early_seconds=tokens.early_seconds,
    )
    return otds if tokens.grant == "static" else _whole(otds, "")


def design_account(settings: Settings) -> OtdsOptions:
    """The same for the design service's own account; what is not set for it is as for the other.

    Raises:
        NoCredentials: as :func:`token_source`.
    """
    tokens, usual = settings.exstream_tokens, account(settings)
    own = tokens.design_client_id is not None or tokens.design_client_secret is not None
    otds = replace(
        usual,
        grant="password" if tokens.design_grant == "password" else "client_credentials",
        client_id=tokens.design_client_id or usual.client_id,
        client_secret=_plain(tokens.design_client_secret) if own else usual.client_secret,
        username=tokens.design_username or usual.username,
        password=_plain(tokens.design_password) or usual.password,
    )
    return _whole(otds, "design_")


@asynccontextmanager
async def exstream(settings: Settings) -> AsyncIterator[Exstream]:
    """The client of an installation with services.

    Raises:
        NotConfigured: the mode has none.
        NoCredentials: as :func:`token_source`.
    """
    _need_services(settings, Call("connect"))
    async with Exstream(exstream_options(settings), token_source(settings)) as client:
        yield client


@asynccontextmanager
async def engine_service(settings: Settings) -> AsyncIterator[EngineService]:
    """The engine as a web service.

    Raises:
        NotConfigured: its address is not set, or the account that its auth needs.
    """
    section = settings.exstream
    call = Call("connect")
    if not section.ews_url:
        raise NotConfigured(call, text="exstream.ews_url is not set")
    auth: BasicAuth | UsernameToken | None = None
    if section.ews_auth != "none":
        user, password = section.ews_user, _plain(section.ews_password)
        if not user or password is None:
            raise NotConfigured(call, text=f"ews_auth {section.ews_auth} needs ews_user and ews_password")
        auth = BasicAuth(user, password) if section.ews_auth == "basic" else UsernameToken(user, password)
    async with EngineService(section.ews_url, auth, exstream_options(settings)) as service:
        yield service


def check_way(settings: Settings, verb: Verb) -> None:
    """Look whether this installation has a way to what a verb asks for.

    Raises:
        NotConfigured: it has none, so that no worker could ever carry it out.
    """
    section, call = settings.exstream, Call(verb)
    match verb:
        case Verb.COMPOSE_EWS:
            if not section.ews_url:
                raise NotConfigured(call, text="exstream.ews_url is not set: there is no engine to compose with")
        case Verb.DROP_FILE | Verb.CONTROL_FILE:
            if section.drop_folder is None:
                raise NotConfigured(call, text="exstream.drop_folder is not set: no directory that Exstream watches")
        case _:
            _need_services(settings, call)


def _need_services(settings: Settings, call: Call) -> None:
    mode = settings.exstream.mode
    if mode not in _WITH_SERVICES:
        raise NotConfigured(call, text=f"exstream.mode is {mode}; it must be cloud or local to have services to ask")


def _whole(otds: OtdsOptions, prefix: str) -> OtdsOptions:
    """The same account. Raises NoCredentials where its grant lacks a name or a password."""
    if otds.grant == "password" and (not otds.username or otds.password is None):
        text = f"the grant password needs exstream_tokens.{prefix}username and {prefix}password"
        raise NoCredentials(Call("oauth2.token"), text=text)
    return otds


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
