"""What follows from a decision in Exstream, and what comes back of it to whoever decided."""

import asyncio

import pytest
from office import ANNA, BEN, LEGAL, Office

from millstream.nextstep.store import StepStore
from millstream.review.model import Answered, Cancelled, Content, How, Overruled, State, Subject, SubjectKind, Verdict
from millstream.storage.pool import transaction

INTEREST = "Interest notice"
STATEMENT = "Account statement 2027"


def held_step(step: dict, **facts: str) -> Subject:
    places = {"channel": "statements", "flow": step.get("flowInstanceId", ""), "job": step["jobId"], **facts}
    return Subject(SubjectKind.FLOW_STEP, step["id"], "bank", "Statements", places)


CONTENT = Content("b" * 64, facts={"type": "Statements", "customer": "C-1"})


# Resources


@pytest.mark.parametrize(
    ("verdict", "state"), [(Verdict.APPROVE, "APPROVED"), (Verdict.REJECT, "REJECTED"), (Verdict.CHANGE, "DRAFT")]
)
async def test_a_decision_is_a_state_with_person_mail_and_content_in_exstreams_own_trail(
    office: Office, verdict, state
) -> None:
    number = await office.about(INTEREST)
    await office.answer(number, verdict, "because  of the\nrate")
    await office.carry()
    resource = await office.resource(INTEREST)
    assert resource["state"] == state
    told = resource["comment"]
    for part in (f"Anna Ample <{ANNA}>", "Gmail message 18f0c0ffee", f"content {'a' * 64}", f"review {number} round 1"):
        assert part in told
    assert told.endswith(": because of the rate")
    assert await office.step_state(number) == "done"
    assert (await office.audited(number))[-1] == "review.step_done"


async def test_where_the_policy_says_so_a_wish_for_changes_rejects(office_of) -> None:
    office = await office_of(policies={"releases": {"concerns": "resource", "steps": {"change_state": "REJECTED"}}})
    number = await office.about(INTEREST)
    await office.answer(number, Verdict.CHANGE, "a larger font")
    await office.carry()
    assert (await office.resource(INTEREST))["state"] == "REJECTED"


@pytest.mark.parametrize(
    ("name", "words", "free"),
    [
        ("Collection letter", "locked by designer@exstream.role", ("Collection letter", {"locked_by": None})),
        ("Annual letter", "Privacy notice", ("Privacy notice", {"state": "APPROVED"})),
        ("Privacy notice", "cannot go from DRAFT to APPROVED", ("Privacy notice", {"state": "REVIEW"})),
    ],
)
async def test_what_exstream_refuses_goes_back_to_whoever_decided_and_done_later_as_well(
    office: Office, name, words, free
) -> None:
    number = await office.about(name)
    await office.answer(number, Verdict.APPROVE, by=BEN)
    await office.carry()
    [(address, told)] = await office.told(number)
    assert (address, told["what"], words in told["error"]) == (BEN, "refused", True)
    assert f"step retry {told['step']}" in told["action"]
    [raised] = await office.raised("review.step_refused")
    assert (raised["customer"], raised["type"]) == ("C-1", (await office.resource(name))["type"])
    assert words in raised["error"]
    assert raised["action"] == told["action"]
    assert (await office.review(number)).state is State.APPROVED
    assert await office.step_state(number) == "refused"

    await office.edit(free[0], **free[1])
    await office.retry(told["step"])
    await office.carry()
    assert (await office.resource(name))["state"] == "APPROVED"
    assert [each["what"] for _, each in await office.told(number)] == ["refused", "done"]
    assert await office.step_state(number) == "done"


async def test_a_person_who_ends_the_step_is_named_to_whoever_decided(office: Office) -> None:
    number = await office.about("Collection letter")
    await office.answer(number, Verdict.APPROVE)
    [step] = await office.rows("SELECT id FROM next_step")
    await StepStore(office.pool, patience=5.0).cancel(step["id"], why="done by hand", actor="operator")
    await office.events()
    [(address, told)] = await office.told(number)
    assert (address, told["error"]) == (ANNA, "operator ended the step: done by hand")


