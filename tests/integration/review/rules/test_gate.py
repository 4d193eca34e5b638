"""The gate at intake: what needs people is held from its first moment, what needs nobody leaves as before."""

import asyncio
import json
import pickle
from collections import Counter
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pybase64
import pytest
from gathered import Room, book, letter

from millstream.audit.chain import verify
from millstream.communication.model import Mode, Policy
from millstream.communication.store import RunStore
from millstream.composer.apart import PdfReader
from millstream.composer.pages import page_texts
from millstream.intake.driver import Driver
from millstream.intake.files import HandedIn
from millstream.intake.path import Made
from millstream.intake.ports import Arrival
from millstream.intake.record import read_record
from millstream.intake.submit import IntakeOptions, Receipt, Services, submit
from millstream.review.gate import Gate
from millstream.review.policy import PolicyBook
from millstream.review.rules.pack import Packs, load_packs
from millstream.storage.objects import DocumentStore, open_store
from millstream.storage.pool import Pool

STAGE: dict[str, Any] = {"stages": [{"ask": ["anna@bank.example"]}], "time": {"deadline": "8h"}}
COMPLIANCE = {"concerns": "case", "gate": "compliance", **STAGE}
PACK = """
[pack]
name = "letters"
policy = "compliance"
types = ["regulatory_letter"]

[[rule]]
name = "withdrawal clause"
kind = "clause"
where = "documents"
text = ["You may withdraw within 14 days"]

[[rule]]
name = "tone"
kind = "forbidden"
words = ["cheap"]
severity = "warning"
"""
CLAUSE = "You may withdraw within 14 days."


def pdf(text: str) -> bytes:
    made = pikepdf.new()
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, 2000, 100],
        Contents=made.make_stream(f"BT /F 12 Tf 20 50 Td ({text}) Tj ET".encode()),
        Resources=pikepdf.Dictionary(Font=pikepdf.Dictionary(F=made.make_indirect(font))),
    )
    made.pages.append(pikepdf.Page(page))
    written = BytesIO()
    made.save(written)
    return written.getvalue()


def record(number: int = 1, text: str = CLAUSE, **changes: Any) -> dict[str, Any]:
    return {
        "key": f"letters/{number}",
        "type": "regulatory_letter",
        "customer": {"id": f"C-{number}"},
        "recipient": {"address": f"customer-{number}@mail.example"},
        "subject": "Your terms change",
        "text": "Please see the letter.",
        "documents": [{"name": "letter.pdf", "content": pybase64.b64encode(pdf(text)).decode()}],
        **changes,
    }


@pytest.fixture(scope="module")
def texts() -> Iterator[PdfReader]:
    reader = PdfReader(patience=20.0)
    yield reader
    reader.close()


class Door:
    """Brings drivers in, through a gate."""

    def __init__(self, pool: Pool, folder: Path, texts: Any) -> None:
        self.pool, self.folder, self.texts = pool, folder, texts
        self.store: DocumentStore = open_store(str(folder / "documents"))
        self.runs = RunStore(pool)
        self._packs = folder / "rules.toml"
        self._packs.write_text(PACK, encoding="utf-8")

    def gate(self, policies: PolicyBook, *, rules: bool = True, **given: Any) -> Gate:
        packs = load_packs([self._packs], policies.policies) if rules else Packs()
        return Gate(policies, packs, self.texts, **given)

    async def submit(self, gate: Gate | None, *records: dict[str, Any], apart: bool = False, **policy: Any) -> Receipt:
        driver = self.folder / "letters.jsonl"
        driver.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
        run = await self.runs.open_run("letters", pool="default", mode=Mode.DRAFT, policy=Policy(**policy), source="")
        services = Services(self.runs, self.store, gate=gate)
        options = IntakeOptions(most_bytes=10_000_000, apart=str(self.folder / "documents") if apart else None)
        return await submit(Driver(driver), run, services, options=options)


@pytest.fixture
def door(pool: Pool, tmp_path: Path, texts: PdfReader) -> Door:
    return Door(pool, tmp_path, texts.texts)


async def _holds(room: Room) -> list[dict[str, Any]]:
    return await room.all(
        "SELECT c.key, h.policy, h.gate, h.findings, h.papers FROM hold h"
        " JOIN communication c ON c.id = h.communication_id ORDER BY h.id"
    )


