"""A desk of next steps for one test: a sandbox, a client, the store, and carriers like a worker's."""

import itertools
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from exstream_site import Site, customer

from millstream.exstream import Exstream, ExstreamOptions, OtdsOptions, OtdsTokens
from millstream.nextstep.carry import Carrier, StepOptions
from millstream.nextstep.model import Verb, Wish
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import Tools
from millstream.storage.objects import DocumentStore
from millstream.storage.pool import Pool, transaction

_numbers = itertools.count(1)


def client_of(doors: Mapping[str, str], **options: Any) -> Exstream:
    """A client that has what the sandbox's doors ask for."""
    whole = ExstreamOptions(
        orchestration_url=doors["orchestration_url"],
        design_url=doors["design_url"],
        domain=doors["domain"],
        **{"call_seconds": 5.0, **options},
    )
    otds = OtdsOptions(
        url=doors["token_url"],
        grant="client_credentials",
        body="form",
        client_auth="body",
        client_id=doors["client_id"],
        client_secret=doors["client_secret"],
    )
    return Exstream(whole, OtdsTokens(otds, whole))


@dataclass
class StepDesk:
    """What a test asks of Exstream, and what became of it."""

    pool: Pool
    site: Site
    server: Exstream
    documents: DocumentStore
    folder: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def store(self) -> StepStore:
        return StepStore(self.pool, patience=5.0)

    async def close(self) -> None:
        await self.stack.aclose()
        await self.server.close()
        await self.site.session.close()
        await self.site.running.close()

    async def carrier(self, *, options: Mapping[str, Any] | None = None, **tools: Any) -> Carrier:
        """One process's carrier; unclear calls settle at once."""
        whole = Tools(**{"documents": self.documents, "exstream": self.server, **tools})
        rules = StepOptions(**{"settle": 0.01, "most_tries": 3, **(options or {})})
        return await self.stack.enter_async_context(Carrier(self.store, whole, rules))

    async def ask(self, verb: Verb, target: str, *, content: bytes | None = None, **arguments: Any) -> int:
        """Ask for a step; gives its number."""
        sha256 = None if content is None else (await self.documents.put(content)).sha256
        wish = Wish(
            key=f"test:{next(_numbers)}",
            verb=verb,
            target=target,
            subject="run:october",
            actor="tester",
            arguments=arguments,
            content=sha256,
        )
        number, new = await self.store.ask_now(wish)
        assert new
        return number

    async def carry(self, number: int, carrier: Carrier, *, rounds: int = 12) -> dict[str, Any]:
        """Carry what is due until a step stands still; waiting times are skipped."""
        for _ in range(rounds):
            await self.make_due(number)
            await carrier.carry_due()
            await carrier.drain()
            row = await self.store.find(number)
            if row["due_at"] is None:
                return row
        raise AssertionError(f"step {number} does not come to rest: {row}")

    async def make_due(self, number: int) -> None:
        async with transaction(self.pool) as conn:
            await conn.execute("UPDATE next_step SET due_at = now() WHERE id = %s AND due_at IS NOT NULL", (number,))

    async def attempts(self, number: int) -> list[tuple[str, str, str]]:
        """Kind, outcome and effect of each attempt."""
        return [(row["kind"], row["outcome"], row["effect"]) for row in await self.store.attempts(number)]

    async def events(self) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute("SELECT kind, subject, payload FROM event ORDER BY id")).fetchall()

    async def audited(self, number: int) -> list[str]:
        async with transaction(self.pool) as conn:
            rows = await conn.execute("SELECT kind FROM audit WHERE subject = %s ORDER BY seq", (f"step:{number}",))
            return [row["kind"] for row in await rows.fetchall()]

    async def held(self, eventually: Any, *, count: int = 1) -> tuple[str, dict[str, Any]]:
        """A job that is held; gives its id and the step that holds it."""
        await self.site.publish(hold=True)
        job = await self.site.batch([customer(number) for number in range(1, count + 1)])

        async def holding() -> dict[str, Any] | None:
            steps = await self.site.steps(job)
            return next((each for each in steps if each["status"] == "holding"), None)

        return job, await eventually(holding, within=30)

    async def calls(self, method: str) -> int:
        return (await self.site.control("GET", "state"))["calls"].get(method, 0)


def driver(*numbers: int) -> bytes:
    """Driver data of these customers."""
    return orjson.dumps({"customers": [customer(number) for number in numbers]})
