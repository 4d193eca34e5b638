"""An installation for one test: a running sandbox, a session with a token, and customers to compose."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from millstream.sandbox.exstream.server import Running

CLIENT = {"grant_type": "client_credentials", "client_id": "millstream", "client_secret": "sandbox-secret"}
OVER = {"complete", "error", "canceled"}


@dataclass
class Said:
    """What a server answered."""

    status: int
    content: bytes
    headers: Any

    @property
    def document(self) -> Any:
        return orjson.loads(self.content)

    @property
    def data(self) -> Any:
        return self.document["data"]


@dataclass
class Site:
    """A running sandbox as a caller sees it."""

    running: Running
    session: aiohttp.ClientSession
    bearer: str = ""

    @property
    def url(self) -> str:
        return self.running.url

    async def log_in(self, **fields: str) -> None:
        said = await self.send("POST", self.running.doors["token_url"], data=CLIENT | fields)
        self.bearer = said.document["access_token"]

    async def send(self, verb: str, url: str, **given: Any) -> Said:
        async with self.session.request(verb, url, **given) as reply:
            return Said(reply.status, await reply.read(), reply.headers)

    async def call(self, verb: str, path: str, **given: Any) -> Said:
        """A call of the orchestration service, with the token."""
        headers = {"Authorization": f"Bearer {self.bearer}"} | given.pop("headers", {})
        if "document" in given:
            given["data"] = orjson.dumps(given.pop("document"))
            headers.setdefault("Content-Type", "application/json")
        base = "" if path.startswith(("design", "EngineService")) else "orchestration/"
        return await self.send(verb, f"{self.url}/{base}{path}", headers=headers, **given)

    async def runtime(self, path: str, **query: str) -> Said:
        return await self.call("GET", f"api/v1/runtime/bank/{path}", params=query)

    async def act(self, path: str, **query: str) -> Said:
        return await self.call("POST", f"api/v1/runtime/bank/{path}", params=query)

    async def control(self, verb: str, path: str, document: Any = None) -> Any:
        body = None if document is None else orjson.dumps(document)
        said = await self.send(verb, f"{self.url}/sandbox/v1/{path}", data=body)
        assert said.status == 200, said.content
        return said.document

    async def advance(self, seconds: float) -> None:
        """Move the clock on, and get a token again, for it may have expired."""
        await self.control("POST", "clock", {"advance": seconds})
        await self.log_in()

    async def publish(self, **flow: Any) -> None:
        await self.control("POST", "flows", flow)

    async def fault(self, point: str, kind: str, **rule: Any) -> None:
        await self.control("POST", "faults", {"point": point, "kind": kind} | rule)

    async def batch(self, customers: Any, service: str = "statements", content_type: str = "application/json") -> str:
        """Start a job; gives its id."""
        body = customers if isinstance(customers, bytes) else orjson.dumps({"customers": customers})
        headers = {"Content-Type": content_type}
        said = await self.call("POST", f"api/v1/inputs/batch/bank/{service}", data=body, headers=headers)
        assert said.status == 200, said.content
        return str(said.data[0]["jobId"])

    async def job(self, job: str) -> dict[str, Any]:
        return (await self.runtime(f"jobs/{job}")).data

    async def is_over(self, job: str) -> dict[str, Any] | None:
        found = await self.job(job)
        return found if found["status"] in OVER and "endDate" in found else None

    async def steps(self, job: str) -> list[dict[str, Any]]:
        """The steps of a job's flow instances, in order."""
        flows = (await self.runtime("flow-instances", filter=f"jobId:{job}")).data
        found = []
        for flow in flows:
            found += (await self.runtime("flow-steps", filter=f"flowInstanceId:{flow['id']}")).data
        return found


def customer(number: int, **fields: Any) -> dict[str, Any]:
    """A customer with a small statement."""
    name = f"Customer {number}"
    record = {
        "key": f"2026-10/{number}",
        "type": "statement",
        "customer": {"id": f"C-{number}", "name": name},
        "recipient": {"address": f"customer-{number}@mail.example", "name": name},
        "locale": "en-GB",
        "stream": "statements",
        "data": {
            "customer": {"id": f"C-{number}", "name": name, "address": ["1 High Street", "London"]},
            "account": {"number": f"4000 {number}"},
            "statement": {
                "number": f"2026-10/{number}",
                "date": "2026-10-31",
                "from": "2026-10-01",
                "to": "2026-10-31",
            },
            "currency": "GBP",
            "previous_balance_cents": 0,
            "purchases": [{"date": "2026-10-07", "amount_cents": 1250, "description": "Books"}],
            "payments": [],
            "collection_date": "2026-11-15",
        },
    }
    return record | fields