async def test_a_letter_that_breaks_a_rule_is_held_with_what_was_found(door: Door, room: Room) -> None:
    gate = door.gate(book(compliance=COMPLIANCE))
    receipt = await door.submit(gate, record(1), record(2, "You may not."), record(3, type="statement", text_="x"))
    assert (receipt.new, receipt.held, receipt.rejected) == (2, 1, 1)
    [hold] = await _holds(room)
    assert (hold["key"], hold["policy"], hold["gate"]) == ("letters/2", "compliance", "compliance")
    [finding] = hold["findings"]
    assert (finding["rule"], finding["place"]) == ("withdrawal clause", "document 'letter.pdf'")
    assert await room.deliveries() == {("queued", None): 1, ("held", "review"): 1}


async def test_other_types_pass_unread(door: Door, room: Room) -> None:
    door.texts = lambda *_: pytest.fail("it was read")
    receipt = await door.submit(door.gate(book(compliance=COMPLIANCE)), record(1, "You may not.", type="statement"))
    assert (receipt.new, receipt.held) == (1, 0)
    assert await _holds(room) == []


async def test_warnings_hold_nothing_and_are_shown_where_something_else_does(door: Door, room: Room) -> None:
    gate = door.gate(book(compliance=COMPLIANCE))
    await door.submit(gate, record(1, f"{CLAUSE} It is cheap."), record(2, "It is cheap."))
    [hold] = await _holds(room)
    assert hold["key"] == "letters/2"
    assert [(each["rule"], each["severity"]) for each in hold["findings"]] == [
        ("withdrawal clause", "error"),
        ("tone", "warning"),
    ]


async def test_policies_without_rules_ask_about_what_they_sample(door: Door, room: Room) -> None:
    business = {"concerns": "communication", "types": ["offer"], **STAGE}
    business["sampling"] = {"every": 4, "when": [{"field": "data.amount_cents", "above": 100_000}]}
    gate = door.gate(book(business=business), rules=False)
    offers = [record(n, type="offer", data={"amount_cents": 1000}) for n in range(100)]
    receipt = await door.submit(gate, *offers, record(200, type="offer", data={"amount_cents": 200_000}), record(300))
    keys = [hold["key"] for hold in await _holds(room)]
    assert "letters/200" in keys
    assert "letters/300" not in keys
    assert 10 <= len(keys) <= 45
    assert receipt.held == len(keys)
    again = await door.submit(gate, *offers)
    assert (again.unchanged, again.held) == (100, 0)


async def test_a_run_is_held_whole_and_its_samples_are_marked(door: Door, room: Room) -> None:
    whole = {"concerns": "run", "runs": ["letters"], "sampling": {"every": 5}, **STAGE}
    gate = door.gate(book(batch=whole), rules=False)
    await door.submit(gate, *(record(number) for number in range(40)))
    holds = await _holds(room)
    assert len(holds) == 40
    marked = Counter(bool(hold["papers"]) for hold in holds)
    assert 1 <= marked[True] <= 20
    assert await room.gathering(policies=book(batch=whole)).sweep() == 1
    shown = {paper["sha256"] for paper in (await room.content(1))["papers"]}
    assert shown == {hold["papers"][0]["sha256"] for hold in holds if hold["papers"]}


async def test_a_letter_of_two_gates_has_both_needs(door: Door, room: Room) -> None:
    business = {"concerns": "communication", "types": ["regulatory_*"], **STAGE}
    gate = door.gate(book(compliance=COMPLIANCE, business=business))
    await door.submit(gate, record(1), record(2, "You may not."))
    assert [(hold["key"], hold["policy"]) for hold in await _holds(room)] == [
        ("letters/1", "business"),
        ("letters/2", "compliance"),
        ("letters/2", "business"),
    ]


async def test_a_document_under_a_password_is_read_with_it_and_shown_without(door: Door, room: Room) -> None:
    gate = door.gate(book(compliance=COMPLIANCE))
    secret = {"password": "{customer.id}-secret"}
    await door.submit(gate, record(1), record(2, "You may not withdraw."), **secret)
    [hold] = await _holds(room)
    assert hold["key"] == "letters/2"
    [paper] = hold["papers"]
    copy = await door.store.get(paper["sha256"])
    assert "You may not withdraw." in page_texts(copy)[0]
    assert len(copy) == paper["size"]
    rows = await room.all("SELECT documents FROM communication ORDER BY id")
    protected = await door.store.get(rows[1]["documents"][0]["sha256"])
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(BytesIO(protected))
    assert "withdraw" in page_texts(protected, "C-2-secret")[0]


