import base64
import json
from urllib.parse import parse_qs

import pytest

from millstream.exstream.errors import TokenRefused
from millstream.exstream.tokens import TOKEN_URLS, DividedTokens, OtdsOptions, StaticTokens, request, token_url

PARTS = {"otds_url": "https://otds.example.com/", "region": "au", "tenant": "bank", "url": "https://x.example/t"}


@pytest.mark.parametrize(
    ("layout", "url"),
    [
        ("public_cloud", "https://au.api.opentext.com/tenants/bank/oauth2/token"),
        ("ot2", "https://otds.example.com/otdstenant/bank/oauth2/token"),
        ("local", "https://otds.example.com/otdsws/otdstenant/bank/oauth2/token"),
        ("classic", "https://otds.example.com/otdsws/oauth2/token"),
        ("tenant_first", "https://otds.example.com/otdstenant/bank/otdsws/oauth2/token"),
        ("url", "https://x.example/t"),
    ],
)
def test_each_layout_gives_its_address(layout: str, url: str) -> None:
    assert token_url(layout, **PARTS) == url


def test_every_layout_says_which_part_it_lacks() -> None:
    for layout in TOKEN_URLS:
        with pytest.raises(TokenRefused, match=r"needs exstream_tokens\.(otds_url|tenant|url)"):
            token_url(layout)
    with pytest.raises(TokenRefused, match="none of public_cloud"):
        token_url("elsewhere", **PARTS)


def test_a_tenant_cannot_lead_to_another_address() -> None:
    assert token_url("ot2", otds_url="https://o.example", tenant="../x?y").endswith(
        "/otdstenant/..%2Fx%3Fy/oauth2/token"
    )


def fields(otds: OtdsOptions) -> dict[str, list[str]]:
    return parse_qs(request(otds)[1].decode(), keep_blank_values=True)


def test_a_service_client_asks_with_a_form() -> None:
    otds = OtdsOptions(url="x", client_id="svc", client_secret="s&c=r+t", scopes=("search", "otds:groups"))
    headers, _ = request(otds)
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in headers
    assert fields(otds) == {
        "grant_type": ["client_credentials"],
        "client_id": ["svc"],
        "client_secret": ["s&c=r+t"],
        "scope": ["search otds:groups"],
    }


def test_a_service_client_asks_with_json() -> None:
    headers, body = request(OtdsOptions(url="x", body="json", client_id="svc", client_secret="hush"))
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"grant_type": "client_credentials", "client_id": "svc", "client_secret": "hush"}


def test_a_user_asks_as_the_public_client_of_exstream() -> None:
    otds = OtdsOptions(url="x", grant="password", username="anna@exstream.role", password="pa ss")
    assert fields(otds) == {
        "grant_type": ["password"],
        "username": ["anna@exstream.role"],
        "password": ["pa ss"],
        "client_id": ["Exstream"],
    }


def test_a_client_may_name_itself_in_the_header() -> None:
    otds = OtdsOptions(
        url="x",
        grant="password",
        client_auth="basic",
        client_id="svc",
        client_secret="hü:sh",
        username="a",
        password="b",
    )
    headers, body = request(otds)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "svc:hü:sh"
    assert fields(otds)["scope"] == ["openid"]
    assert fields(otds)["response_type"] == ["id_token"]
    assert b"client_secret" not in body


def test_no_secret_shows_when_options_are_printed() -> None:
    otds = OtdsOptions(url="x", client_secret="hush-1", password="hush-2")
    assert "hush" not in repr(otds)


async def test_each_service_may_have_its_own_tokens() -> None:
    tokens = DividedTokens(orchestration=StaticTokens("one"), design=StaticTokens("two"))
    assert (await tokens.token("orchestration"), await tokens.token("design")) == ("one", "two")


async def test_an_empty_static_token_is_told_before_anything_is_called() -> None:
    with pytest.raises(TokenRefused, match="static_token"):
        await StaticTokens("").token("design")
