"""Bad connections: each failure reaches the caller after exactly one try, with the right effect."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web

from millstream.gmail import Gmail, GmailOptions, StaticTokens, errors
from millstream.gmail.errors import Effect

BOX = "a@bank.example"
WRITES = {
    "drafts.create": lambda box: box.create_draft(b"x" * 100_000),
    "drafts.send": lambda box: box.send_draft("r-1"),
    "drafts.delete": lambda box: box.delete_draft("r-1"),
    "messages.send": lambda box: box.send_message(b"x" * 2_000_000),
}
READS = {"drafts.get": lambda box: box.get_draft("r-1"), "history.list": lambda box: box.list_history(1)}
EVERY = {**WRITES, **READS}


def options(url: str, **changes) -> GmailOptions:
    waits = {"connect_seconds": 2.0, "call_seconds": 5.0, "upload_seconds": 5.0}
    return GmailOptions(endpoint=url, **{**waits, **changes})


@contextlib.asynccontextmanager
async def mailbox(url: str, **changes):
    async with Gmail(options(url, **changes), StaticTokens("t")) as gmail:
        yield gmail.mailbox(BOX)


def expected(name: str) -> Effect:
    return Effect.UNKNOWN if name in WRITES else Effect.NO


async def close_after_reading(server, reader, writer) -> None:
    await server.read_request(reader)


async def reset_after_reading(server, reader, writer) -> None:
    await server.read_request(reader)
    server.reset(writer)


async def close_the_second_time(server, reader, writer) -> None:
    await server.read_request(reader)
    await server.answer(writer, {"id": "r-1", "historyId": "1"})
    await server.read_request(reader)


async def reset_in_the_reply(server, reader, writer) -> None:
    await server.read_request(reader)
    await server.answer(writer, {"id": "r-1", "historyId": "1"}, declared=1000)
    server.reset(writer)


async def no_http(server, reader, writer) -> None:
    await server.read_request(reader)
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("behaviour", [close_after_reading, reset_after_reading, reset_in_the_reply, no_http])
async def test_a_request_that_was_read_and_not_answered_arrives_once(rude, name, behaviour) -> None:
    server = await rude(behaviour)
    async with mailbox(server.url) as box:
        with pytest.raises(errors.ConnectionLost) as caught:
            await EVERY[name](box)
    assert len(server.requests) == 1
    assert caught.value.effect is expected(name)
    assert caught.value.temporary


@pytest.mark.parametrize("name", EVERY)
async def test_a_kept_connection_that_closes_on_a_request_does_not_make_it_arrive_twice(rude, name) -> None:
    server = await rude(close_the_second_time)
    async with mailbox(server.url) as box:
        await box.get_draft("r-1")
        with pytest.raises(errors.ConnectionLost) as caught:
            await EVERY[name](box)
    assert (len(server.requests), server.connections) == (2, 1)
    assert caught.value.effect is expected(name)


async def test_the_library_by_itself_would_have_asked_twice(rude) -> None:
    """Why ``_only_once`` stands in the transport; if this fails, aiohttp has changed and it may go."""
    server = await rude(close_the_second_time)
    async with aiohttp.ClientSession() as session:
        async with session.get(server.url) as reply:
            await reply.read()
        async with session.delete(server.url) as reply:
            await reply.read()
    assert [verb for verb, _ in server.requests] == ["GET", "DELETE", "DELETE"]


@pytest.mark.parametrize("name", EVERY)
async def test_a_refused_connection_did_nothing(name) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connecting is refused
        async with mailbox(f"http://127.0.0.1:{closed.getsockname()[1]}") as box:
            with pytest.raises(errors.ConnectionLost) as caught:
                await EVERY[name](box)
    assert caught.value.effect is Effect.NO


async def test_a_name_that_does_not_resolve_did_nothing() -> None:
    async with mailbox("http://gmail.invalid") as box:
        with pytest.raises(errors.ConnectionLost) as caught:
            await box.send_draft("r-1")
    assert caught.value.effect is Effect.NO


async def test_a_tls_handshake_that_fails_did_nothing(google) -> None:
    async with mailbox(google.url.replace("http:", "https:")) as box:
        with pytest.raises(errors.ConnectionLost) as caught:
            await box.send_draft("r-1")
    assert caught.value.effect is Effect.NO
    assert google.asked == []


@pytest.mark.parametrize("endpoint", ["gmail.googleapis.com", "ftp://gmail.googleapis.com", "http://"])
async def test_an_endpoint_that_is_no_address_is_our_fault(endpoint) -> None:
    async with mailbox(endpoint) as box:
        with pytest.raises(errors.BadRequest, match="endpoint"):
            await box.send_draft("r-1")


async def test_no_answer_in_time_is_unknown_for_a_write_and_ends_the_connection(rude) -> None:
    gone = asyncio.Event()

    async def silent(server, reader, writer) -> None:
        await server.read_request(reader)
        await reader.read()  # until the client hangs up
        gone.set()

    server = await rude(silent)
    async with mailbox(server.url, call_seconds=0.2) as box:
        with pytest.raises(errors.TimedOut) as caught:
            await box.send_draft("r-1")
        await asyncio.wait_for(gone.wait(), 5)
    assert caught.value.effect is Effect.UNKNOWN
    assert len(server.requests) == 1


async def test_a_reply_that_stops_half_way_runs_out_of_time(rude) -> None:
    async def half(server, reader, writer) -> None:
        await server.read_request(reader)
        await server.answer(writer, {"id": "r-1"}, declared=1000)
        await reader.read()

    server = await rude(half)
    async with mailbox(server.url, call_seconds=0.2) as box:
        with pytest.raises(errors.TimedOut) as caught:
            await box.send_draft("r-1")
    assert caught.value.effect is Effect.UNKNOWN


async def test_waiting_for_a_free_connection_in_vain_did_nothing(rude) -> None:
    release = asyncio.Event()

    async def slow(server, reader, writer) -> None:
        await server.read_request(reader)
        await release.wait()
        await server.answer(writer, {"id": "r-1"})

    server = await rude(slow)
    async with mailbox(server.url, connections=1, connect_seconds=0.2) as box:
        first = asyncio.create_task(box.send_draft("r-1"))
        with pytest.raises(errors.TimedOut) as caught:
            await asyncio.gather(box.send_draft("r-2"))
        release.set()
        await first
    assert caught.value.effect is Effect.NO
    assert len(server.requests) == 1


async def test_a_refusal_whose_body_breaks_off_is_still_a_refusal(rude) -> None:
    async def refuse(server, reader, writer) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        server.reset(writer)

    server = await rude(refuse)
    async with mailbox(server.url) as box:
        with pytest.raises(errors.RateLimited) as caught:
            await box.send_draft("r-1")
    assert caught.value.effect is Effect.NO


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(google, status) -> None:
    google.usual = lambda _asked: web.Response(status=status, headers={"Location": f"{google.url}/elsewhere"})
    async with mailbox(google.url) as box:
        with pytest.raises(errors.Unreadable) as caught:
            await box.send_message(b"x")
    assert len(google.asked) == 1
    assert caught.value.effect is Effect.UNKNOWN


@pytest.mark.parametrize("head", [b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", b'{"id":'])
async def test_a_slow_answer_is_waited_for(rude, head) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"id":"r-1"}'
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def dribble(server, reader, writer) -> None:
        await server.read_request(reader)
        cut = answer.index(head) + len(head)
        writer.write(answer[:cut])
        await writer.drain()
        begun.set()
        await go_on.wait()
        writer.write(answer[cut:])
        await writer.drain()

    server = await rude(dribble)
    async with mailbox(server.url) as box:
        asked = asyncio.create_task(box.get_draft("r-1"))
        await begun.wait()
        assert not asked.done()
        go_on.set()
        assert (await asked).id == "r-1"


async def test_connections_are_kept_and_shared_by_mailboxes(rude) -> None:
    async def keep(server, reader, writer) -> None:
        while True:
            await server.read_request(reader)
            await server.answer(writer, {"id": "r-1"})

    server = await rude(keep)
    async with Gmail(options(server.url), StaticTokens("t")) as gmail:
        for number in range(5):
            await gmail.mailbox(f"box{number}@bank.example").send_draft("r-1")
    assert (len(server.requests), server.connections) == (5, 1)
