"""How tokens are had and what they are good for."""

import base64
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sandbox_desk import SENDER, Answer, Desk, Letter, Open

ISSUER = "robot@project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REDIRECT = "http://127.0.0.1:9/done"


class Key:
    """A service account's key."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_pem(self) -> str:
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()

    def sign(self, **claims: Any) -> str:
        now = int(time.time())
        every = {"iss": ISSUER, "aud": "https://oauth2.googleapis.com/token", "iat": now, "exp": now + 3600}
        every |= {"scope": f"{SCOPE}gmail.compose"} | claims
        signed = f"{_base64(orjson.dumps({'alg': 'RS256', 'typ': 'JWT'}))}.{_base64(orjson.dumps(every))}"
        return f"{signed}.{_base64(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


KEY = Key()


async def exchange(desk: Desk, **claims: Any) -> Answer:
    form = {"grant_type": JWT_BEARER, "assertion": KEY.sign(**claims)}
    return await desk.http("POST", "/token", data=form)


async def use(desk: Desk, token: str, path: str = "me/profile", verb: str = "GET", **options: Any) -> Answer:
    return await desk.http(verb, f"/gmail/v1/users/{path}", headers={"Authorization": f"Bearer {token}"}, **options)


async def test_an_assertion_with_a_subject_gives_a_token_for_that_mailbox(desk: Desk) -> None:
    for audience in ("https://oauth2.googleapis.com/token", f"{desk.running.url}/token"):
        answer = await exchange(desk, sub=SENDER, aud=audience)
        assert answer.json["token_type"] == "Bearer"
        assert answer.json["expires_in"] == 3599
        profile = await use(desk, answer.json["access_token"])
        assert profile.json["emailAddress"] == SENDER


async def test_a_registered_key_is_verified(open_desk: Open) -> None:
    desk = await open_desk(service_account_keys={ISSUER: KEY.public_pem}, trust_any_key=False)
    assert (await exchange(desk, sub=SENDER)).status == 200
    forged = {"grant_type": JWT_BEARER, "assertion": Key().sign(sub=SENDER)}
    refused = await desk.http("POST", "/token", data=forged)
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert refused.json["error_description"] == "Invalid JWT Signature."
    assert (await exchange(desk, sub=SENDER, iss="other@project.iam.gserviceaccount.com")).status == 400


async def test_delegation_covers_its_scopes_and_no_more(open_desk: Open) -> None:
    desk = await open_desk(delegation={ISSUER: (f"{SCOPE}gmail.send",)})
    assert (await exchange(desk, sub=SENDER, scope=f"{SCOPE}gmail.send")).status == 200
    refused = await exchange(desk, sub=SENDER, scope=f"{SCOPE}gmail.send {SCOPE}gmail.readonly")
    assert (refused.status, refused.json["error"]) == (401, "unauthorized_client")


async def test_unknown_subjects_old_assertions_and_wrong_audiences_are_invalid_grants(desk: Desk) -> None:
    unknown = await exchange(desk, sub="nobody@bank.example")
    assert unknown.json == {"error": "invalid_grant", "error_description": "Invalid email or User ID"}
    for claims in ({"exp": 1_000}, {"iat": int(time.time()) + 9_999}, {"aud": "https://example.org"}, {"iat": None}):
        answer = await exchange(desk, sub=SENDER, **claims)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    garbage = await desk.http("POST", "/token", data={"grant_type": JWT_BEARER, "assertion": "no.jwt"})
    assert garbage.json["error"] == "invalid_grant"
    assert (await desk.http("POST", "/token", data={"grant_type": "magic"})).json["error"] == "unsupported_grant_type"


async def test_tokens_expire_by_the_sandboxs_clock(open_desk: Open) -> None:
    desk = await open_desk(clock_rate=0.0)
    token = (await exchange(desk, sub=SENDER)).json["access_token"]
    await desk.control("POST", "clock", {"advance": 3_599})
    assert (await use(desk, token)).status == 200
    await desk.control("POST", "clock", {"advance": 2})
    expired = await use(desk, token)
    assert (expired.status, expired.error["status"]) == (401, "UNAUTHENTICATED")
    assert expired.error["errors"][0] == {
        "message": "Invalid Credentials",
        "domain": "global",
        "reason": "authError",
        "location": "Authorization",
        "locationType": "header",
    }


async def test_no_token_is_told_apart_from_a_bad_one(desk: Desk) -> None:
    missing = await desk.http("GET", "/gmail/v1/users/me/profile")
    assert (missing.status, missing.error["errors"][0]["reason"]) == (401, "required")
    assert missing.error["details"][0]["reason"] == "CREDENTIALS_MISSING"
    assert (await use(desk, "ya29.made-up")).error["errors"][0]["reason"] == "authError"


async def test_a_missing_scope_is_named_as_google_names_it(desk: Desk, letter: Letter) -> None:
    token = (await exchange(desk, sub=SENDER, scope=f"{SCOPE}gmail.send")).json["access_token"]
    refused = await use(desk, token, "me/drafts")
    assert (refused.status, refused.error["status"]) == (403, "PERMISSION_DENIED")
    assert refused.error["errors"][0]["reason"] == "insufficientPermissions"
    assert refused.error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    raw = base64.urlsafe_b64encode(letter()).decode()
    assert (await use(desk, token, "me/messages/send", "POST", json={"raw": raw})).status == 200


async def test_the_metadata_scope_sees_headers_and_nothing_else(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter())).json["id"]
    token = (await exchange(desk, sub=SENDER, scope=f"{SCOPE}gmail.metadata")).json["access_token"]
    assert (await use(desk, token, f"me/messages/{sent}?format=metadata")).status == 200
    assert (await use(desk, token, f"me/messages/{sent}?format=raw")).status == 403
    assert (await use(desk, token, "me/messages?q=statement")).status == 403


async def test_nobody_acts_on_the_mailbox_of_another(desk: Desk) -> None:
    token = (await exchange(desk, sub=SENDER)).json["access_token"]
    assert (await use(desk, token, f"{SENDER}/profile")).status == 200
    refused = await use(desk, token, "colleague@bank.example/profile")
    assert (refused.status, refused.error["message"]) == (403, f"Delegation denied for {SENDER}")
    await desk.control("POST", "mailbox", {"address": SENDER, "delegation_denied": True})
    assert (await use(desk, token)).error["message"] == f"Delegation denied for {SENDER}"


async def test_a_service_account_by_itself_has_no_mailbox(desk: Desk) -> None:
    token = (await exchange(desk)).json["access_token"]
    refused = await use(desk, token)
    assert (refused.status, refused.error["status"]) == (400, "FAILED_PRECONDITION")


async def test_a_dead_token_is_dead_everywhere_until_it_is_revived(desk: Desk) -> None:
    token = (await exchange(desk, sub=SENDER)).json["access_token"]
    await desk.control("POST", "mailbox", {"address": SENDER, "token_dead": True})
    assert (await use(desk, token)).status == 401
    assert (await exchange(desk, sub=SENDER)).json["error"] == "invalid_grant"
    await desk.control("POST", "mailbox", {"address": SENDER, "token_dead": False})
    assert (await use(desk, token)).status == 200


async def test_a_suspended_user_has_no_mail_service(desk: Desk) -> None:
    await desk.control("POST", "mailbox", {"address": SENDER, "suspended": True})
    refused = await desk.call("GET", "profile")
    assert (refused.status, refused.error["message"]) == (400, "Mail service not enabled")
    assert refused.error["errors"][0]["reason"] == "failedPrecondition"


async def consent(desk: Desk, **more: str) -> Answer:
    form = {"client_id": "app", "redirect_uri": REDIRECT, "scope": f"{SCOPE}gmail.compose", "state": "s-1"}
    form |= {"mailbox": SENDER, "decision": "allow"} | more
    return await desk.http("POST", "/o/oauth2/v2/auth", data=form, allow_redirects=False)


async def test_a_person_consents_in_the_browser_and_the_client_refreshes(desk: Desk) -> None:
    page = await desk.http(
        "GET",
        "/o/oauth2/v2/auth",
        params={"client_id": "app", "redirect_uri": REDIRECT, "scope": f"{SCOPE}gmail.compose", "login_hint": SENDER},
    )
    assert f"<option selected>{SENDER}</option>" in page.text
    verifier = "a-verifier-of-enough-length-0123456789-0123456789"
    challenge = _base64(hashlib.sha256(verifier.encode()).digest())
    back = await consent(desk, code_challenge=challenge, code_challenge_method="S256")
    answer = parse_qs(urlsplit(back.headers["Location"]).query)
    assert (back.status, answer["state"]) == (302, ["s-1"])
    form = {"grant_type": "authorization_code", "client_id": "app", "redirect_uri": REDIRECT}
    form |= {"code": answer["code"][0], "code_verifier": verifier}
    tokens = (await desk.http("POST", "/token", data=form)).json
    assert (await use(desk, tokens["access_token"])).json["emailAddress"] == SENDER
    assert (await desk.http("POST", "/token", data=form)).json["error"] == "invalid_grant"
    refresh = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": tokens["refresh_token"]}
    again = (await desk.http("POST", "/token", data=refresh)).json
    assert (await use(desk, again["access_token"])).status == 200
    assert "refresh_token" not in again
    assert (await desk.http("POST", "/revoke", data={"token": tokens["refresh_token"]})).status == 200
    dead = (await desk.http("POST", "/token", data=refresh)).json
    assert dead == {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}


async def test_a_wrong_verifier_gets_no_token(desk: Desk) -> None:
    back = await consent(desk, code_challenge="x" * 43, code_challenge_method="S256")
    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "client_id": "app", "redirect_uri": REDIRECT, "code": code}
    assert (await desk.http("POST", "/token", data=form | {"code_verifier": "wrong"})).json["error"] == "invalid_grant"


async def test_a_person_who_cancels_sends_the_client_away(desk: Desk) -> None:
    back = await consent(desk, decision="cancel")
    assert parse_qs(urlsplit(back.headers["Location"]).query)["error"] == ["access_denied"]


async def test_the_consent_page_shows_nothing_unescaped(desk: Desk) -> None:
    asked = {"client_id": "<script>", "redirect_uri": REDIRECT, "scope": '"><b>', "state": "'\"<i>"}
    page = await desk.http("GET", "/o/oauth2/v2/auth", params=asked)
    assert not {"<script>", "<b>", "<i>"} & {tag for tag in ("<script>", "<b>", "<i>") if tag in page.text}
    bad = await desk.http("GET", "/o/oauth2/v2/auth", params=asked | {"redirect_uri": "javascript:alert(1)"})
    assert bad.status == 400


async def test_known_clients_must_know_their_secret(open_desk: Open) -> None:
    desk = await open_desk(oauth_clients={"app": "secret"})
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert (await desk.http("POST", "/token", data=form | {"client_id": "other"})).json["error"] == "invalid_client"
    wrong = await desk.http("POST", "/token", data=form | {"client_id": "app", "client_secret": "guess"})
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")


async def test_keyless_signing_leads_to_a_token_for_a_mailbox(desk: Desk) -> None:
    where = "/computeMetadata/v1/instance/service-accounts/default/token"
    assert (await desk.http("GET", where)).status == 403
    own = (await desk.http("GET", where, headers={"Metadata-Flavor": "Google"})).json["access_token"]
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SENDER, "aud": f"{desk.running.url}/token", "iat": now, "exp": now + 600}
    claims["scope"] = f"{SCOPE}gmail.compose"
    signing = f"/v1/projects/-/serviceAccounts/{ISSUER}:signJwt"
    document = {"payload": orjson.dumps(claims).decode()}
    assert (await desk.http("POST", signing, json=document)).status == 401
    signed = await desk.http("POST", signing, json=document, headers={"Authorization": f"Bearer {own}"})
    form = {"grant_type": JWT_BEARER, "assertion": signed.json["signedJwt"]}
    token = (await desk.http("POST", "/token", data=form)).json["access_token"]
    assert (await use(desk, token)).json["emailAddress"] == SENDER


async def test_faults_strike_the_token_endpoint_as_well(desk: Desk) -> None:
    rule = {"point": "before", "kind": "invalid_grant", "method": "oauth.token", "mailbox": SENDER, "times": 1}
    await desk.control("POST", "faults", rule)
    assert (await exchange(desk, sub="colleague@bank.example")).status == 200
    assert (await exchange(desk, sub=SENDER)).json["error"] == "invalid_grant"
    assert (await exchange(desk, sub=SENDER)).status == 200
    await desk.control("POST", "faults", {"point": "before", "kind": "503", "method": "oauth.token", "times": 1})
    assert (await exchange(desk, sub=SENDER)).status == 503


async def test_open_tokens_can_be_shut(open_desk: Open) -> None:
    desk = await open_desk(open_tokens=False)
    assert (await desk.call("GET", "profile")).status == 401
