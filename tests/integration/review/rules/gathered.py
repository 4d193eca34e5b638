"""Communications that wait for people, and who gathers them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from recorder import Recorder

from millstream.communication.model import Communication, Document, Finding, Mode, Need, Policy, Recipient
from millstream.communication.store import RunStore
from millstream.delivery.holds import Holds
from millstream.review.gathering import Gathering, GatheringOptions
from millstream.review.policy import PolicyBook, PolicyFile
from millstream.storage.pool import Pool, transaction

LEGAL, RISK, BATCH, TROUBLE = "legal", "risk", "batch", "trouble"
_STAGE: dict[str, Any] = {"stages": [{"ask": ["anna@bank.example"]}], "time": {"deadline": "8h"}}
BOOK: dict[str, dict[str, Any]] = {
    LEGAL: {"concerns": "communication", **_STAGE},
    RISK: {"concerns": "case", "gate": "compliance", **_STAGE},
    BATCH: {"concerns": "run", **_STAGE},
    TROUBLE: {
        "concerns": "case",
        "gate": "compliance",
        "events": ["exstream.*", "intake.rejected", "delivery.bounced"],
        "types": ["statement*", ""],
        **_STAGE,
    },
}
FINDING = Finding("withdrawal clause", "letters-de", "document 'letter.pdf'", "the clause is missing")


def book(**policies: dict[str, Any]) -> PolicyBook:
    file = PolicyFile.model_validate({"policy": policies or BOOK})
    named = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook({}, {}, {}, (), named)


def need(policy: str, *, found: bool = False, papers: tuple[Document, ...] = ()) -> Need:
    return Need(policy, "compliance" if policy == RISK else "approval", (FINDING,) if found else (), papers)


def letter(number: int | str, *needs: Need, **changes: Any) -> Communication:
    given: dict[str, Any] = {
        "key": f"letters/{number}",
        "type": "regulatory_letter",
        "customer": "C-1",
        "recipient": Recipient("customer-1@mail.example", "Customer 1"),
        "subject": "Your terms change",
        "text": f"Your terms change on 1 January. ({number})",
        "html": None,
        "locale": "en-GB",
        "stream": "letters",
        "source_hash": "0" * 64,
        "documents": (Document("letter.pdf", "application/pdf", 4, "1" * 64),),
        "needs": needs,
    }
    return Communication(**given | changes)


@dataclass
class Room:
    """Held communications without a worker."""

    pool: Pool
    desk: Recorder = field(default_factory=Recorder)

    @property
    def runs(self) -> RunStore:
        return RunStore(self.pool)

    @property
    def holds(self) -> Holds:
        return Holds(self.pool)

    def gathering(self, *, settle: float = 0.0, desk: Any = None, policies: PolicyBook | None = None) -> Gathering:
        return Gathering(
            self.pool,
            desk or self.desk,
            policies or book(),
            holds=self.holds,
            options=GatheringOptions(settle=settle),
        )

    async def add(self, *letters: Communication, run: str = "letters") -> None:
        opened = await self.runs.open_run(run, pool="default", mode=Mode.DRAFT, policy=Policy(), source="letters.jsonl")
        await self.runs.add(opened, letters)

    async def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute(sql, values)).fetchall()

    async def do(self, sql: str, *values: Any) -> None:
        async with transaction(self.pool) as conn:
            await conn.execute(sql, values)

    async def order(self, review: int, action: str = "release", round_: int = 1) -> None:
        """As a decision leaves it behind."""
        state = "approved" if action == "release" else "rejected"
        await self.do("UPDATE review SET state = %s, decided_at = now() WHERE id = %s", state, review)
        await self.do(
            "INSERT INTO hold_order (review_id, round, action, detail, actor) VALUES (%s, %s, %s, 'no', 'anna')",
            review,
            round_,
            action,
        )
        await self.holds.carry_due()

    async def reviews(self) -> list[tuple[int, str, str, str, int]]:
        rows = await self.all("SELECT id, policy, kind, state, round FROM review ORDER BY id")
        return [(row["id"], row["policy"], row["kind"], row["state"], row["round"]) for row in rows]

    async def holds_by(self) -> dict[str, tuple[int | None, str]]:
        """Key and policy to the review and state of the hold."""
        rows = await self.all(
            "SELECT c.key, h.policy, h.review_id, h.state FROM hold h JOIN communication c ON c.id = h.communication_id"
        )
        return {f"{row['key']} {row['policy']}": (row["review_id"], row["state"]) for row in rows}

    async def deliveries(self) -> Counter[tuple[str, str | None]]:
        return Counter((row["disposition"], row["reason"]) for row in await self.all("SELECT * FROM delivery"))

    async def content(self, review: int) -> dict[str, Any]:
        [row] = await self.all(
            "SELECT content FROM review_round WHERE review_id = %s ORDER BY number DESC LIMIT 1", review
        )
        return dict(row["content"])
