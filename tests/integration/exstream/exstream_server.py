"""A small Exstream of our own: a real server on a real socket that records what it is asked."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from millstream.exstream import Exstream, ExstreamOptions, OtdsOptions, OtdsTokens, StaticTokens

Answer = web.StreamResponse | Callable[["Asked"], web.StreamResponse | Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    request: web.Request

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")


@dataclass
class FakeExstream:
    """Answers by the path's end with what was put into `at`; a list is used up from its front, its last one stays."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    at: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    usual: Answer = field(default_factory=lambda: lambda _asked: web.json_response({"status": "success", "data": []}))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        query = {name: request.query.getall(name) for name in request.query}
        asked = Asked(request.method, request.raw_path.partition("?")[0], query, dict(request.headers),
                      await request.read(), request)  # fmt: skip
        self.asked.append(asked)
        answer: Any = next((row for end, row in self.at.items() if asked.path.endswith(end)), self.usual)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(asked)
        return await answer if isinstance(answer, Awaitable) else answer

    def calls(self, end: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith(end)]

    def options(self, **changes: Any) -> ExstreamOptions:
        """Options of a client that finds everything here."""
        usual = {
            "orchestration_url": f"{self.url}/orchestration",
            "design_url": f"{self.url}/design/",
            "domain": "statements",
            "connect_seconds": 2.0,
            "call_seconds": 5.0,
            "generate_seconds": 5.0,
            "page_size": 10,
        }
        return ExstreamOptions(**{**usual, **changes})

    def client(self, **changes: Any) -> Exstream:
        return Exstream(self.options(**changes), StaticTokens("t"))

    def otds(self, **changes: Any) -> OtdsTokens:
        usual = {"url": f"{self.url}/oauth2/token", "client_id": "svc", "client_secret": "hush"}
        return OtdsTokens(OtdsOptions(**{**usual, **changes}), self.options())


def says(document: Any = None, status: int = 200, **more: Any) -> Answer:
    """An answer in JSON, or of `body` and `content_type`."""
    if document is None:
        return lambda _asked: web.Response(status=status, **more)
    return lambda _asked: web.json_response(document, status=status, **more)


def page(items: list[Any], total: int, number: int | None = None) -> Answer:
    about = {"pageSize": len(items), "totalElements": total, "currentPageNumber": number}
    return says({"status": "success", "data": items, "page": about})


def data(document: Any) -> Answer:
    return says({"status": "success", "data": document})


def counted_tokens(seconds: float = 900.0) -> Callable[[Asked], web.Response]:
    """A token endpoint that gives token-1, token-2 …"""
    given: list[str] = []

    def answer(_asked: Asked) -> web.Response:
        given.append(f"token-{len(given) + 1}")
        return web.json_response({"access_token": given[-1], "token_type": "bearer", "expires_in": seconds})

    return answer


@contextlib.asynccontextmanager
async def served(fake: FakeExstream) -> AsyncIterator[FakeExstream]:
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()
