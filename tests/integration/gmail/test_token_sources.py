import json
import time
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from google.auth import jwt

from millstream.gmail import Gmail, ServiceAccountKey, ServiceAccountTokens, errors
from millstream.gmail.authorized_user import AuthorizedUserTokens, GivenRefreshTokens, OAuthClient, TokenFolder
from millstream.gmail.impersonation import MACHINE, ImpersonatedTokens, TokenFile, machine_tokens
from millstream.gmail.token_endpoint import AUDIENCE

BOX = "a@bank.example"
SCOPES = ("https://www.googleapis.com/auth/gmail.send", "https://www.googleapis.com/auth/gmail.metadata")


def granted(access: str, **more: object) -> web.Response:
    return web.json_response({"access_token": access, "expires_in": 3599, "token_type": "Bearer", **more})


def form(asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


async def test_a_service_account_signs_that_it_acts_as_the_mailbox(google, key) -> None:
    google.answers = [granted("one"), granted("two")]
    tokens = ServiceAccountTokens(ServiceAccountKey(key.info), google.options(), SCOPES)
    assert [await tokens.token(BOX), await tokens.token(BOX), await tokens.token("b@bank.example")] == [
        "one",
        "one",
        "two",
    ]
    await tokens.close()
    sent = form(google.asked[0])
    assert google.asked[0].path == "/token"
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(sent["assertion"], certs=key.public, audience=AUDIENCE)
    assert (claims["iss"], claims["sub"]) == (key.info["client_email"], BOX)
    assert claims["scope"].split() == list(SCOPES)
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60
    assert jwt.decode_header(sent["assertion"]) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}


async def test_a_client_with_a_service_account_renews_a_refused_token(google, key) -> None:
    google.answers = [
        granted("old"),
        web.json_response({"error": {"code": 401, "message": "Invalid Credentials"}}, status=401),
        granted("new"),
        web.json_response({"id": "r-1"}),
    ]
    options = google.options()
    async with Gmail(options, ServiceAccountTokens(ServiceAccountKey(key.info), options)) as gmail:
        await gmail.mailbox(BOX).create_draft(b"x")
    bearers = [asked.headers.get("Authorization") for asked in google.asked]
    assert bearers == [None, "Bearer old", None, "Bearer new"]


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "invalid_grant", errors.TokenDead),
        (401, "unauthorized_client", errors.ScopeMissing),
        (503, "", errors.ServerError),
    ],
)
async def test_what_the_token_endpoint_refuses_is_an_error_of_the_same_tree(google, key, status, word, kind) -> None:
    google.usual = lambda _asked: web.json_response({"error": word, "error_description": "no"}, status=status)
    async with Gmail(google.options(), ServiceAccountTokens(ServiceAccountKey(key.info), google.options())) as gmail:
        with pytest.raises(kind) as caught:
            await gmail.mailbox(BOX).send_draft("r-1")
    assert caught.value.effect is errors.Effect.NO
    assert caught.value.mailbox == BOX
    assert len(google.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"access_token": "ya29.x", "expires_in": "soon"}'])
async def test_a_grant_that_cannot_be_read_is_told_without_its_content(google, key, body) -> None:
    google.usual = lambda _asked: web.Response(body=body)
    tokens = ServiceAccountTokens(ServiceAccountKey(key.info), google.options())
    with pytest.raises(errors.Unreadable) as caught:
        await tokens.token(BOX)
    await tokens.close()
    assert "ya29" not in str(caught.value)


def machine(google, tmp_path, kind: str, key):
    """The machine's identity of that kind, and how the fake Google is asked for it (or not at all)."""
    path = tmp_path / "credentials"
    if kind == "metadata":
        return machine_tokens(google.options())
    if kind == "token file":
        path.write_text("machine\n")
        return TokenFile(path)
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "1//r"}
    path.write_text(json.dumps(user if kind == "user" else key.info))
    return machine_tokens(google.options(), path)


