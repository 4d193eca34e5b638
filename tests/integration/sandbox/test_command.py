"""`millstream sandbox gmail` as a process: what it announces, and what it does not load."""

import asyncio
import json
import sys

import aiohttp
import pytest

COMMAND = (sys.executable, "-m", "millstream", "sandbox", "gmail", "--port", "0", "--json")
IMPORTED = (
    "import sys, millstream.sandbox.gmail.server; "
    "print([name for name in ('grpc', 'google.pubsub_v1') if name in sys.modules])"
)


async def announced(*options: str) -> tuple[asyncio.subprocess.Process, dict[str, object]]:
    """A running sandbox and its first line."""
    process = await asyncio.create_subprocess_exec(*COMMAND, *options, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


async def ended(process: asyncio.subprocess.Process) -> int:
    process.terminate()
    assert process.stdout is not None
    await process.stdout.read()
    return await process.wait()


@pytest.mark.parametrize("options", [(), ("--pubsub-port", "0", "--smtp-port", "0")])
async def test_the_first_line_says_where_each_door_is(options: tuple[str, ...]) -> None:
    process, line = await announced(*options)
    assert set(line) == {"url", "smtp_port", "pubsub_port"}
    assert all((line[name] is not None) is bool(options) for name in ("smtp_port", "pubsub_port"))
    async with aiohttp.ClientSession() as session, session.get(f"{line['url']}/sandbox/v1/state") as answer:
        assert answer.status == 200
    if line["pubsub_port"]:
        _, writer = await asyncio.open_connection("127.0.0.1", int(str(line["pubsub_port"])))
        writer.close()
        await writer.wait_closed()
    assert await ended(process) in (0, 130)


async def test_a_taken_pubsub_port_is_named_as_what_failed() -> None:
    process, line = await announced("--pubsub-port", "0")
    second = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--pubsub-port",
        str(line["pubsub_port"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert b"cannot listen" in said
    assert b"is taken" in said
    await ended(process)


async def test_a_sandbox_without_its_pubsub_door_does_not_load_grpc() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IMPORTED, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert said.strip() == b"[]"