async def test_while_exstream_is_down_the_decision_stands_and_the_step_follows(office: Office) -> None:
    number = await office.about(INTEREST)
    await office.site.control("POST", "outage", {"seconds": 1})
    await office.answer(number, Verdict.APPROVE)
    assert (await office.review(number)).state is State.APPROVED
    [row] = await office.rows("SELECT state FROM next_step")
    assert (row["state"], await office.step_state(number)) == ("due", "due")
    while await office.rows("SELECT id FROM next_step WHERE due_at IS NOT NULL"):
        await office.carry(rounds=1)
        await office.rows("UPDATE next_step SET tries = 0 RETURNING id")
    assert (await office.resource(INTEREST))["state"] == "APPROVED"
    assert await office.told(number) == []


async def test_an_answer_that_was_lost_is_one_step_all_the_same(office: Office) -> None:
    number = await office.about(INTEREST)
    await office.site.fault("after", "500_html", method="resources.set_state", times=1)
    await office.answer(number, Verdict.APPROVE)
    await office.carry()
    assert (await office.calls("resources.set_state"), await office.step_state(number)) == (1, "done")


# Held flow steps


@pytest.mark.parametrize(("verdict", "ended"), [(Verdict.APPROVE, "complete"), (Verdict.REJECT, "canceled")])
async def test_a_held_step_is_released_or_stopped(office: Office, eventually, verdict, ended) -> None:
    step = await office.held(eventually)
    number = await office.open(held_step(step), CONTENT, "letters")
    await office.answer(number, verdict, "as said")
    await office.carry()
    assert (await eventually(lambda: office.site.is_over(step["jobId"]), within=30))["status"] == ended
    assert await office.step_state(number) == "done"


async def test_the_policy_may_stop_more_than_the_step(office_of, eventually) -> None:
    office = await office_of(
        policies={"letters": {"concerns": "flow_step", "steps": {"on_reject": {"verb": "stop_job"}}}}
    )
    step = await office.held(eventually)
    number = await office.open(held_step(step), CONTENT, "letters")
    await office.answer(number, Verdict.REJECT, "all of it is wrong")
    await office.carry()
    assert await office.wishes() == [("stop_job", step["jobId"], "done")]


async def test_a_correction_job_gets_the_wish(office_of, eventually) -> None:
    on_change = {"verb": "trigger", "target": "corrections"}
    office = await office_of(policies={"letters": {"concerns": "flow_step", "steps": {"on_change": on_change}}})
    step = await office.held(eventually)
    await office.site.publish(name="Corrections", service="corrections")
    number = await office.open(held_step(step), CONTENT, "letters")
    await office.answer(number, Verdict.CHANGE, "please use the new address")
    [row] = await office.rows("SELECT verb, target, arguments FROM next_step")
    assert (row["verb"], row["target"]) == ("trigger", "corrections")
    assert "please use the new address" in row["arguments"]["driver"]
    assert step["id"] in row["arguments"]["driver"]
    assert (await office.review(number)).state is State.CHANGES


async def test_a_step_that_is_over_meanwhile_is_told(office: Office, eventually) -> None:
    step = await office.held(eventually)
    number = await office.open(held_step(step), CONTENT, "letters")
    await office.site.act(f"flow-steps/{step['id']}/stop")
    await office.answer(number, Verdict.APPROVE)
    await office.carry()
    [(address, told)] = await office.told(number)
    assert (address, told["what"], await office.step_state(number)) == (ANNA, "refused", "refused")


# Held communications


MAILS = {"mails": {"concerns": "communication"}}


@pytest.mark.parametrize(
    ("verdict", "ended"), [(Verdict.APPROVE, ("queued", None)), (Verdict.REJECT, ("cancelled", "review_rejected"))]
)
async def test_what_is_held_is_released_or_cancelled(office_of, verdict, ended) -> None:
    office = await office_of(policies=MAILS)
    number = await office.about_letter()
    await office.answer(number, verdict, "as said")
    assert await office.step_state(number) == "due"
    await office.carry()
    [delivery] = await office.rows("SELECT disposition, reason FROM delivery")
    assert (delivery["disposition"], delivery["reason"]) == ended
    assert (await office.wishes(), await office.step_state(number)) == ([], "done")