@pytest.mark.parametrize("kind", ["metadata", "token file", "user", "service account"])
async def test_without_a_key_iam_signs_for_the_delegated_account(google, key, tmp_path, kind) -> None:
    source = machine(google, tmp_path, kind, key)
    signed = web.json_response({"keyId": "k", "signedJwt": "signed.by.iam"})
    google.answers = [*([] if kind == "token file" else [granted("machine")]), signed, granted("mailbox")]
    tokens = ImpersonatedTokens("sender@project.iam.gserviceaccount.com", source, google.options(), SCOPES)
    assert await tokens.token(BOX) == "mailbox"
    await tokens.close()
    sign, exchange = google.asked[-2:]
    assert sign.path == "/iam/v1/projects/-/serviceAccounts/sender%40project.iam.gserviceaccount.com:signJwt"
    assert sign.headers["Authorization"] == "Bearer machine"
    claims = json.loads(json.loads(sign.body)["payload"])
    assert (claims["sub"], claims["aud"], claims["iss"]) == (BOX, AUDIENCE, "sender@project.iam.gserviceaccount.com")
    assert form(exchange)["assertion"] == "signed.by.iam"
    if kind == "metadata":
        assert google.asked[0].path == "/metadata/computeMetadata/v1/instance/service-accounts/default/token"
        assert google.asked[0].headers["Metadata-Flavor"] == "Google"
    if kind == "service account":
        own = jwt.decode(form(google.asked[0])["assertion"], certs=key.public, audience=AUDIENCE)
        assert own["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        assert "sub" not in own


async def test_a_machine_token_that_iam_refuses_is_renewed_once(google) -> None:
    refusal = {"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}}
    google.answers = [
        granted("old"),
        web.json_response(refusal, status=401),
        granted("new"),
        web.json_response({"signedJwt": "s"}),
        granted("mailbox"),
    ]
    tokens = ImpersonatedTokens("x@y", machine_tokens(google.options()), google.options())
    assert await tokens.token(BOX) == "mailbox"
    await tokens.close()


async def test_a_missing_role_is_forbidden_and_said_so(google) -> None:
    refusal = {"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.signJwt' denied", "status": "X"}}
    google.answers = [granted("machine"), web.json_response(refusal, status=403)]
    tokens = ImpersonatedTokens("x@y", machine_tokens(google.options()), google.options())
    with pytest.raises(errors.Forbidden, match="signJwt"):
        await tokens.token(BOX)
    await tokens.close()


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_a_token_file_without_a_token_is_named(tmp_path, content) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.BadCredentials, match="token"):
        await TokenFile(path).token(MACHINE)


async def test_credentials_of_an_unknown_type_are_refused(google, tmp_path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text('{"type": "external_account"}')
    with pytest.raises(errors.BadCredentials, match="external_account"):
        await machine_tokens(google.options(), path).token(MACHINE)


async def test_an_owners_refresh_token_gives_access_to_its_mailbox(google, tmp_path) -> None:
    folder = TokenFolder(tmp_path)
    folder.write(BOX, "1//owner")
    google.answers = [granted("access"), granted("access-2", refresh_token="1//rotated")]
    tokens = AuthorizedUserTokens(OAuthClient("id", "secret"), folder, google.options())
    assert await tokens.token(BOX) == "access"
    assert form(google.asked[0]) == {
        "grant_type": "refresh_token",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "1//owner",
    }
    tokens.invalidate(BOX)
    assert await tokens.token(BOX) == "access-2"
    await tokens.close()
    assert folder.read(BOX) == "1//rotated"


async def test_a_mailbox_that_was_never_connected_is_dead_for_us(google) -> None:
    tokens = AuthorizedUserTokens(OAuthClient("id", "secret"), GivenRefreshTokens({}), google.options())
    with pytest.raises(errors.TokenDead, match="never connected"):
        await tokens.token(BOX)
    await tokens.close()
    assert google.asked == []
