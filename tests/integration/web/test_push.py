"""The address for pushes as Pub/Sub sees it: real requests to a server on the loopback."""

import asyncio
import base64
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest
import uvloop

from millstream.gmail import Hint
from millstream.gmail.errors import Call, PushForbidden, PushRefused, TimedOut
from millstream.storage.errors import DatabaseAway
from millstream.web import LOOPBACK, AddressUnusable, build, serve

GOOD = "good"
HINT = Hint("inbox@bank.example", 9876543210)


def pushed(data: object = None, **changes: object) -> bytes:
    told = data or {"emailAddress": HINT.mailbox, "historyId": HINT.history_id}
    packed = base64.b64encode(json.dumps(told).encode()).decode()
    document = {"message": {"data": packed, "messageId": "1"}, "subscription": "projects/p/subscriptions/s"}
    return json.dumps({**document, **changes}).encode()


@dataclass
class Mailboxes:
    """A sink that knows one mailbox, and whose store can be away."""

    known: str = HINT.mailbox
    kept: list[Hint] = field(default_factory=list)
    away: bool = False
    slow: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def hint(self, hints: Sequence[Hint]) -> int:
        self.reached.set()
        if self.slow:
            await self.slow.wait()
        if self.away:
            raise DatabaseAway("no connection to secret-host")
        taken = [one for one in hints if one.mailbox == self.known]
        self.kept += taken
        return len(taken)

    async def reachable(self) -> bool:
        if self.away:
            raise DatabaseAway("no connection")
        return True


async def verify(header: str | None) -> None:
    """Takes one token, and has a word for others."""
    if header == "Bearer other":
        raise PushForbidden("audience", "it is meant for another receiver")
    if header == "Bearer later":
        raise TimedOut(Call("oauth2.certs", "pushes"))
    if header != "Bearer good":
        raise PushRefused("signature", "the signature does not hold")


@dataclass
class Site:
    url: str
    mailboxes: Mailboxes
    session: aiohttp.ClientSession
    stopping: asyncio.Event
    serving: asyncio.Task[None]

    async def push(self, body: object, token: str | None = GOOD) -> tuple[int, dict[str, str], bytes]:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.post(f"{self.url}/push/gmail", data=body, headers=given) as reply:
            return reply.status, dict(reply.headers), await reply.read()


@contextlib.asynccontextmanager
async def serving(mailboxes: Mailboxes) -> AsyncIterator[Site]:
    stopping = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = build(mailboxes, verify, reachable=mailboxes.reachable)
    task = asyncio.create_task(serve(app, LOOPBACK, 0, stopping, announce=listening.set_result))
    async with aiohttp.ClientSession() as session:
        yield Site(await asyncio.wait_for(listening, 10), mailboxes, session, stopping, task)
    stopping.set()
    await asyncio.wait_for(task, 20)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(Mailboxes()) as opened:
        yield opened


async def test_a_hint_is_taken_once_it_is_kept(site) -> None:
    status, _, body = await site.push(pushed())
    assert (status, body) == (204, b"")
    assert site.mailboxes.kept == [HINT]


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("bad", 401), ("other", 403)])
async def test_a_push_that_proves_nothing_is_turned_away(site, token, status) -> None:
    answered, headers, body = await site.push(pushed(), token)
    assert answered == status
    assert headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert json.loads(body)["error"].startswith("the push's token is refused")
    assert site.mailboxes.kept == []


