"""A sandbox beside a synchronous test: its own thread, its own event loop, real sockets."""

import asyncio
import json
import threading
from typing import Any, Self
from urllib.parse import quote

import httplib2

from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve

START_SECONDS = 30


class SandboxThread:
    """A running Gmail sandbox; `url`, `smtp_port` and `pubsub_port` are its doors. Use it in a `with`."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gmail-sandbox")
        self.url = ""
        self.smtp_port = 0
        self.pubsub_port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError(f"the sandbox was not up within {START_SECONDS} s")
        if self._problem is not None:
            self._thread.join()
            raise self._problem
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as problem:  # noqa: BLE001  handed to the thread that waits for the start
            self._problem = problem
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        running = await serve(self._config)
        try:
            self.url, self.smtp_port = running.url.rstrip("/"), running.smtp_port or 0
            self.pubsub_port = running.pubsub_port or 0
            self._ready.set()
            await self._stop.wait()
        finally:
            await running.close()


class Control:
    """The sandbox's control API, as far as the contract needs it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httplib2.Http()

    def close(self) -> None:
        self._http.close()

    def mailbox(self, address: str, **condition: Any) -> dict[str, Any]:
        """Open a mailbox, or change its condition."""
        return self.call("POST", "mailbox", {"address": address} | condition)

    def messages(self, address: str) -> list[dict[str, Any]]:
        """The messages of a mailbox with their decoded headers."""
        return self.call("GET", f"mailboxes/{quote(address)}/messages")["messages"]

    def advance(self, *, seconds: float) -> None:
        """Move the sandbox's clock on."""
        self.call("POST", "clock", {"advance": seconds})

    def faults(self, *rules: dict[str, Any]) -> None:
        """Switch fault rules on."""
        self.call("POST", "faults", {"rules": list(rules)})

    def call(self, method: str, path: str, document: Any = None) -> Any:
        """One call of `/sandbox/v1/`; AssertionError if it is refused."""
        body = None if document is None else json.dumps(document)
        headers = {"Content-Type": "application/json"} if body else {}
        response, content = self._http.request(f"{self._url}/sandbox/v1/{path}", method, body=body, headers=headers)
        assert response.status < 300, f"{method} {path}: {response.status} {content[:300]!r}"
        return json.loads(content) if content else None
