"""Processes that are started beside gRPC begin and end as they should."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, subprocess, sys
from millstream import lazy
lazy.load_grpc("{module}")
import grpc

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{{port}}") as channel:
        await channel.channel_ready()
        for _ in range(100):
            forked = [sys.executable, "-S", "-c", ""]
            await asyncio.to_thread(subprocess.run, forked, check=True, preexec_fn=lambda: None)
    await server.stop(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("module", ["millstream.gmail.pubsub_grpc", "millstream.sandbox.pubsub.rpc"])
def test_no_fork_handler_of_grpc_meddles_with_a_process(module: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}  # noqa: TID251  handed on
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
