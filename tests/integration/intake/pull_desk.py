"""The door that fetches, beside a sandbox: a look, a fetch, a taker, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exstream_site import Site, customer

from millstream.communication.store import RunStore
from millstream.exstream import Exstream, ExstreamOptions, OtdsOptions, OtdsTokens
from millstream.intake.consignment import Kind
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.folder.manifest import ManifestSource, read_manifest, read_reports
from millstream.intake.handed import HandingOptions
from millstream.intake.options import TakingOptions
from millstream.intake.pull.handing import Hands
from millstream.intake.pull.jobs import JobStore
from millstream.intake.pull.options import PullOptions
from millstream.intake.pull.pull import Pull
from millstream.intake.reception import Reception
from millstream.intake.sources import Sources
from millstream.intake.spool import Spool
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools
from millstream.intake.trouble import TroubleOptions, Troubles
from millstream.storage.duty import Duty
from millstream.storage.objects import open_store
from millstream.storage.pool import Pool, transaction


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


def pull_of(pool: Pool, server: Exstream, folder: Path, **options: Any) -> Pull:
    """The door as a worker has it, on a folder of its own."""
    documents = open_store(str(folder / "documents"))
    reception = Reception(ConsignmentStore(pool, patience=5.0), documents)
    hands = Hands(spool=Spool(folder / "spool"), receiving=reception, pool="p")
    duty = Duty(pool, "pull", lease=1.0)
    jobs = JobStore(pool, server.options.domain, patience=5.0)
    return Pull(server.runtime(), jobs, hands, read_manifest, duty.hold, PullOptions(**options))


@dataclass
class PullDesk:
    """What a test does with jobs, and what came in."""

    pool: Pool
    site: Site
    folder: Path
    eventually: Any
    servers: list[Exstream] = field(default_factory=list)

    @property
    def server(self) -> Exstream:
        if not self.servers:
            self.servers.append(client_of(self.site.running.doors))
        return self.servers[0]

    @property
    def consignments(self) -> ConsignmentStore:
        return ConsignmentStore(self.pool, patience=5.0)

    async def close(self) -> None:
        for server in self.servers:
            await server.close()
        await self.site.session.close()
        await self.site.running.close()

    def pull(self, **options: Any) -> Pull:
        return pull_of(self.pool, self.server, self.folder, **options)

    def troubles(self, **options: Any) -> Troubles:
        jobs = JobStore(self.pool, "bank", patience=5.0)
        duty = Duty(self.pool, "troubles", lease=1.0)
        reports = lambda path: [(each.name, each.path) for each in read_reports(path)]  # noqa: E731  one expression
        return Troubles(self.server.runtime(), jobs, reports, duty.hold, TroubleOptions(**options))

    async def finished(self, *numbers: int, status: str = "complete", **flow: Any) -> str:
        """A job of these customers that has ended; gives its id."""
        if flow:
            await self.site.publish(**flow)
        job = await self.site.batch([customer(number) for number in numbers])
        over = await self.eventually(lambda: self.site.is_over(job), within=30)
        assert over["status"] == status, over
        return job

    async def take(self) -> list[dict[str, Any]]:
        """Have everything that came in taken; gives the communications with their deliveries."""
        handing = HandingOptions(settle=0.0)

        def manifest(consignments, _fetch, /, *, patient):
            return ManifestSource(Path(consignments[0].path), handing, False, None, consignments[0].id)  # noqa: FBT003  patient

        documents = open_store(str(self.folder / "documents"))
        tools = Tools(
            RunStore(self.pool),
            Services(RunStore(self.pool), documents),
            documents,
            Sources({Kind.MANIFEST: manifest}),
            IntakeOptions(most_bytes=10_000_000, patience_seconds=5),
            TakingOptions(missing=0.0, first_gap=0.02),
        )
        taker = Taker(self.consignments, tools)
        try:

            async def taken() -> bool:
                await taker.take_due()
                return await self.consignments.waiting() == 0

            await self.eventually(taken, within=20)
        finally:
            await taker.close()
        return await self.rows(
            "SELECT c.*, r.key AS run, d.disposition, d.reason, d.address FROM communication c "
            "JOIN run r ON r.id = c.run_id JOIN delivery d ON d.communication_id = c.id ORDER BY c.id"
        )

    async def rows(self, question: str) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute(question)).fetchall()

    async def jobs(self) -> dict[str, str]:
        """What was done about each unit."""
        return {row["id"]: row["outcome"] for row in await self.rows("SELECT id, outcome FROM exstream_job")}

    async def events(self, kind: str = "") -> list[dict[str, Any]]:
        found = await self.rows("SELECT kind, subject, payload FROM event ORDER BY id")
        return [each for each in found if not kind or each["kind"] == kind]