async def test_a_token_that_cannot_be_checked_now_is_to_be_sent_again(site) -> None:
    status, headers, _ = await site.push(pushed(), "later")
    assert (status, headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("body", [b"", b"{}", b"no json", b"[1]", b"\xff", pushed(subscription=7), pushed(message=[])])
async def test_what_is_no_push_is_a_bad_request(site, body) -> None:
    status, _, told = await site.push(body)
    assert status == 400
    assert "no push of Pub/Sub" in json.loads(told)["error"]


@pytest.mark.parametrize("body", [pushed({"x": 1}), pushed(message={}), pushed(message={"data": "%"}),
                                  pushed({"emailAddress": "nobody@bank.example", "historyId": "7"})])  # fmt: skip
async def test_a_worthless_hint_is_not_asked_for_again(site, body) -> None:
    assert (await site.push(body))[0] == 204
    assert site.mailboxes.kept == []


async def test_a_store_that_is_away_has_the_hint_sent_again(site) -> None:
    site.mailboxes.away = True
    status, headers, body = await site.push(pushed())
    assert (status, headers["Retry-After"]) == (503, "10")
    assert b"secret-host" not in body
    site.mailboxes.away = False
    assert (await site.push(pushed()))[0] == 204
    assert site.mailboxes.kept == [HINT]


async def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(site) -> None:
    fits = pushed(padding="")
    fits = pushed(padding="x" * (64 * 1024 - len(fits)))
    assert len(fits) == 64 * 1024
    assert (await site.push(fits))[0] == 204
    assert (await site.push(fits + b" "))[0] == 413


async def test_a_body_without_a_length_is_bounded_too(site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 8192

    with contextlib.suppress(aiohttp.ClientOSError):  # we may hang up before all was sent
        status, _, _ = await site.push(endless())
        assert status == 413
    assert site.mailboxes.kept == []


async def test_a_body_that_breaks_off_leaves_the_server_well(site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = "POST /push/gmail HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: 500\r\n\r\n{"
    writer.write(head.encode())
    await writer.drain()
    writer.transport.abort()
    assert (await site.push(pushed()))[0] == 204
    assert site.mailboxes.kept == [HINT]


@pytest.mark.parametrize("line", [b"X-Filler: " + b"x" * 1000 + b"\r\n", b"y" * 1000])
async def test_a_head_without_end_is_not_kept(site, line) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /push/gmail HTTP/1.1\r\nHost: x\r\nX-Long: ")
    with contextlib.suppress(ConnectionError):
        for _ in range(2000):
            writer.write(line)
            await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await reader.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    for _ in range(3):  # and a kept connection counts each head by itself
        assert (await site.push(pushed(padding="x" * 40_000)))[0] == 204


async def test_what_is_no_http_is_answered_as_such(site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01 rubbish\r\n\r\n")
    await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
    await writer.wait_closed()


async def test_health_tells_whether_the_database_is_reachable(site) -> None:
    for away, told in ((False, "reachable"), (True, "away")):
        site.mailboxes.away = away
        async with site.session.get(f"{site.url}/healthz") as reply:
            assert (reply.status, await reply.json()) == (200, {"status": "ok", "database": told})


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/push", "/push/gmail/x", "/.env"])
async def test_nothing_else_is_there(site, path) -> None:
    async with site.session.get(site.url + path) as reply:
        assert reply.status == 404
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_get_takes_no_hint(site) -> None:
    async with site.session.get(f"{site.url}/push/gmail", headers={"Authorization": "Bearer good"}) as reply:
        assert reply.status == 405


async def test_every_answer_has_the_headers_of_safety_and_no_banner(site) -> None:
    answers = [await site.push(pushed()), await site.push(b"x"), await site.push(b"x", "bad")]
    for _, headers, _ in answers:
        assert "Server" not in headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"


async def test_stopping_lets_a_push_under_way_end_first(site, eventually) -> None:
    site.mailboxes.slow = asyncio.Event()
    under_way = asyncio.create_task(site.push(pushed()))
    await site.mailboxes.reached.wait()
    site.stopping.set()

    async def closed() -> bool:
        try:
            async with aiohttp.ClientSession() as fresh, fresh.get(f"{site.url}/healthz"):
                return False
        except aiohttp.ClientConnectorError:
            return True

    assert await eventually(closed)
    assert not site.serving.done()
    site.mailboxes.slow.set()
    assert (await under_way)[0] == 204
    await asyncio.wait_for(site.serving, 10)
    assert site.mailboxes.kept == [HINT]


async def test_serving_that_is_cancelled_listens_no_more() -> None:
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = build(Mailboxes(), verify, reachable=Mailboxes().reachable)
    task = asyncio.create_task(serve(app, LOOPBACK, 0, asyncio.Event(), announce=listening.set_result))
    url = await listening
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/healthz")


async def test_signals_stay_with_whoever_owns_the_process() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with serving(Mailboxes()) as opened:
        assert (await opened.push(pushed()))[0] == 204
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("host", [LOOPBACK, "host.invalid", "192.0.2.1"])
async def test_an_address_where_we_cannot_listen_is_an_error_and_not_the_end(host) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnusable, match=f"cannot listen at {host} port {port}"):
            await serve(build(Mailboxes(), verify, reachable=Mailboxes().reachable), host, port, asyncio.Event(),
                        announce=lambda _url: None)  # fmt: skip


def test_the_server_runs_in_the_workers_loop() -> None:
    async def scene() -> tuple[int, list[Hint]]:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        async with serving(Mailboxes()) as site:
            status, _, _ = await site.push(pushed())
            return status, site.mailboxes.kept

    assert uvloop.run(scene()) == (204, [HINT])
