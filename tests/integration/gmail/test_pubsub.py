"""Hints by pull: the two ways against a Pub/Sub of our own, one server for each protocol, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop
from aiohttp import web
from pubsub_servers import GrpcPubSub, Queue, RestPubSub

from millstream.gmail import (
    GmailOptions,
    Hint,
    HintSource,
    ImpersonatedTokens,
    Pulled,
    ServiceAccountTokens,
    StaticTokens,
    account_tokens,
    errors,
    hint_source,
)
from millstream.gmail.tokens import MACHINE

SUBSCRIPTION = "projects/bank/subscriptions/mail"
HINT = {"emailAddress": "inbox@bank.example", "historyId": 9876543210}


Make = Callable[..., HintSource]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture(params=["grpc", "rest"])
def via(request) -> str:
    return request.param


@pytest.fixture
async def server(via, queue) -> AsyncIterator[Any]:
    served = {"grpc": GrpcPubSub, "rest": RestPubSub}[via](queue)
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def make(via, server) -> AsyncIterator[Make]:
    made: list[HintSource] = []

    def build(tokens=None, wait_seconds: float = 10.0, **changes: Any) -> HintSource:
        options = GmailOptions(
            **{"pubsub_endpoint": server.url, "connect_seconds": 2.0, "call_seconds": 5.0, **changes}
        )
        source = hint_source(
            SUBSCRIPTION, tokens or StaticTokens("secret"), options, via=via, wait_seconds=wait_seconds
        )
        made.append(source)
        return source

    yield build
    for source in made:
        await source.close()


async def test_hints_are_pulled_and_acknowledged(make, queue) -> None:
    queue.put(HINT, {**HINT, "historyId": "18446744073709551615"})
    source = make()
    pulled = await source.pull(7)
    assert pulled == [
        Pulled("ack-0", Hint("inbox@bank.example", 9876543210)),
        Pulled("ack-1", Hint("inbox@bank.example", 2**64 - 1)),
    ]
    await source.acknowledge([one.ack_id for one in pulled])
    assert queue.acknowledged == [["ack-0", "ack-1"]]
    assert queue.asked == [(SUBSCRIPTION, 7)]
    assert queue.tokens == ["Bearer secret"]


RUBBISH = [
    b"", b"no json", b"[]", b"7", b"{}", b"\xff\xfe", {"emailAddress": "a@b.example"}, {"historyId": 7},
    {"emailAddress": "", "historyId": 7}, {"emailAddress": "@", "historyId": 7}, {"emailAddress": 7, "historyId": 7},
    {"emailAddress": "a@b.example", "historyId": "x"}, {"emailAddress": "a@b.example", "historyId": -1},
    {"emailAddress": "a@b.example", "historyId": 0}, {"emailAddress": "a@b.example", "historyId": 2**64},
    {"emailAddress": "a@b.example", "historyId": 1.5}, {"emailAddress": "a@b.example", "historyId": True},
    {"emailAddress": "a@b.example", "historyId": "٣"}, {"emailAddress": "a@b.example", "historyId": "9" * 5000},
    {"emailAddress": f"{'a' * 400}@b.example", "historyId": 7},
]  # fmt: skip


async def test_rubbish_comes_without_a_hint_and_can_be_acknowledged(make, queue) -> None:
    queue.put(*RUBBISH, HINT)
    pulled = await make().pull()
    assert [one.hint for one in pulled] == [*[None] * len(RUBBISH), Hint("inbox@bank.example", 9876543210)]
    assert len({one.ack_id for one in pulled}) == len(RUBBISH) + 1


async def test_a_pull_waits_for_what_comes_later(make, queue, eventually) -> None:
    waiting = asyncio.create_task(make().pull())
    await eventually(lambda: queue.asked)
    queue.put(HINT)
    assert [one.hint.mailbox for one in await waiting] == ["inbox@bank.example"]


async def test_nothing_in_the_servers_time_is_no_error(make, queue) -> None:
    queue.wait_seconds = 0.05
    assert list(await make().pull()) == []


async def test_nothing_in_our_own_time_is_no_error(make, queue) -> None:
    assert list(await make(wait_seconds=0.3).pull()) == []
    assert queue.asked


async def test_a_deadline_of_the_servers_is_no_error(make, queue) -> None:
    queue.wait_seconds = 0
    queue.refusals = ["DEADLINE_EXCEEDED"]
    assert list(await make().pull()) == []


EXPECTED = {
    "NOT_FOUND": errors.SubscriptionMissing,
    "PERMISSION_DENIED": errors.SubscriptionForbidden,
    "RESOURCE_EXHAUSTED": errors.HintsLimited,
    "INVALID_ARGUMENT": errors.SubscriptionUnfit,
    "FAILED_PRECONDITION": errors.SubscriptionUnfit,
    "OUT_OF_RANGE": errors.SubscriptionUnfit,
    "UNIMPLEMENTED": errors.SubscriptionUnfit,
    "ALREADY_EXISTS": errors.SubscriptionUnfit,
    "ABORTED": errors.HintsAway,
    "CANCELLED": errors.HintsAway,
    "DATA_LOSS": errors.HintsAway,
    "INTERNAL": errors.HintsAway,
    "UNAVAILABLE": errors.HintsAway,
    "UNKNOWN": errors.HintsAway,
}


@pytest.mark.parametrize("word", EXPECTED)
async def test_each_refusal_has_its_error_and_is_asked_for_once(make, queue, word) -> None:
    queue.wait_seconds = 0
    queue.refusals = [word]
    source = make()
    with pytest.raises(EXPECTED[word]) as caught:
        await source.pull()
    assert len(queue.asked) == 1
    assert caught.value.effect is errors.Effect.NO
    assert (caught.value.mailbox, caught.value.reason) == (SUBSCRIPTION, word)
    assert caught.value.temporary is (EXPECTED[word] in (errors.HintsAway, errors.HintsLimited))
    queue.refusals = [word]
    with pytest.raises(EXPECTED[word]):
        await source.acknowledge(["x"])


class Renewing:
    """A source whose tokens count up."""

    def __init__(self) -> None:
        self.number = 1
        self.asked: set[str] = set()

    async def token(self, mailbox: str) -> str:
        self.asked.add(mailbox)
        return f"token-{self.number}"

    def invalidate(self, mailbox: str, token: str | None = None) -> None:  # noqa: ARG002  one account
        self.number += 1

    async def close(self) -> None: ...


async def test_a_refused_token_is_renewed_once(make, queue) -> None:
    queue.put(HINT)
    queue.refusals = ["UNAUTHENTICATED"]
    tokens = Renewing()
    assert len(await make(tokens).pull()) == 1
    assert queue.tokens == ["Bearer token-1", "Bearer token-2"]
    assert tokens.asked == {MACHINE}


async def test_a_token_refused_twice_is_our_credentials_fault(make, queue) -> None:
    queue.wait_seconds = 0
    queue.refusals = ["UNAUTHENTICATED", "UNAUTHENTICATED"]
    with pytest.raises(errors.BadCredentials) as caught:
        await make(Renewing()).pull()
    assert len(queue.asked) == 2
    assert "token-" not in f"{caught.value!r} {caught.value}"


async def test_without_a_token_nothing_is_asked(make, queue) -> None:
    with pytest.raises(errors.TokenDead):
        await make(StaticTokens({})).pull()
    assert queue.asked == []


async def test_ids_are_acknowledged_in_portions_and_none_is_no_call(make, queue) -> None:
    source = make()
    await source.acknowledge([])
    assert queue.acknowledged == []
    await source.acknowledge([f"id-{number}" for number in range(2001)])
    assert [len(portion) for portion in queue.acknowledged] == [1000, 1000, 1]


async def test_a_server_that_is_away_is_told_as_such(make, free_port) -> None:
    source = make(pubsub_endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(errors.HintsAway):
        await source.pull()
    with pytest.raises(errors.HintsAway):
        await source.acknowledge(["x"])


async def test_a_server_that_does_not_answer_while_connecting_is_away_and_not_empty(make, rude) -> None:
    async def silent(_server, reader, _writer) -> None:
        while await reader.read(1000):  # takes the greeting of TLS and never answers it
            pass

    server = await rude(silent)
    source = make(wait_seconds=0.5, connect_seconds=0.2, pubsub_endpoint=server.url.replace("http:", "https:"))
    with pytest.raises(errors.HintsAway):
        await source.pull()


async def test_pulling_goes_on_after_the_server_was_away(make, queue, server, eventually) -> None:
    source = make(wait_seconds=2.0)
    queue.put(HINT)
    assert len(await source.pull()) == 1
    port = int(server.url.rsplit(":", 1)[1])
    await server.stop()
    with pytest.raises(errors.HintsAway):
        await source.pull()
    await server.start(port)

    async def again() -> bool:
        try:
            return len(await source.pull()) == 1
        except errors.HintsAway:
            return False

    assert await eventually(again, within=20)


async def test_a_pull_that_is_given_up_ends_at_once(make, queue, eventually) -> None:
    task = asyncio.create_task(make().pull())
    await eventually(lambda: queue.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_ends_a_pull_without_cancelling_whoever_waits(make, queue, eventually) -> None:
    source = make()
    task = asyncio.create_task(source.pull())
    await eventually(lambda: queue.asked)
    await source.close()
    assert list(await asyncio.wait_for(task, 5)) == []
    with pytest.raises(errors.HintsAway):
        await source.acknowledge(["x"])
    with pytest.raises(errors.HintsAway):
        await source.pull()


@pytest.mark.parametrize("endpoint", ["pubsub.googleapis.com", "ftp://x.example", "http://", "http://x.example:port"])
async def test_an_endpoint_that_is_no_address_is_our_fault(make, endpoint) -> None:
    with pytest.raises(errors.SubscriptionUnfit, match="endpoint"):
        await make(pubsub_endpoint=endpoint).pull()


async def test_grpc_sends_no_token_in_the_clear_to_another_machine() -> None:
    options = GmailOptions(pubsub_endpoint="http://pubsub.example:8085")
    with pytest.raises(errors.SubscriptionUnfit, match="in the clear"):
        hint_source(SUBSCRIPTION, StaticTokens("t"), options)


@pytest.mark.parametrize(
    "content", [b"", b"<html>hotel</html>", b"[]", b'"x"', b'{"receivedMessages": [{}]}', b'{"receivedMessages": 7}',
                b'{"receivedMessages": [{"ackId": ""}]}', b'{"receivedMessages": [7]}'],
)  # fmt: skip
async def test_an_answer_of_somebody_else_is_unreadable(queue, content) -> None:
    async with rest_server(queue) as (server, source):
        queue.wait_seconds = 0
        server.odd = [web.Response(body=content)]
        with pytest.raises(errors.Unreadable):
            await source.pull()


@pytest.mark.parametrize(("status", "kind"), [(403, errors.Unreadable), (404, errors.Unreadable),
                                              (302, errors.Unreadable), (502, errors.HintsAway),
                                              (504, errors.HintsAway)])  # fmt: skip
async def test_a_page_of_a_proxy_does_not_speak_for_pubsub(queue, status, kind) -> None:
    async with rest_server(queue) as (server, source):
        queue.wait_seconds = 0
        server.odd = [web.Response(status=status, text="<html>proxy</html>")]
        with pytest.raises(kind):
            await source.pull()


@pytest.mark.parametrize("message", [None, {}, {"data": None}, {"data": 7}, {"data": "%%%"}, {"data": "a"}])
async def test_a_message_whose_data_cannot_be_unpacked_is_rubbish(queue, message) -> None:
    async with rest_server(queue) as (server, source):
        queue.wait_seconds = 0
        server.odd = [web.json_response({"receivedMessages": [{"ackId": "a", "message": message}]})]
        assert await source.pull() == [Pulled("a", None)]


class rest_server:  # noqa: N801  reads as a word at its uses
    def __init__(self, queue: Queue) -> None:
        self.server = RestPubSub(queue)

    async def __aenter__(self) -> tuple[RestPubSub, HintSource]:
        await self.server.start()
        options = GmailOptions(pubsub_endpoint=self.server.url)
        self.source = hint_source(SUBSCRIPTION, StaticTokens("t"), options, via="rest")
        return self.server, self.source

    async def __aexit__(self, *_raised: object) -> None:
        await self.source.close()
        await self.server.stop()


def test_googles_client_works_in_the_workers_loop() -> None:
    async def scene() -> tuple[list[Pulled], list[list[str]], list[Pulled]]:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        queue = Queue(wait_seconds=0.05)
        server = GrpcPubSub(queue)
        await server.start()
        source = hint_source(SUBSCRIPTION, StaticTokens("t"), GmailOptions(pubsub_endpoint=server.url))
        empty = list(await source.pull())
        queue.put(HINT)
        pulled = list(await source.pull())
        await source.acknowledge([one.ack_id for one in pulled])
        await source.close()
        await server.stop()
        return pulled, queue.acknowledged, empty

    pulled, acknowledged, empty = uvloop.run(scene())
    assert empty == []
    assert [one.hint for one in pulled] == [Hint("inbox@bank.example", 9876543210)]
    assert acknowledged == [["ack-0"]]


async def test_the_accounts_own_token_acts_as_nobody(google, key, tmp_path) -> None:
    google.usual = lambda asked: web.json_response(
        {"signedJwt": "signed"} if ":signJwt" in asked.path else {"access_token": "mine", "expires_in": 3600}
    )
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key.info))
    identity = tmp_path / "identity.json"
    identity.write_text(json.dumps({"type": "authorized_user", "client_id": "c", "refresh_token": "r"}))
    by_key = account_tokens(google.options(), key_file=path)
    by_name = account_tokens(google.options(), service_account="sa@p.example", identity_file=identity)
    machine = account_tokens(google.options())
    assert isinstance(by_key, ServiceAccountTokens)
    assert isinstance(by_name, ImpersonatedTokens)
    for tokens in (by_key, by_name, machine):
        assert await tokens.token(MACHINE) == "mine"
        await tokens.close()
    signed = next(asked for asked in google.asked if ":signJwt" in asked.path)
    claims = json.loads(json.loads(signed.body)["payload"])
    assert claims["scope"] == "https://www.googleapis.com/auth/pubsub"
    assert "sub" not in claims