async def test_a_long_reason_is_kept_once_and_not_in_each_delivery(office_of) -> None:
    office = await office_of(policies=MAILS)
    number = await office.about_letter()
    words = "The rate is wrong. " * 150
    await office.answer(number, Verdict.REJECT, words)
    await office.carry()
    [delivery] = await office.rows("SELECT detail FROM delivery")
    assert delivery["detail"].startswith(f"review {number}: ")
    assert "The rate is wrong." in delivery["detail"]
    assert len(delivery["detail"]) < 300
    [entry] = await office.rows("SELECT payload FROM audit WHERE kind = 'delivery.cancelled'")
    assert f'"review":{number}' in entry["payload"]
    assert len(entry["payload"]) < 500
    [decision] = await office.rows("SELECT words FROM review_decision")
    assert decision["words"] == words


async def test_a_wish_for_changes_holds_on(office_of) -> None:
    office = await office_of(policies=MAILS)
    number = await office.about_letter()
    await office.answer(number, Verdict.CHANGE, "another tone")
    await office.carry()
    assert (await office.rows("SELECT * FROM hold_order"), await office.step_state(number)) == ([], "none")
    [delivery] = await office.rows("SELECT disposition, reason FROM delivery")
    assert (delivery["disposition"], delivery["reason"]) == ("held", "review")


# Overruling


async def overrule(office: Office, number: int, verdict: Verdict) -> object:
    said = Overruled(LEGAL, verdict, "the board wants it so", How.COMMAND, {"actor": "operator"})
    return (await office.apply(number, said)).refusal


async def test_overruling_takes_back_what_was_asked_for_and_asks_for_the_other(office: Office) -> None:
    number = await office.about(INTEREST)
    await office.answer(number, Verdict.APPROVE)
    assert await overrule(office, number, Verdict.REJECT) is None
    await office.carry()
    assert [(verb, state) for verb, _, state in await office.wishes()] == [
        ("set_state", "cancelled"),
        ("set_state", "done"),
    ]
    resource = await office.resource(INTEREST)
    assert (resource["state"], LEGAL in resource["comment"]) == ("REJECTED", True)
    assert await office.step_state(number) == "done"


async def test_what_has_begun_cannot_be_overruled(office: Office) -> None:
    number = await office.about(INTEREST)
    await office.answer(number, Verdict.APPROVE)
    await office.carry()
    refusal = await overrule(office, number, Verdict.REJECT)
    assert refusal.why == "decided"
    assert (await office.resource(INTEREST))["state"] == "APPROVED"


async def test_a_step_in_a_workers_hands_cannot_be_overruled(office: Office) -> None:
    number = await office.about(INTEREST)
    await office.answer(number, Verdict.APPROVE)
    await office.rows(
        "UPDATE next_step SET holder = 'w', leased_until = now() + interval '1 minute' WHERE subject = %s RETURNING id",
        f"review:{number}",
    )
    assert (await overrule(office, number, Verdict.REJECT)).why == "decided"


async def test_overruling_takes_back_the_order_of_held_deliveries(office_of) -> None:
    office = await office_of(policies=MAILS)
    number = await office.about_letter()
    await office.answer(number, Verdict.APPROVE)
    assert await overrule(office, number, Verdict.REJECT) is None
    assert [(row["round"], row["action"]) for row in await office.rows("SELECT round, action FROM hold_order")] == [
        (2, "cancel")
    ]


async def test_a_refusal_of_what_was_overruled_bothers_nobody(office: Office) -> None:
    number = await office.about(INTEREST)
    await office.answer(number, Verdict.APPROVE)
    await overrule(office, number, Verdict.REJECT)
    await office.rows(
        """INSERT INTO event (kind, subject, payload) VALUES ('step.failed', %s, jsonb_build_object('step', 1,
            'key', %s::text, 'verb', 'set_state', 'reason', 'late')) RETURNING id""",
        f"review:{number}",
        f"review:{number}:1:1",
    )
    await office.events()
    assert (await office.told(number), await office.raised("review.step_refused")) == ([], [])


