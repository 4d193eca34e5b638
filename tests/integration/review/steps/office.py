"""An office for one test: people who decide, a desk, steps that are carried, and the watch on Exstream."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exstream_site import Site, customer
from step_desk import client_of

from millstream.app.review import ask
from millstream.app.watching import read
from millstream.communication.model import Communication, Document, Mode, Need, Recipient
from millstream.communication.model import Policy as RunPolicy
from millstream.communication.store import RunStore
from millstream.delivery.holds import Holds
from millstream.drill import Drill
from millstream.exstream import Exstream
from millstream.nextstep.carry import Carrier, StepOptions
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import Tools
from millstream.review.desk import ReviewDesk
from millstream.review.gathering import Gathering, GatheringOptions
from millstream.review.model import Answered, Content, Happening, How, Review, Subject, SubjectKind, Verdict
from millstream.review.options import Point
from millstream.review.people import People
from millstream.review.policy import PolicyBook, PolicyFile
from millstream.review.ports import Applied
from millstream.review.steps import Steps
from millstream.review.watch import Watch
from millstream.review.watched import Levels, Watched
from millstream.storage.objects import DocumentStore, open_store
from millstream.storage.pool import Pool, transaction
from millstream.work.events import Events

ANNA, BEN, LEGAL = "anna@bank.example", "ben@bank.example", "legal@bank.example"
USUAL: dict[str, Any] = {
    "releases": {"concerns": "resource"},
    "letters": {"concerns": "flow_step"},
}


def book(policies: dict[str, Any] | None = None) -> PolicyBook:
    """Policies by which Anna or Ben decides, with what a test adds."""
    usual = {
        "stages": [{"ask": ["anna", "ben"]}],
        "time": {"deadline": "8h"},
        "people": {"may_overrule": ["legal"]},
    }
    file = PolicyFile.model_validate(
        {
            "people": {
                "anna": {"address": ANNA, "name": "Anna Ample", "exstream": ["aample"]},
                "ben": {"address": BEN, "exstream": ["ben@exstream.role", "brand"]},
                "legal": {"address": LEGAL, "exstream": ["legal"]},
            },
            "policy": {name: {**usual, **each} for name, each in (policies or USUAL).items()},
        }
    )
    named = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(file.people, file.groups, file.calendars, file.delegations, named)


@dataclass
class Office:
    """What a test decides, and what becomes of it."""

    pool: Pool
    site: Site
    server: Exstream
    documents: DocumentStore
    desk: ReviewDesk
    steps: Steps
    watch: Watch
    levels: Levels
    folder: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    carrier: Carrier | None = None
    duty: bool = True
    passed: float = 0.0
    """Seconds of the watch's clock."""

    async def close(self) -> None:
        await self.stack.aclose()
        await self.server.close()
        await self.site.session.close()
        await self.site.running.close()

    # What is asked and answered

    async def open(self, subject: Subject, content: Content, policy: str = "releases", **more: Any) -> int:
        async with transaction(self.pool) as conn:
            number = await self.desk.open(conn, policy, subject, content, **more)
        assert number is not None
        return number

    async def about(self, name: str, policy: str = "releases") -> int:
        """A question about a resource of the sandbox, as somebody asks it by hand."""
        resource = await self.resource(name)
        subject = Subject(SubjectKind.RESOURCE, resource["id"], "bank", name, {"type": resource["type"]})
        return await self.open(subject, Content("a" * 64, facts={"type": resource["type"], "customer": "C-1"}), policy)

    async def about_letter(self) -> int:
        """A question about a held communication, as it is gathered."""
        letter = Communication(
            key="letters/1",
            type="regulatory_letter",
            customer="C-1",
            recipient=Recipient("customer-1@mail.example", "Customer 1"),
            subject="Your terms change",
            text="Your terms change on 1 January.",
            html=None,
            locale="en-GB",
            stream="letters",
            source_hash="0" * 64,
            documents=(Document("letter.pdf", "application/pdf", 4, "1" * 64),),
            needs=(Need("mails", "approval"),),
        )
        runs = RunStore(self.pool)
        opened = await runs.open_run("letters", pool="default", mode=Mode.DRAFT, policy=RunPolicy(), source="test")
        await runs.add(opened, [letter])
        gathering = Gathering(
            self.pool, self.desk, self.desk.book, holds=Holds(self.pool), options=GatheringOptions(settle=0.0)
        )
        await gathering.sweep()
        [row] = await self.rows("SELECT id FROM review")
        return int(row["id"])

    async def apply(self, number: int, happening: Happening) -> Applied:
        async with transaction(self.pool) as conn:
            return await self.desk.apply(conn, number, happening)

    async def answer(self, number: int, verdict: Verdict, text: str = "as said", by: str = ANNA) -> Applied:
        """One person answers by mail, having seen what there is."""
        return await self.apply(number, answer_to(await self.review(number), verdict, text, by))

    async def review(self, number: int) -> Review:
        async with transaction(self.pool) as conn:
            return await self.desk.find(conn, number)

    async def step_state(self, number: int) -> str:
        [row] = await self.rows("SELECT step_state FROM review WHERE id = %s", number)
        return row["step_state"]

    # What becomes of it

    async def carry(self, rounds: int = 12) -> None:
        """Carry every step until it stands still, waiting times skipped, and answer what comes of it."""
        if self.carrier is None:
            tools = Tools(documents=self.documents, exstream=self.server)
            options = StepOptions(settle=0.01, most_tries=3)
            store = StepStore(self.pool, patience=5.0)
            self.carrier = await self.stack.enter_async_context(Carrier(store, tools, options))
        for _ in range(rounds):
            await self.rows("UPDATE next_step SET due_at = now() WHERE due_at IS NOT NULL RETURNING id")
            await self.carrier.carry_due()
            await self.carrier.drain()
            if not await self.rows("SELECT id FROM next_step WHERE due_at IS NOT NULL"):
                break
        await Holds(self.pool).carry_due()
        await self.events()

    async def events(self) -> None:
        """Answer the events that are due; none of them fails."""
        listeners = {kind: [each] for kind, each in self.steps.listeners().items()}
        await Events(self.pool, listeners).answer_due()
        assert not await self.rows("SELECT kind, failure FROM event WHERE failure IS NOT NULL")

    async def retry(self, number: int) -> None:
        """As `millstream step retry` does."""
        await StepStore(self.pool, patience=5.0).retry(number, why="freed", actor="operator")

    async def look(self) -> None:
        await self.watch.look()

    # What there is

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute(sql, values)).fetchall()

    async def reviews(self) -> list[dict[str, Any]]:
        return await self.rows(
            "SELECT id, policy, kind, ref, name, state, round, author, facts FROM review ORDER BY id"
        )

    async def wishes(self) -> list[tuple[str, str, str]]:
        """Verb, target and state of every step, in order."""
        found = await self.rows("SELECT verb, target, state FROM next_step ORDER BY id")
        return [(row["verb"], row["target"], row["state"]) for row in found]

    async def told(self, number: int) -> list[tuple[str, dict[str, Any]]]:
        """Who was told what in their thread of a review, without decisions."""
        found = await self.rows(
            "SELECT address, facts FROM review_mail WHERE kind = 'tell' AND thread LIKE %s ORDER BY id",
            f"review:{number}:%",
        )
        return [(row["address"], row["facts"]) for row in found if row["facts"]["what"] != "decided"]

    async def raised(self, kind: str) -> list[dict[str, Any]]:
        return [row["payload"] for row in await self.rows("SELECT payload FROM event WHERE kind = %s", kind)]

    async def audited(self, number: int) -> list[str]:
        found = await self.rows("SELECT kind FROM audit WHERE subject = %s ORDER BY seq", f"review:{number}")
        return [row["kind"] for row in found]

    # Exstream

    async def resource(self, name: str) -> dict[str, Any]:
        """A resource of the sandbox, as it is there."""
        found = (await self.site.control("GET", "resources"))["resources"]
        return next(each for each in found if each["name"] == name)

    async def edit(self, name: str, **changes: Any) -> dict[str, Any]:
        """Change a resource as somebody does in Exstream."""
        return await self.site.control("POST", f"resources/{(await self.resource(name))['id']}", changes)

    async def add(self, name: str, **given: Any) -> dict[str, Any]:
        return await self.site.control("POST", "resources", {"name": name, "type": "exstrdocument", **given})

    async def calls(self, method: str) -> int:
        return (await self.site.control("GET", "state"))["calls"].get(method, 0)

    async def held(self, eventually: Any, *numbers: int, **flow: Any) -> dict[str, Any]:
        """The step that holds a new job of these customers."""
        await self.site.publish(hold=True, **flow)
        job = await self.site.batch([customer(number) for number in numbers or (1,)])
        return await self.holding(job, eventually)

    async def holding(self, job: str, eventually: Any) -> dict[str, Any]:
        async def find() -> dict[str, Any] | None:
            steps = await self.site.steps(job)
            return next(({**each, "jobId": job} for each in steps if each["status"] == "holding"), None)

        found: dict[str, Any] = await eventually(find, within=30)
        return found


