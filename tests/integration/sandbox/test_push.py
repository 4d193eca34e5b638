"""Push subscriptions: what is posted, who signed it, and what happens until the endpoint says yes."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import google.auth.transport.requests
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.x509 import load_pem_x509_certificate
from google.auth.exceptions import MalformedError
from google.oauth2 import id_token
from sandbox_desk import SENDER, Desk, Letter, Open

TOPIC = "projects/p/topics/gmail"
NAME = "projects/p/subscriptions/pushed"
ACCOUNT = "push@p.iam.gserviceaccount.com"


class Endpoint:
    """A server that notes what is posted and answers with the statuses it was given, then 204."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, Any], str]] = []
        self.statuses: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append((await request.json(), request.headers.get("Authorization", "")))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    app = web.Application()
    app.router.add_post("/push", found.take)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/push"))
        yield found


async def pushed(open_desk: Open, endpoint: Endpoint, **fields: Any) -> Desk:
    settings = {"name": NAME, "topic": TOPIC, "push_endpoint": endpoint.url, "push_account": ACCOUNT}
    desk = await open_desk(clock_rate=0.0, subscriptions=(settings | fields,))
    assert (await desk.call("POST", "watch", json={"topicName": TOPIC})).status == 200
    return desk


Eventually = Callable[..., Any]


def verified(desk: Desk, token: str, audience: str) -> dict[str, Any]:
    """The claims, checked by Google's own library with the sandbox's certificates."""
    transport = google.auth.transport.requests.Request()
    return dict(id_token.verify_token(token, transport, audience, certs_url=f"{desk.running.url}/oauth2/v1/certs"))


async def test_a_push_has_googles_body_and_a_token_that_googles_library_accepts(
    open_desk: Open, endpoint: Endpoint, eventually: Eventually, in_thread: Callable[..., Any]
) -> None:
    desk = await pushed(open_desk, endpoint)
    await eventually(lambda: endpoint.posts)
    body, authorization = endpoint.posts[0]
    message = body["message"]
    assert body["subscription"] == NAME
    assert (message["messageId"], message["publishTime"]) == (message["message_id"], message["publish_time"])
    assert json.loads(base64.b64decode(message["data"]))["emailAddress"] == SENDER
    token = authorization.removeprefix("Bearer ")
    claims = await in_thread(verified, desk, token, endpoint.url)
    assert (claims["iss"], claims["email"]) == ("https://accounts.google.com", ACCOUNT)
    assert claims["email_verified"] is True
    assert claims["exp"] - claims["iat"] == 3600
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header["kid"] in (await desk.http("GET", "/oauth2/v1/certs")).json


async def test_the_key_set_holds_the_key_of_the_certificate(desk: Desk) -> None:
    ((identifier, pem),) = (await desk.http("GET", "/oauth2/v1/certs")).json.items()
    (key,) = (await desk.http("GET", "/oauth2/v3/certs")).json["keys"]
    numbers = load_pem_x509_certificate(pem.encode()).public_key().public_numbers()
    assert (key["kid"], key["kty"], key["alg"], key["use"]) == (identifier, "RSA", "RS256", "sig")
    assert [number(key["n"]), number(key["e"])] == [numbers.n, numbers.e]


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


async def test_another_audience_or_signature_is_not_accepted(
    open_desk: Open, endpoint: Endpoint, eventually: Eventually, in_thread: Callable[..., Any]
) -> None:
    desk = await pushed(open_desk, endpoint, push_audience="millstream")
    await eventually(lambda: endpoint.posts)
    token = endpoint.posts[0][1].removeprefix("Bearer ")
    assert (await in_thread(verified, desk, token, "millstream"))["aud"] == "millstream"
    with pytest.raises(ValueError, match="audience"):
        await in_thread(verified, desk, token, endpoint.url)
    with pytest.raises((ValueError, MalformedError)):
        await in_thread(verified, desk, token[:-8] + "AAAAAAA=", "millstream")


async def test_a_push_without_an_account_has_no_token(
    open_desk: Open, endpoint: Endpoint, eventually: Eventually
) -> None:
    await pushed(open_desk, endpoint, push_account="")
    await eventually(lambda: endpoint.posts)
    assert endpoint.posts[0][1] == ""


async def test_a_push_comes_again_until_it_is_taken(
    open_desk: Open, endpoint: Endpoint, eventually: Eventually
) -> None:
    endpoint.statuses = [500, 301, 403]
    desk = await pushed(open_desk, endpoint)
    await eventually(lambda: len(endpoint.posts) == 4)
    state = {"backlog": 1}
    while state["backlog"]:  # the sandbox reads the endpoint's last answer
        state = (await desk.control("GET", "pubsub"))["subscriptions"][0]
    assert state["acknowledged"] == 1
    assert len({post["message"]["messageId"] for post, _ in endpoint.posts}) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_good_status_takes_a_push(
    open_desk: Open, endpoint: Endpoint, eventually: Eventually, letter: Letter, status: int
) -> None:
    endpoint.statuses = [status, 204]
    desk = await pushed(open_desk, endpoint)
    await eventually(lambda: len(endpoint.posts) == 1)
    await desk.control("POST", "clock", {"advance": 2})
    await desk.send(letter())
    await eventually(lambda: len(endpoint.posts) == 2)
    ids = {post["message"]["messageId"] for post, _ in endpoint.posts}
    assert len(ids) == 2


async def test_a_pull_subscription_becomes_a_push_one_and_back(
    open_desk: Open, endpoint: Endpoint, eventually: Eventually
) -> None:
    desk = await open_desk(clock_rate=0.0)
    await desk.control("POST", "subscriptions", {"name": NAME, "topic": TOPIC})
    await desk.call("POST", "watch", json={"topicName": TOPIC})
    headers = {"Authorization": f"Bearer sandbox:{SENDER}"}
    config = {"pushConfig": {"pushEndpoint": endpoint.url, "oidcToken": {"serviceAccountEmail": ACCOUNT}}}
    changed = await desk.http("POST", f"/v1/{NAME}:modifyPushConfig", json=config, headers=headers)
    assert changed.status == 200
    await eventually(lambda: endpoint.posts)
    back = await desk.http("POST", f"/v1/{NAME}:modifyPushConfig", json={"pushConfig": {}}, headers=headers)
    assert back.status == 200
    shown = (await desk.http("GET", f"/v1/{NAME}", headers=headers)).json
    assert shown["pushConfig"] == {}
    wrong = {"pushConfig": {"pushEndpoint": "ftp://example.com"}}
    assert (await desk.http("POST", f"/v1/{NAME}:modifyPushConfig", json=wrong, headers=headers)).status == 400


async def test_an_endpoint_that_is_not_there_does_not_stop_the_sandbox(open_desk: Open, endpoint: Endpoint) -> None:
    endpoint.url = "http://127.0.0.1:9/push"
    desk = await pushed(open_desk, endpoint)
    assert (await desk.control("GET", "pubsub"))["subscriptions"][0]["backlog"] == 1