async def test_whoever_overruled_is_told_of_a_refusal_by_those_who_were_asked(office: Office) -> None:
    number = await office.about("Collection letter")
    await overrule(office, number, Verdict.APPROVE)
    await office.carry()
    assert [address for address, told in await office.told(number) if told["what"] == "refused"] == [ANNA, BEN]


# Several policies for one thing

TWO = {"releases": {"concerns": "resource"}, "brand": {"concerns": "resource"}}


async def test_two_policies_let_a_resource_pass_together(office_of) -> None:
    office = await office_of(policies=TWO)
    first, second = await office.about(INTEREST), await office.about(INTEREST, "brand")
    await office.answer(first, Verdict.APPROVE)
    await office.carry()
    assert ((await office.resource(INTEREST))["state"], await office.step_state(first)) == ("REVIEW", "none")
    await office.answer(second, Verdict.APPROVE, by=BEN)
    await office.carry()
    assert ((await office.resource(INTEREST))["state"], await office.calls("resources.set_state")) == ("APPROVED", 1)


async def test_one_policys_rejection_is_enough(office_of) -> None:
    office = await office_of(policies=TWO)
    first, second = await office.about(INTEREST), await office.about(INTEREST, "brand")
    await office.answer(first, Verdict.REJECT, "no")
    await office.answer(second, Verdict.APPROVE, by=BEN)
    await office.carry()
    assert ((await office.resource(INTEREST))["state"], await office.calls("resources.set_state")) == ("REJECTED", 1)


async def test_a_policy_whose_question_is_taken_back_keeps_nothing_shut(office_of) -> None:
    office = await office_of(policies=TWO)
    first, second = await office.about(INTEREST), await office.about(INTEREST, "brand")
    await office.answer(first, Verdict.APPROVE)
    await office.apply(second, Cancelled("operator", "not needed"))
    await office.events()
    await office.carry()
    assert (await office.resource(INTEREST))["state"] == "APPROVED"
    assert "Gmail message 18f0c0ffee" in (await office.resource(INTEREST))["comment"]


async def test_what_one_policy_decided_ends_the_others_question_in_its_deciders_name(office_of) -> None:
    office = await office_of(policies=TWO)
    await office.look()
    found = {row["policy"]: row["id"] for row in await office.reviews() if row["name"] == INTEREST}
    await office.answer(found["releases"], Verdict.REJECT, "the rate is wrong")
    await office.carry()
    await office.look()
    other = await office.review(found["brand"])
    assert (other.state, other.decision.by) == (State.REJECTED, f"{ANNA} (review {found['releases']})")
    assert len(await office.wishes()) == 1


async def test_two_policies_in_the_same_moment_are_one_step(office_of) -> None:
    office = await office_of(policies=TWO)
    first, second = await office.about(INTEREST), await office.about(INTEREST, "brand")
    said = [Answered(who, Verdict.APPROVE, "yes", How.PAGE, 1, "a" * 64) for who in (ANNA, BEN)]
    begun = asyncio.Event()

    async def slow() -> None:
        async with transaction(office.pool) as conn:
            await office.desk.apply(conn, first, said[0])
            begun.set()
            await conn.execute("SELECT pg_sleep(0.2)")

    async def fast() -> None:
        await begun.wait()
        await office.apply(second, said[1])

    await asyncio.gather(slow(), fast())
    await office.carry()
    assert ((await office.resource(INTEREST))["state"], len(await office.wishes())) == ("APPROVED", 1)


# Rubbish


@pytest.mark.parametrize("subject", ["review:", "review:x", "review:²", "review:999", "review:" + "9" * 40, "run:1"])
async def test_events_about_nothing_of_ours_are_passed_over(office: Office, subject) -> None:
    for kind in ("step.done", "step.failed", "step.unclear", "delivery.released", "review.cancelled"):
        await office.rows(
            "INSERT INTO event (kind, subject, payload) VALUES (%s, %s, '{}') RETURNING id", kind, subject
        )
    await office.events()
    assert (await office.wishes(), await office.rows("SELECT id FROM review")) == ([], [])
