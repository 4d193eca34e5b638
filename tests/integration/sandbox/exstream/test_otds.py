"""Tokens: every URL, both grants, both encodings, both ways of client authentication, expiry, refusals."""

import base64

import orjson
import pytest
from exstream_site import CLIENT, Site

LAYOUTS = (
    "tenants/bank/oauth2/token",
    "otdstenant/bank/oauth2/token",
    "otdsws/otdstenant/bank/oauth2/token",
    "otdsws/oauth2/token",
    "otdstenant/bank/otdsws/oauth2/token",
    "otds/otdsws/otdstenant/bank/oauth2/token",
)
BASIC = {"Authorization": f"Basic {base64.b64encode(b'millstream:sandbox-secret').decode()}"}
USER = {"grant_type": "password", "username": "tenantadmin@exstream.role", "password": "sandbox-secret"}


async def _works(site: Site, token: str) -> bool:
    site.bearer = token
    return (await site.call("GET", "api/v1/version")).status == 200


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_every_layout_gives_a_token_that_works(site: Site, layout: str) -> None:
    said = await site.send("POST", f"{site.url}/{layout}", data=CLIENT | {"scope": "otds:groups"})
    told = said.document
    assert (said.status, told["token_type"], told["expires_in"], told["scope"]) == (200, "Bearer", 900, "otds:groups")
    assert await _works(site, told["access_token"])


@pytest.mark.parametrize(
    "given",
    [
        {"data": orjson.dumps(CLIENT), "headers": {"Content-Type": "application/json"}},
        {"data": {"grant_type": "client_credentials"}, "headers": BASIC},
        {"data": USER | {"client_id": "Exstream"}},
        {"data": USER | {"scope": "openid", "response_type": "id_token"}, "headers": BASIC},
        {"data": USER | {"client_id": "millstream", "client_secret": "sandbox-secret"}},
    ],
    ids=["json", "basic", "password of a public client", "password with basic", "password of a secret client"],
)
async def test_grants_are_taken_in_every_encoding(site: Site, given: dict) -> None:
    said = await site.send("POST", f"{site.url}/{LAYOUTS[0]}", **given)
    assert said.status == 200, said.content
    assert await _works(site, said.document["access_token"])


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ({"data": CLIENT | {"client_secret": "wrong"}}, 401, "invalid_client"),
        ({"data": CLIENT | {"client_id": "nobody"}}, 401, "invalid_client"),
        ({"data": USER | {"client_id": "Exstream", "password": "wrong"}}, 400, "invalid_grant"),
        ({"data": USER | {"client_id": "Unknown"}}, 401, "invalid_client"),
        ({"data": CLIENT | {"grant_type": "magic"}}, 400, "unsupported_grant_type"),
        ({"data": b"[", "headers": {"Content-Type": "application/json"}}, 400, "invalid_request"),
        ({"data": b""}, 400, "unsupported_grant_type"),
        ({"data": CLIENT, "headers": {"Authorization": "Basic ???"}}, 401, "invalid_client"),
    ],
)
async def test_a_wrong_login_is_refused_in_oauths_words(site: Site, given: dict, status: int, error: str) -> None:
    said = await site.send("POST", f"{site.url}/{LAYOUTS[2]}", **given)
    assert (said.status, said.document["error"]) == (status, error)


async def test_a_tenant_that_is_not_there_is_refused(site: Site) -> None:
    said = await site.send("POST", f"{site.url}/tenants/other/oauth2/token", data=CLIENT)
    assert (said.status, said.document["error"]) == (400, "invalid_request")


async def test_a_token_ends_when_its_time_is_over(open_site) -> None:
    site = await open_site(token_seconds=60)
    assert await _works(site, site.bearer)
    await site.control("POST", "clock", {"advance": 61})
    said = await site.call("GET", "api/v1/version")
    assert (said.status, said.document["status"]) == (401, 401)
    assert "expired" in said.document["details"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic bWlsbA=="}])
async def test_without_a_token_of_otds_nothing_is_answered(site: Site, header: dict) -> None:
    said = await site.send("GET", f"{site.url}/orchestration/api/v1/runtime/bank/jobs", headers=header)
    assert (said.status, said.document["error"]) == (401, "Unauthorized")


async def test_a_caller_without_the_right_is_forbidden(open_site) -> None:
    site = await open_site(clients={"millstream": {"rights": ["ORCHESTRATE"]}})
    assert (await site.runtime("jobs")).status == 403
    assert (await site.call("GET", "api/v1/config")).status == 200


async def test_while_otds_is_away_no_token_is_given_and_known_tokens_go_on(site: Site) -> None:
    await site.control("POST", "outage", {"seconds": 600, "part": "otds"})
    said = await site.send("POST", f"{site.url}/{LAYOUTS[2]}", data=CLIENT)
    assert said.status == 503
    assert (await site.runtime("jobs")).status == 200
    await site.control("POST", "reset")
    assert (await site.send("POST", f"{site.url}/{LAYOUTS[2]}", data=CLIENT)).status == 200
