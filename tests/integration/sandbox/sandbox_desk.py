"""A small client for a running sandbox that hides nothing of HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp
import orjson

from millstream.sandbox.gmail.server import Running

SENDER = "statements@bank.example"
COLLEAGUE = "colleague@bank.example"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of one answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Desk:
    """One running sandbox and a session to it; calls act as SENDER unless told otherwise."""

    running: Running
    session: aiohttp.ClientSession

    async def http(self, verb: str, path: str, **options: Any) -> Answer:
        async with self.session.request(verb, f"{self.running.url}{path}", **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def call(self, verb: str, path: str, *, user: str = SENDER, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer sandbox:{user}"} | options.pop("headers", {})
        return await self.http(verb, f"/gmail/v1/users/me/{path}", headers=headers, **options)

    async def upload(self, path: str, raw: bytes, *, user: str = SENDER) -> Answer:
        headers = {"Authorization": f"Bearer sandbox:{user}", "Content-Type": "message/rfc822"}
        address = f"/upload/gmail/v1/users/me/{path}?uploadType=media"
        return await self.http("POST", address, data=BytesIO(raw), headers=headers)

    async def draft(self, raw: bytes, *, user: str = SENDER) -> str:
        answer = await self.upload("drafts", raw, user=user)
        assert answer.status == 200, answer.text
        return answer.json["id"]

    async def send(self, raw: bytes, *, user: str = SENDER) -> Answer:
        return await self.upload("messages/send", raw, user=user)

    async def control(self, verb: str, path: str, document: Any = None) -> Any:
        answer = await self.http(verb, f"/sandbox/v1/{path}", json=document)
        assert answer.status == 200, answer.text
        return answer.json

    async def delivered(self) -> int:
        return (await self.control("GET", "counts"))["delivered_total"]

    async def inbox(self, address: str) -> list[dict[str, Any]]:
        return (await self.control("GET", f"mailboxes/{address}/messages?label=INBOX"))["messages"]


Open = Callable[..., Awaitable[Desk]]
Letter = Callable[..., bytes]
