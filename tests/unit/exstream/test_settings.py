"""What the settings say becomes what the room asks for."""

import dataclasses
from typing import Any

import pytest

from millstream.app.exstream import design_account, engine_service, exstream, exstream_options, token_source
from millstream.config import Settings
from millstream.config.exstream import ExstreamSettings
from millstream.exstream import DividedTokens, ExstreamOptions, FilterStyle, OtdsTokens, Paging, StaticTokens
from millstream.exstream.errors import BadRequest, TokenRefused


def settings(tokens: dict[str, Any] | None = None, **section: Any) -> Settings:
    usual = {"mode": "cloud", "base_url": "https://exstream.example.com/", "domain": "statements"}
    return Settings(exstream={**usual, **section}, exstream_tokens=tokens or {"tenant": "bank"})


def test_services_lie_under_their_prefixes_of_one_base() -> None:
    options = exstream_options(settings())
    assert options.orchestration_url == "https://exstream.example.com/orchestration"
    assert options.design_url == "https://exstream.example.com/design"


def test_a_service_may_lie_elsewhere() -> None:
    options = exstream_options(settings(orchestration_url="http://orc.example:8300"))
    assert (options.orchestration_url, options.design_url) == (
        "http://orc.example:8300",
        "https://exstream.example.com/design",
    )


def test_a_setting_and_the_option_it_fills_have_one_default() -> None:
    section = ExstreamSettings()
    for field in dataclasses.fields(ExstreamOptions):
        known = hasattr(section, field.name) and field.default is not dataclasses.MISSING
        if known and not field.name.endswith("_url"):
            assert getattr(section, field.name) == field.default, field.name


def test_spellings_are_taken_over() -> None:
    options = exstream_options(settings(paging="pages", design_filter="joined", csrf_token="c", empower_user="e"))
    assert (options.paging, options.design_filter) == (Paging.PAGES, FilterStyle.JOINED)
    assert (options.csrf_token, options.empower_user) == ("c", "e")
    assert "csrf_token" not in repr(options)


def test_a_client_of_the_design_service_never_goes_with_the_secret_of_the_other() -> None:
    base = {"tenant": "bank", "client_id": "svc", "client_secret": "one", "design_grant": "client_credentials"}
    told = {
        name: design_account(settings({**base, **own}))
        for name, own in {
            "same": {},
            "own secret": {"design_client_secret": "two"},
            "own client": {"design_client_id": "other"},
            "both": {"design_client_id": "other", "design_client_secret": "two"},
        }.items()
    }
    assert {name: (otds.client_id, otds.client_secret) for name, otds in told.items()} == {
        "same": ("svc", "one"),
        "own secret": ("svc", "two"),
        "own client": ("other", None),
        "both": ("other", "two"),
    }


def test_one_account_serves_both_services_unless_another_is_set() -> None:
    assert isinstance(token_source(settings()), OtdsTokens)
    both = {"tenant": "bank", "design_grant": "password", "design_username": "anna", "design_password": "x"}
    assert isinstance(token_source(settings(both)), DividedTokens)
    assert isinstance(token_source(settings({"grant": "static", "static_token": "t"})), StaticTokens)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({}, "exstream_tokens.tenant"),
        ({"layout": "local", "tenant": "bank"}, "exstream_tokens.otds_url"),
        ({"layout": "url"}, "exstream_tokens.url"),
        ({"tenant": "bank", "grant": "password"}, "exstream_tokens.username"),
        ({"tenant": "bank", "design_grant": "password"}, "design_username"),
    ],
)
def test_what_is_not_set_is_named(tokens: dict[str, Any], words: str) -> None:
    with pytest.raises(TokenRefused, match=words):
        token_source(settings({"tenant": "", **tokens}))


@pytest.mark.parametrize(
    "section", [{"mode": "off"}, {"mode": "files"}, {"mode": "ews", "ews_url": "http://e.example"}]
)
async def test_a_mode_without_services_opens_none(section: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=section["mode"]):
        async with exstream(settings(**section)):
            pass


async def test_services_open_with_what_is_set() -> None:
    async with exstream(settings()) as client:
        assert client.options.domain == "statements"
        assert client.runtime().domain == "statements"


async def test_an_engine_needs_its_address_and_the_account_of_its_auth() -> None:
    with pytest.raises(BadRequest, match="ews_url"):
        async with engine_service(settings()):
            pass
    for lacking in ({}, {"ews_user": "svc"}):
        with pytest.raises(BadRequest, match="ews_password"):
            async with engine_service(settings(ews_url="http://e.example", ews_auth="basic", **lacking)):
                pass
