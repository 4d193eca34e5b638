"""The doors as commands: where they listen, who may hand in, and that a worker takes what came by each."""

import asyncio
import json
import smtplib
from email.message import EmailMessage
from typing import Any

import aiohttp

from millstream.communication.store import RunStore

RECORD = {
    "key": "2025-10/1",
    "type": "statement",
    "customer": {"id": "C-1"},
    "recipient": {"address": "customer@example.com"},
    "subject": "Your statement",
    "text": "It is attached.",
}
TOKENS = '{"exstream": "mill-pond-7"}'


async def posted(url: str, token: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v1/communications?run=october", data=json.dumps(RECORD), headers=headers) as reply,
    ):
        return reply.status, await reply.json()


def mailed(port: int) -> None:
    letter = EmailMessage()
    letter["Subject"], letter["To"] = "Your letter", "guest@example.com"
    letter.set_content("Good day\n")
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.send_message(letter, "exstream@bank.example", ["guest@example.com"])


async def test_what_comes_by_http_and_by_smtp_is_taken_by_a_worker(start, pool) -> None:
    async with (
        start("web", "--port", "0", "--json", MILLSTREAM_INTAKE_HTTP__TOKENS=TOKENS) as web,
        start("smtp", "--port", "0", "--json") as smtp,
        start("worker") as worker,
    ):
        url = json.loads(await asyncio.wait_for(web.stdout.readline(), 30))["url"]
        told = json.loads(await asyncio.wait_for(smtp.stdout.readline(), 30))
        assert (told["host"], told["tls"]) == ("127.0.0.1", False)
        await asyncio.wait_for(worker.stderr.readuntil(b"worker.started"), 30)
        assert (await posted(url, "wrong"))[0] == 401
        await asyncio.to_thread(mailed, told["port"])
        status, answer = await posted(url, "mill-pond-7")
        assert (status, answer["receipt"]["new"], answer["run"]) == (201, 1, "october")

        async def taken() -> bool:
            async with pool.connection() as connection:
                found = await connection.execute("SELECT subject FROM communication ORDER BY subject")
                return [row["subject"] for row in await found.fetchall()] == ["Your letter", "Your statement"]

        async with asyncio.timeout(30):
            while not await taken():
                await asyncio.wait_for(worker.stderr.readuntil(b"intake.taken"), 30)
    assert (await RunStore(pool).find("october")).key == "october"


def test_the_web_server_needs_one_door(call) -> None:
    answered = call("web", "--port", "0")
    assert answered.code == 2
    assert "intake_http.tokens" in answered.err
