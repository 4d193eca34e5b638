"""A message of 30 MB is an answer of 41 MB: two at a time are read, and none is held more often than needed."""

import asyncio
import base64
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from millstream.gmail import Gmail, GmailOptions, StaticTokens, errors

BOX = "a@bank.example"
MIB = 2**20
SIZE = 8 * MIB


@dataclass
class Streams:
    """A Gmail that sends large messages in pieces and counts how many get past their first three MiB at once."""

    url: str = ""
    chunked: bool = True
    started: int = 0
    flowing: int = 0
    most: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    two_flow: asyncio.Event = field(default_factory=asyncio.Event)
    stall: bool = False
    endless: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/small"):
            return web.json_response({"id": "small", "raw": "eA=="})
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        body = b'{"id": "m", "raw": "' + b"QUFB" * (SIZE // 4) + b'"}'
        if self.chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        self.started += 1
        # What our side reads freely, and what the sockets of both sides hold by themselves, tells nothing.
        await response.write(body[: 6 * MIB])
        self.flowing += 1
        self.most = max(self.most, self.flowing)
        if self.flowing == 2:
            self.two_flow.set()
        await self.go_on.wait()
        if self.stall:
            await asyncio.Event().wait()
        await response.write(body[6 * MIB :])
        self.flowing -= 1
        while self.endless:
            await response.write(b" " * MIB)
        await response.write_eof()
        return response


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    served = Streams()
    app = web.Application()
    app.router.add_get("/{tail:.*}", served.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


def gmail(streams: Streams, **changes: float) -> Gmail:
    waits = {"connect_seconds": 2.0, "call_seconds": 30.0, "upload_seconds": 30.0}
    return Gmail(GmailOptions(endpoint=streams.url, **{**waits, **changes}), StaticTokens("t"))


@pytest.mark.parametrize("chunked", [True, False])
async def test_two_large_answers_are_read_at_once_and_small_ones_pass_them_by(streams, chunked) -> None:
    streams.chunked = chunked
    async with gmail(streams) as first, gmail(streams) as second:
        boxes = [first.mailbox(BOX), second.mailbox(BOX)]
        calls = [asyncio.create_task(boxes[number % 2].get_message(f"m{number}", "raw")) for number in range(6)]
        await asyncio.wait_for(streams.two_flow.wait(), 20)
        small = await boxes[0].get_message("small", "raw")
        assert small.raw == b"x"
        streams.go_on.set()
        for message in await asyncio.gather(*calls):
            assert message.raw == b"AAA" * (SIZE // 4)
    assert streams.started == 6
    assert streams.most == 2


async def test_waiting_for_a_turn_does_not_count_as_a_call_that_takes_too_long(streams) -> None:
    """The short time is for the first MiB; whoever waits behind others has not begun its long one."""
    async with gmail(streams, call_seconds=1.0) as opened:
        box = opened.mailbox(BOX)
        calls = [asyncio.create_task(box.get_message(f"m{number}", "raw")) for number in range(3)]
        await asyncio.wait_for(streams.two_flow.wait(), 20)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.gather(*calls)), 1.5)
        streams.go_on.set()
        assert {len(message.raw) for message in await asyncio.gather(*calls)} == {SIZE // 4 * 3}


async def test_a_large_answer_that_stops_half_way_gives_its_turn_back(streams) -> None:
    streams.stall = True
    streams.go_on.set()
    async with gmail(streams, upload_seconds=0.2) as opened:
        box = opened.mailbox(BOX)
        for error in await asyncio.gather(*(box.get_message("m", "raw") for _ in range(5)), return_exceptions=True):
            assert isinstance(error, errors.TimedOut)


async def test_a_call_that_is_given_up_gives_its_turn_back(streams) -> None:
    async with gmail(streams) as opened:
        box = opened.mailbox(BOX)
        calls = [asyncio.create_task(box.get_message("m", "raw")) for _ in range(2)]
        await asyncio.wait_for(streams.two_flow.wait(), 20)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        streams.go_on.set()
        assert (await box.get_message("m", "raw")).id == "m"


async def test_an_answer_without_end_is_given_up(streams) -> None:
    streams.endless = True
    streams.go_on.set()
    async with gmail(streams) as opened:
        with pytest.raises(errors.Unreadable, match="without end"):
            await opened.mailbox(BOX).get_message("m", "raw")


# In a process of its own, as the server's memory is none of ours. VmHWM is the most it ever held.
READER = """
import asyncio, hashlib, sys
from millstream.gmail import Gmail, GmailOptions, StaticTokens

def most():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

async def read():
    async with Gmail(GmailOptions(endpoint=sys.argv[1]), StaticTokens("t")) as gmail:
        box = gmail.mailbox("a@bank.example")
        await box.get_message("small", "raw")
        before = most()
        message = await box.get_message("large", "raw")
        print(most() - before, hashlib.sha256(message.raw).hexdigest())

asyncio.run(read())
"""


async def test_a_message_of_thirty_megabytes_is_never_held_four_times(google) -> None:
    raw = os.urandom(30 * MIB)
    packed = b'{"id": "m", "raw": "' + base64.urlsafe_b64encode(raw) + b'"}'
    google.usual = lambda asked: web.Response(
        body=packed if "large" in asked.path else b'{"id": "m", "raw": "eA=="}', content_type="application/json"
    )
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", READER, google.url, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(reader.communicate(), 60)
    grown, found = told.decode().split()
    assert found == hashlib.sha256(raw).hexdigest()
    # What was read, orjson's own copy of it and the text inside; the message itself comes when two of them are gone.
    assert int(grown) < 3.4 * len(packed)
