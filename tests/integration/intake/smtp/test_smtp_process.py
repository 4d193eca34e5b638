"""`millstream smtp` as a process: what it answered with 250 is there whatever happens to it."""

import asyncio
import json
import os
import smtplib
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from typing import Any

import pytest

from millstream.communication.store import RunStore
from millstream.intake.consignment import Kind
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.smtp import open_messages
from millstream.intake.sources import Sources
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools
from millstream.storage.objects import open_store

_CLIENTS = ThreadPoolExecutor(8)
_PROGRAM = "import typer; from millstream.cli.smtp import smtp; typer.run(smtp)"

Start = Callable[..., Any]


@pytest.fixture
def start(database_url, tmp_path) -> Start:
    """Start the command: `async with start() as (port, child)`."""

    @asynccontextmanager
    async def started(**variables: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM, "--port", "0", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,  # noqa: TID251  handed on, not read
                "MILLSTREAM_DATABASE__URL": database_url,
                "MILLSTREAM_FOLDER": str(tmp_path / "data"),
                **variables,
            },
        )
        assert child.stdout is not None
        line = await asyncio.wait_for(child.stdout.readline(), 30)
        try:
            yield (json.loads(line)["port"] if line else 0), child
        finally:
            if child.returncode is None:
                child.kill()
            await child.communicate()

    return started


def letter(number: int) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"] = "Exstream <exstream@bank.example>", f"Customer {number} <c{number}@example.com>"
    made["Subject"] = f"Kontoauszug für März {number}"
    made["Message-ID"] = f"<{number}@exstream.example>"
    made["X-Exstream-Customer"] = f"C-{number}"
    made.set_content("See the attachment.\n")
    made.add_alternative("<p>See the <b>attachment</b>.</p>", subtype="html")
    made.add_attachment(b"a;b\n" + os.urandom(20_000), maintype="text", subtype="csv", filename="März.csv")
    made.set_boundary(f"edge-{number}")
    return made


def send(port: int, letters: list[EmailMessage], answered: list[str]) -> None:
    """Send one after the other, and note each that was answered with 250."""
    with suppress(smtplib.SMTPException, OSError), smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        for each in letters:
            client.send_message(each)
            answered.append(each["Message-ID"])


async def test_killed_after_a_250_it_has_the_message_and_the_same_again_changes_nothing(
    start, pool, tmp_path, eventually
) -> None:
    letters = [letter(number) for number in range(80)]
    answered: list[str] = []
    store = ConsignmentStore(pool)
    loop = asyncio.get_running_loop()

    def sent_in(port: int) -> list[asyncio.Future[None]]:
        return [loop.run_in_executor(_CLIENTS, send, port, letters[at::8], answered) for at in range(8)]

    async with start() as (port, child):
        sending = sent_in(port)
        await eventually(lambda: len(answered) >= 20, within=30)
        child.kill()
        await asyncio.gather(*sending)
    kept = {row["facts"]["message_id"] for row in [await store.find(r["id"]) for r in await store.newest(most=500)]}
    assert {each.strip("<>") for each in answered} <= kept

    async with start() as (port, child):
        answered.clear()
        await asyncio.gather(*sent_in(port))
        assert len(answered) == 80
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 20) == 0
    assert len(await store.newest(most=500)) == 80

    rows = await taken(pool, store, str(tmp_path / "data" / "documents"))
    assert sorted(row["customer"] for row in rows) == sorted(f"C-{number}" for number in range(80))
    first = next(row for row in rows if row["customer"] == "C-7")
    assert first["subject"] == "Kontoauszug für März 7"
    assert first["recipient"] == {"address": "c7@example.com", "name": "Customer 7"}
    assert [document["name"] for document in first["documents"]] == ["März.csv"]
    assert "<b>attachment</b>" in first["body_html"]
    assert first["body_text"].strip() == "See the attachment."


async def taken(pool: Any, store: ConsignmentStore, documents: str) -> list[dict[str, Any]]:
    """Have everything taken by a worker; answers the communications."""
    shelf = open_store(documents)
    tools = Tools(
        RunStore(pool),
        Services(RunStore(pool), shelf),
        shelf,
        Sources({Kind.MESSAGE: open_messages()}),
        IntakeOptions(most_bytes=30_000_000),
    )
    taker = Taker(store, tools)
    await taker.drain()
    await taker.close()
    async with pool.connection() as connection:
        return await (await connection.execute("SELECT * FROM communication")).fetchall()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MILLSTREAM_INTAKE_SMTP__USERS": '{"a": "b"}'}, "intake_smtp.certificate"),
        ({"MILLSTREAM_INTAKE_SMTP__TLS": "required"}, "intake_smtp.certificate"),
        ({"MILLSTREAM_INTAKE_SMTP__NETWORKS": "[]"}, "nobody could hand in"),
        ({"MILLSTREAM_INTAKE_SMTP__NETWORKS": '["home"]'}, "holds no network"),
        ({"MILLSTREAM_INTAKE_SMTP__RUN": "{day}"}, "{day} is none of"),
        ({"MILLSTREAM_INTAKE_SMTP__CERTIFICATE": "/nowhere.pem"}, "cannot be used"),
    ],
)
async def test_settings_that_do_not_go_together_are_wrong_configuration(start, variables, words) -> None:
    async with start(**variables) as (port, child):
        _, said = await asyncio.wait_for(child.communicate(), 30)
        assert (port, child.returncode) == (0, 2)
        assert words in said.decode()


async def test_an_address_that_cannot_be_had_is_told(start) -> None:
    async with start(MILLSTREAM_INTAKE_SMTP__HOST="192.0.2.1") as (port, child):
        _, said = await asyncio.wait_for(child.communicate(), 30)
        assert (port, child.returncode) == (0, 1)
        assert "cannot listen at 192.0.2.1" in said.decode()