async def test_a_document_that_nobody_can_read_is_held_and_says_so(door: Door, room: Room) -> None:
    locked = BytesIO()
    with pikepdf.open(BytesIO(pdf(CLAUSE))) as made:
        made.save(locked, encryption=pikepdf.Encryption(user="unknown", owner="unknown"))
    content = pybase64.b64encode(locked.getvalue()).decode()
    documents = [{"name": "letter.pdf", "content": content}]
    scan = [{"name": "scan.pdf", "content": pybase64.b64encode(pdf("")).decode()}]
    photo = [{"name": "photo.png", "media_type": "image/png", "content": "iVBORw=="}]
    gate = door.gate(book(compliance=COMPLIANCE))
    await door.submit(gate, record(1, documents=documents), record(2, documents=scan), record(3, documents=photo))
    told = {hold["key"]: hold["findings"][0]["text"] for hold in await _holds(room)}
    assert "needs a password" in told["letters/1"]
    assert "picture" in told["letters/2"]
    assert "image/png" in told["letters/3"]


SELDOM = {"concerns": "communication", "types": ["regulatory_*"], "sampling": {"every": 1_000_000}, **STAGE}


async def test_what_takes_the_place_of_a_letter_is_asked_of_those_who_held_that(door: Door, room: Room) -> None:
    policies = book(compliance=COMPLIANCE, business=SELDOM)
    gate, gathering = door.gate(policies), room.gathering(policies=policies)
    await door.submit(gate, record(1, "You may not."))
    await gathering.sweep()
    await door.submit(gate, record(2, CLAUSE, replaces="letters/1", customer={"id": "C-1"}))
    assert (await room.deliveries())["held", "review"] == 2
    await gathering.sweep()
    assert await room.holds_by() == {
        "letters/1 compliance": (1, "replaced"),
        "letters/2 compliance": (1, "waiting"),
    }
    assert (await room.content(1))["facts"]["replaces"] == "letters/1"


async def test_what_takes_the_place_of_a_letter_that_nobody_held_leaves(door: Door, room: Room, pool: Pool) -> None:
    policies = book(compliance=COMPLIANCE, business=SELDOM)
    gate, gathering = door.gate(policies), room.gathering(policies=policies)
    await door.submit(gate, record(1, CLAUSE))
    await door.submit(gate, record(2, CLAUSE, replaces="letters/1", customer={"id": "C-1"}))
    assert await room.deliveries() == {("queued", None): 1, ("held", "review"): 1}
    assert await gathering.sweep() == 0
    assert await room.deliveries() == {("queued", None): 2}
    assert await room.holds_by() == {}
    assert await room.reviews() == []
    assert (await verify(pool)).intact


async def test_what_rules_find_in_a_correction_is_seen_whoever_held_the_one_before(door: Door, room: Room) -> None:
    policies = book(compliance=COMPLIANCE, business=SELDOM)
    gate, gathering = door.gate(policies), room.gathering(policies=policies)
    await door.submit(gate, record(1, CLAUSE))
    await door.submit(gate, record(2, "You may not.", replaces="letters/1", customer={"id": "C-1"}))
    await gathering.sweep()
    assert await room.holds_by() == {"letters/2 compliance": (1, "waiting")}
    assert (await room.content(1))["facts"]["replaces"] == "letters/1"


async def test_another_type_does_not_lead_past_those_who_held_the_letter(door: Door, room: Room) -> None:
    policies = book(compliance=COMPLIANCE)
    gate, gathering = door.gate(policies), room.gathering(policies=policies)
    await door.submit(gate, record(1, "You may not."))
    await gathering.sweep()
    await door.submit(gate, record(2, "You may not.", type="note", replaces="letters/1", customer={"id": "C-1"}))
    await gathering.sweep()
    assert (await room.holds_by())["letters/2 compliance"] == (1, "waiting")
    assert (await room.deliveries())["held", "review"] == 1


