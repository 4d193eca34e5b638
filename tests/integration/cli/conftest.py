"""The command line as a person calls it: in this process for its answers, as a process of its own for its signals."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from millstream.cli import app

PASSWORD = "mill-pond-7"


@dataclass(frozen=True)
class Answered:
    """What a call answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on its standard output."""
        return json.loads(self.out)


Call = Callable[..., Answered]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configured installation: two sender mailboxes in the pool `default`, one in `bulk`."""
    (tmp_path / "millstream.toml").write_text(
        'folder = "data"\n'
        "[gmail]\n"
        'auth = "static"\n'
        f'static_token = "{PASSWORD}"\n'
        f'client_secret = "{PASSWORD}"\n'
        "[senders]\n"
        'pools = { default = ["a@bank.example", "b@bank.example"], bulk = ["c@bank.example"] }\n',
        encoding="utf-8",
    )
    return tmp_path


@pytest.fixture
def environment(folder: Path, database_url: str) -> dict[str, str]:
    """The variables of that installation."""
    return {"MILLSTREAM_CONFIG": str(folder / "millstream.toml"), "MILLSTREAM_DATABASE__URL": database_url}


@pytest.fixture
def call(environment: dict[str, str]) -> Iterator[Call]:
    """Call a command: `call("run", "list", "--json")`."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def called(*arguments: str) -> Answered:
        result = CliRunner().invoke(app, list(arguments), env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answered(result.exit_code, result.stdout, result.stderr)

    yield called
    root.handlers[:], root.level = handlers, level


@asynccontextmanager
async def process(*arguments: str, environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command as a process of its own; killed at the end if it is still there."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "millstream",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},  # noqa: TID251  handed on, not read
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


Start = Callable[..., Any]


@pytest.fixture
def start(environment: dict[str, str]) -> Start:
    """Start a command: `async with start("worker") as child`."""

    def started(*arguments: str, **more: str) -> Any:
        return process(*arguments, environment={**environment, **more})

    return started


def record(number: int, **changes: Any) -> dict[str, Any]:
    """A line of a driver that brings its own mail."""
    return {
        "key": f"2025-10/{number:04}",
        "type": "statement",
        "customer": {"id": f"C-{number}"},
        "recipient": {"address": f"customer-{number}@example.com"},
        "subject": "Your statement",
        "text": "It is attached.",
        **changes,
    }


@pytest.fixture
def driver(folder: Path) -> Callable[..., str]:
    """Write a driver of so many lines; further arguments are lines as they are."""

    def written(count: int, *lines: str, name: str = "october.jsonl") -> str:
        path = folder / name
        whole = [*(json.dumps(record(number)) for number in range(1, count + 1)), *lines]
        path.write_text("\n".join(whole) + "\n", encoding="utf-8")
        return str(path)

    return written
