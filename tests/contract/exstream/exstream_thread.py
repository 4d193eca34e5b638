"""An Exstream sandbox beside a synchronous test, stocked with jobs in every state."""

import asyncio
import threading
from typing import Any, Self

import requests

from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.flows import Failure, FlowModel
from millstream.sandbox.exstream.server import Running, serve

START_SECONDS = 30
FLOWS = (
    FlowModel(),
    FlowModel(name="Held", service="held", hold=True, customers_per_flow=1),
    FlowModel(name="Long", service="long", seconds=100_000, customers_per_flow=1),
    FlowModel(name="Broken", service="broken", fail=Failure(customers=("*",), message="EX009999S Broken")),
)
ACTED_ON = 8


class ExstreamThread:
    """A running sandbox; use it in a `with`."""

    def __init__(self, **settings: Any) -> None:
        self._config = SandboxConfig(**{"flows": FLOWS, "seed": 7} | settings)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="exstream-sandbox")
        self.running: Running | None = None
        self.session = requests.Session()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError(f"the sandbox was not up within {START_SECONDS} s")
        if self._problem is not None:
            self._thread.join()
            raise self._problem
        form = {"grant_type": "client_credentials", "client_id": "millstream", "client_secret": "sandbox-secret"}
        token = self.session.post(self.doors["token_url"], data=form, timeout=30).json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def doors(self) -> dict[str, str]:
        assert self.running is not None
        return self.running.doors

    def url_of(self, service: str) -> str:
        """Where a service is."""
        return self.doors[f"{service}_url"]

    def get(self, path: str) -> Any:
        """The data of a call of the runtime."""
        answer = self.session.get(f"{self.url_of('orchestration')}/api/v1/runtime/bank/{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def start(self, service: str, customers: list[dict[str, Any]]) -> str:
        """Start a job; gives its id."""
        url = f"{self.url_of('orchestration')}/api/v1/inputs/batch/bank/{service}"
        answer = self.session.post(url, json={"customers": customers}, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"][0]["jobId"])

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as problem:  # noqa: BLE001  handed to the thread that waits for the start
            self._problem = problem
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.running = await serve(self._config)
        try:
            self._ready.set()
            await self._stop.wait()
        finally:
            await self.running.close()