def answer_to(review: Review, verdict: Verdict, text: str = "as said", by: str = ANNA) -> Answered:
    """What somebody says by mail about a review as it stands."""
    # The same person's answer to the same round is the same message.
    sighting = str(100 * review.round + [ANNA, BEN, LEGAL].index(by))
    evidence = {"message_id": "18f0c0ffee", "mailbox": "review@bank.example", "sighting": sighting}
    return Answered(by, verdict, text, How.MAIL, review.round, review.content.hash, evidence)


def desk_of(policies: dict[str, Any] | None, drill: str | None = None) -> tuple[ReviewDesk, Steps, Levels]:
    """A desk with its steps, as `app.reviewing` makes it."""
    levels, steps, made = Levels(), Steps(ask), book(policies)
    people = People(made, approvers=levels)
    desk = ReviewDesk(made, people, finish=steps.finish, begun=steps.begun, drill=Drill(drill, Point))
    steps.attach(desk)
    return desk, steps, levels


async def open_office(pool: Pool, site: Site, folder: Path, *, policies: dict[str, Any] | None = None) -> Office:
    """Put an office together."""
    server, documents = client_of(site.running.doors), open_store(str(folder / "documents"))
    desk, steps, levels = desk_of(policies)

    async def hold() -> bool:
        return office.duty

    watched = Watched(server, documents, read)
    watch = Watch(
        pool, desk, steps, server=server, watched=watched, levels=levels, hold=hold, clock=lambda: office.passed
    )
    office = Office(pool, site, server, documents, desk, steps, watch, levels, folder)
    return office
