"""One sandbox process for the whole suite, empty at the start of each test, and a stage on a database of its own."""

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from acceptance_stage import Stage, opened

_MILLSTREAM = (sys.executable, "-m", "millstream")
DOMAIN = "bank.example"
MAILBOXES = tuple(f"s{number}@{DOMAIN}" for number in range(1, 7))


@pytest.fixture(scope="session")
def sandbox(durable_folder: Path) -> Iterator[dict[str, Any]]:
    """`millstream sandbox gmail`, without limits of its own; what it announced."""
    settings = durable_folder / "sandbox.toml"
    names = ", ".join(f'"{mailbox}"' for mailbox in MAILBOXES)
    settings.write_text(f'limits = "none"\nconcurrency_per_user = 50\nmailboxes = [{names}]\n', "utf-8")
    doors = ("--pubsub-port", "0", "--smtp-port", "0")
    with (durable_folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(
            [*_MILLSTREAM, "sandbox", "gmail", "--settings", str(settings), *doors, "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None
    yield orjson.loads(process.stdout.readline())
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()


@pytest.fixture(scope="session")
def sandbox_url(sandbox: dict[str, Any]) -> str:
    """Where the sandbox is."""
    return str(sandbox["url"])


@pytest.fixture(scope="session")
def pubsub_port(sandbox: dict[str, Any]) -> int:
    """Where its Pub/Sub takes gRPC."""
    return int(sandbox["pubsub_port"])


@pytest.fixture(scope="session")
def smtp_port(sandbox: dict[str, Any]) -> int:
    """Where its relay listens."""
    return int(sandbox["smtp_port"])


@pytest.fixture
def folder(durable_folder: Path) -> Path:
    """A folder with a short path, which the embedded server's own user may pass."""
    folder = Path(tempfile.mkdtemp(dir=durable_folder))
    folder.chmod(0o755)
    return folder


@pytest.fixture
async def bare_stage(sandbox_url: str, folder: Path) -> AsyncIterator[Stage]:
    """A stage without a database: its processes use the embedded one of its folder."""
    async with aiohttp.ClientSession() as session, opened(Stage(folder, sandbox_url, session, None)) as stage:
        await stage.post("reset", {"messages": True, "ledger": True, "faults": True})
        key = await stage.get("service-account")
        (folder / "key.json").write_bytes(orjson.dumps(key))
        stage.configure(*MAILBOXES[:3])
        yield stage


@pytest.fixture
async def stage(bare_stage: Stage, database_url: str) -> Stage:
    """A stage with three lanes on a database of this test's own."""
    bare_stage.database_url = database_url
    bare_stage.configure(*MAILBOXES[:3])
    return bare_stage


@pytest.fixture
def mailboxes() -> tuple[str, ...]:
    """The sender mailboxes that the sandbox knows."""
    return MAILBOXES