async def test_a_chain_of_corrections_stays_with_those_who_held_the_first(door: Door, room: Room) -> None:
    policies = book(compliance=COMPLIANCE, business=SELDOM)
    gate, gathering = door.gate(policies), room.gathering(policies=policies)
    same = {"id": "C-1"}
    await door.submit(gate, record(1, "You may not."))
    await door.submit(
        gate,
        record(2, CLAUSE, replaces="letters/1", customer=same),
        record(3, CLAUSE, replaces="letters/2", customer=same),
    )
    for _ in range(3):
        await gathering.sweep()
    held = {key: state for key, (_, state) in (await room.holds_by()).items()}
    assert held["letters/3 compliance"] == "waiting"
    assert {key.split()[1] for key in held} == {"compliance"}


async def test_where_the_policy_that_held_a_letter_is_gone_every_policy_sees_its_correction(
    door: Door, room: Room
) -> None:
    before = book(compliance=COMPLIANCE)
    await door.submit(door.gate(before), record(1, "You may not."))
    await room.gathering(policies=before).sweep()
    after = book(compliance_2026=COMPLIANCE)
    gate = door.gate(after, rules=False)
    await door.submit(gate, record(2, CLAUSE, replaces="letters/1", customer={"id": "C-1"}))
    await room.gathering(policies=after).sweep()
    assert (await room.holds_by())["letters/2 compliance_2026"][1] == "waiting"


async def test_a_gate_that_fails_holds_what_it_could_not_look_at(door: Door, room: Room) -> None:
    def broken() -> date:
        raise OSError("no clock")

    gate = door.gate(book(compliance=COMPLIANCE), today=broken)
    receipt = await door.submit(gate, record(1))
    assert (receipt.new, receipt.held) == (1, 1)
    [hold] = await _holds(room)
    assert "could not be checked" in hold["findings"][0]["text"]
    assert "no clock" in hold["findings"][0]["text"]


async def test_a_reader_that_fails_holds_the_letter(door: Door, room: Room) -> None:
    def broken(*_: Any) -> list[str]:
        raise MemoryError("no memory")

    door.texts = broken
    await door.submit(door.gate(book(compliance=COMPLIANCE)), record(1))
    assert "no memory" in (await _holds(room))[0]["findings"][0]["text"]


async def test_a_letter_that_is_held_for_another_fault_asks_nobody(door: Door, room: Room) -> None:
    gate = door.gate(book(compliance=COMPLIANCE))
    receipt = await door.submit(gate, record(1, "You may not.", recipient={"address": "nobody"}))
    assert receipt.held == 1
    assert await room.deliveries() == {("held", "bad_recipient"): 1}
    assert await _holds(room) == []


async def test_what_is_made_in_a_process_of_its_own_is_looked_at_there(door: Door, room: Room) -> None:
    gate = door.gate(book(compliance=COMPLIANCE))
    secret = {"password": "{customer.id}-secret"}
    receipt = await door.submit(gate, record(1), record(2, "You may not withdraw."), apart=True, **secret)
    assert (receipt.new, receipt.held) == (2, 1)
    [hold] = await _holds(room)
    assert hold["key"] == "letters/2"
    assert "You may not" in page_texts(await door.store.get(hold["papers"][0]["sha256"]))[0]


async def test_a_gate_works_in_another_process(door: Door, room: Room) -> None:
    gate = pickle.loads(pickle.dumps(door.gate(book(compliance=COMPLIANCE))))  # noqa: S301  written a moment ago
    await door.submit(gate, record(1), record(2, "You may not."))
    await asyncio.to_thread(gate.texts.__self__.close)
    assert [hold["key"] for hold in await _holds(room)] == ["letters/2"]


@pytest.mark.parametrize(("version", "asked"), [("1", 0), ("2", 1), ("3", 1)], ids=["old", "young", "unknown"])
def test_letters_of_a_template_that_is_new_are_asked_about_until_it_is_old(
    door: Door, version: str, asked: int
) -> None:
    young = {"concerns": "communication", "sampling": {"when": [{"template_younger_days": 30}]}, **STAGE}
    since = {("letter", "1"): date(2026, 1, 1), ("letter", "2"): date(2026, 5, 20)}
    gate = door.gate(book(young=young), rules=False, since=since, today=lambda: date(2026, 6, 1))
    fields = {name: record()[name] for name in ("key", "type", "customer", "recipient")}
    read = read_record({**fields, "template": "letter"})
    handed = HandedIn(Arrival(1, read.record, read.digest, 1), "0" * 64, versions={"letter": version})
    made = Made(letter(1), handed.arrival)
    assert len(gate.look(handed, made, run="letters", password=None).needs) == asked
