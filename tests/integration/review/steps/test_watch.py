"""The watch on Exstream: what waits there is put to people, and what was settled there ends its question."""

import pytest
from office import ANNA, BEN, Office

from millstream.review.model import Cancelled, State, Verdict

INTEREST = "Interest notice"
STATEMENT = "Account statement 2027"


async def number_of(office: Office, name: str, policy: str = "releases") -> int:
    """The newest review of a resource by a policy."""
    return max(row["id"] for row in await office.reviews() if (row["name"], row["policy"]) == (name, policy))


async def opened(office: Office, name: str, policy: str = "releases") -> int:
    await office.look()
    return await number_of(office, name, policy)


# Resources


async def test_every_resource_in_review_is_put_to_people_once(office: Office) -> None:
    await office.look()
    await office.look()
    found = await office.reviews()
    assert sorted(row["name"] for row in found) == [STATEMENT, "Annual letter", "Collection letter", INTEREST]
    assert {row["state"] for row in found} == {"open"}


async def test_people_see_content_facts_and_the_document_itself(office: Office) -> None:
    review = await office.review(await opened(office, STATEMENT))
    assert review.content.text == "Account statement, layout of 2027"
    assert review.content.facts["type"] == "exstrdocument"
    assert review.content.facts["comment"] == "Please approve until Friday"
    [paper] = review.content.papers
    assert await office.documents.get(paper.sha256) == b"Account statement, layout of 2027"


async def test_a_resource_without_content_is_asked_about_by_its_description(office: Office) -> None:
    review = await office.review(await opened(office, INTEREST))
    assert (review.content.papers, review.content.text) == ((), "Interest falls to 1.25 %")


async def test_nobody_is_asked_about_what_they_made_or_changed(office: Office) -> None:
    await office.add("Anna's letter", created_by="aample@exstream.role", content="one")
    review = await office.review(await opened(office, "Anna's letter"))
    assert [seat.address for seat in review.seats] == [BEN]
    await office.edit("Anna's letter", content="two", by="ben@exstream.role")
    await office.look()
    review = await office.review(review.id)
    assert (review.round, review.waiting()) == (2, ())


async def test_policies_choose_by_type_domain_and_name(office_of) -> None:
    policies = {
        "paragraphs": {"concerns": "resource", "resource_types": ["exstrparagraph"]},
        "elsewhere": {"concerns": "resource", "domains": ["other"]},
        "interest": {"concerns": "resource", "sampling": {"when": [{"field": "name", "equals": INTEREST}]}},
    }
    office = await office_of(policies=policies)
    await office.look()
    assert [(row["policy"], row["name"]) for row in await office.reviews()] == [("interest", INTEREST)]


async def test_a_domain_that_a_policy_names_is_watched_too(office_of) -> None:
    office = await office_of(
        policies={"cards": {"concerns": "resource", "domains": ["cards"]}},
        domains=[{"name": "bank"}, {"name": "cards"}, {"name": "loans"}],
    )
    await office.add("Card terms", domain="cards", content="x")
    await office.add("Loan terms", domain="loans", content="x")
    await office.look()
    assert [row["name"] for row in await office.reviews()] == ["Card terms"]


async def test_changed_content_is_a_new_round(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.edit(STATEMENT, content="Account statement, layout of 2028")
    await office.look()
    review = await office.review(number)
    assert (review.round, review.state, review.content.text) == (2, State.OPEN, "Account statement, layout of 2028")


async def test_a_lock_or_a_comment_is_no_new_content(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.edit(STATEMENT, locked_by="designer@exstream.role")
    await office.edit(STATEMENT, description="the same, described anew")
    await office.look()
    assert (await office.review(number)).round == 1


@pytest.mark.parametrize(
    ("state", "ended"), [("APPROVED", State.APPROVED), ("REJECTED", State.REJECTED), ("DRAFT", State.CANCELLED)]
)
async def test_what_somebody_decides_in_exstream_ends_the_question(office: Office, state, ended) -> None:
    number = await opened(office, INTEREST)
    await office.edit(INTEREST, state=state, by="chief@exstream.role", comment="as agreed on the phone")
    await office.look()
    review = await office.review(number)
    assert (review.state, await office.wishes()) == (ended, [])
    told = dict(await office.told(number)) if ended is State.CANCELLED else {}
    if review.decision is not None:
        assert (review.decision.by, review.decision.text) == ("chief@exstream.role", "as agreed on the phone")
    else:
        assert (told[ANNA]["by"], "as agreed on the phone" in told[ANNA]["why"]) == ("chief@exstream.role", True)


async def test_a_resource_that_was_deleted_takes_its_question_along(office: Office) -> None:
    number = await opened(office, INTEREST)
    await office.site.control("DELETE", f"resources/{(await office.resource(INTEREST))['id']}")
    await office.look()
    assert (await office.review(number)).state is State.CANCELLED


async def test_an_approval_reaches_exstream_and_is_not_read_as_somebody_elses(office: Office) -> None:
    number = await opened(office, INTEREST)
    await office.answer(number, Verdict.APPROVE)
    await office.look()  # nothing has reached Exstream: it waits there as before
    await office.carry()
    await office.look()
    review = await office.review(number)
    assert (review.state, review.round, review.decision.by) == (State.APPROVED, 1, ANNA)
    assert (await office.resource(INTEREST))["state"] == "APPROVED"
    assert (await office.step_state(number), len(await office.reviews())) == ("done", 4)


async def test_what_was_rejected_is_asked_about_again_when_it_is_handed_in_again(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.answer(number, Verdict.REJECT, "the wrong address")
    await office.carry()
    await office.look()
    assert (await office.resource(STATEMENT))["state"] == "REJECTED"
    assert await number_of(office, STATEMENT) == number
    await office.edit(STATEMENT, state="REVIEW", comment="please look again")
    await office.look()
    again = await number_of(office, STATEMENT)
    assert again != number
    assert (await office.review(again)).state is State.OPEN


async def test_after_a_wish_for_changes_new_content_is_the_next_round(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.answer(number, Verdict.CHANGE, "a larger font")
    await office.look()
    await office.carry()
    await office.look()
    resource = await office.resource(STATEMENT)
    assert (resource["state"], "a larger font" in resource["comment"]) == ("DRAFT", True)
    assert (await office.review(number)).state is State.CHANGES
    await office.edit(STATEMENT, content="Account statement, 12 points")
    await office.edit(STATEMENT, state="REVIEW")
    await office.look()
    review = await office.review(number)
    assert (review.state, review.round, review.content.text) == (State.OPEN, 2, "Account statement, 12 points")


async def test_after_a_wish_for_changes_the_same_again_is_a_question_of_its_own(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.answer(number, Verdict.CHANGE, "a larger font")
    await office.carry()
    await office.edit(STATEMENT, state="REVIEW")
    await office.look()
    again = await number_of(office, STATEMENT)
    assert (await office.review(number)).state is State.CANCELLED
    assert (await office.review(again)).state is State.OPEN
    await office.look()
    assert await number_of(office, STATEMENT) == again


async def test_content_that_changes_before_the_wish_has_arrived_waits_for_it(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.answer(number, Verdict.CHANGE, "a larger font")
    await office.edit(STATEMENT, content="12 points")
    await office.look()
    assert ((await office.review(number)).state, (await office.review(number)).round) == (State.CHANGES, 1)
    await office.carry()
    await office.edit(STATEMENT, state="REVIEW")
    await office.look()
    assert ((await office.review(number)).state, (await office.review(number)).round) == (State.OPEN, 2)


async def test_an_approval_never_reaches_content_that_nobody_saw(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.answer(number, Verdict.APPROVE)
    await office.edit(STATEMENT, content="quite another letter")
    await office.look()
    await office.carry()
    again = await number_of(office, STATEMENT)
    assert (await office.resource(STATEMENT))["state"] == "REVIEW"
    assert again != number
    assert (await office.review(again)).content.text == "quite another letter"
    assert (await office.review(number)).state is State.APPROVED
    [(address, told)] = await office.told(number)
    assert (address, told["what"]) == (ANNA, "refused")
    assert [raised["type"] for raised in await office.raised("review.step_refused")] == ["exstrdocument"]


async def test_a_question_that_was_taken_back_by_hand_is_not_asked_again_about_the_same(office: Office) -> None:
    number = await opened(office, STATEMENT)
    await office.apply(number, Cancelled("operator", "asked elsewhere"))
    await office.edit(STATEMENT, description="touched")
    await office.look()
    assert await number_of(office, STATEMENT) == number
    await office.edit(STATEMENT, content="other content")
    await office.look()
    assert await number_of(office, STATEMENT) != number


async def test_a_question_opened_by_hand_ends_as_well(office_of) -> None:
    office = await office_of(policies={"releases": {"concerns": "resource", "resource_types": ["none"]}})
    number = await office.about(INTEREST)
    await office.edit(INTEREST, state="APPROVED", by="chief@exstream.role")
    await office.look()
    assert (await office.review(number)).state is State.APPROVED


async def test_what_exstream_refused_is_asked_about_again_when_it_was_taken_back_and_handed_in(office: Office) -> None:
    number = await opened(office, "Collection letter")
    await office.answer(number, Verdict.APPROVE)
    await office.carry()
    assert await office.step_state(number) == "refused"
    await office.look()
    await office.edit("Collection letter", state="DRAFT", locked_by=None)
    await office.look()
    await office.edit("Collection letter", state="REVIEW")
    await office.look()
    again = await number_of(office, "Collection letter")
    assert (again != number, (await office.review(again)).state) == (True, State.OPEN)
    assert [state for _, _, state in await office.wishes()] == ["cancelled"]


async def test_what_is_taken_back_in_exstream_lets_nothing_pass_that_waited_for_it(office_of) -> None:
    office = await office_of(policies={"releases": {"concerns": "resource"}, "brand": {"concerns": "resource"}})
    first = await opened(office, INTEREST)
    second = await number_of(office, INTEREST, "brand")
    await office.answer(first, Verdict.APPROVE)
    await office.edit(INTEREST, state="DRAFT", by="author@exstream.role")
    await office.look()
    await office.carry()
    assert ((await office.review(second)).state, await office.wishes()) == (State.CANCELLED, [])
    assert [(who, told["what"]) for who, told in await office.told(first)] == [(ANNA, "refused")]
    await office.edit(INTEREST, state="REVIEW")
    await office.look()
    for policy, old in (("releases", first), ("brand", second)):
        again = await number_of(office, INTEREST, policy)
        assert (again != old, (await office.review(again)).state) == (True, State.OPEN)


async def test_what_is_handed_in_again_as_it_was_waits_for_every_policy(office_of) -> None:
    office = await office_of(policies={"releases": {"concerns": "resource"}, "brand": {"concerns": "resource"}})
    first = await opened(office, INTEREST)
    second = await number_of(office, INTEREST, "brand")
    await office.answer(first, Verdict.APPROVE)
    await office.answer(second, Verdict.CHANGE, "a larger font")
    await office.carry()
    await office.look()
    await office.edit(INTEREST, state="REVIEW")
    await office.look()
    await office.carry()
    assert (await office.resource(INTEREST))["state"] == "REVIEW"
    await office.answer(await number_of(office, INTEREST, "brand"), Verdict.APPROVE)
    again = await number_of(office, INTEREST)
    if again != first:
        await office.answer(again, Verdict.APPROVE)
    await office.carry()
    assert (await office.resource(INTEREST))["state"] == "APPROVED"
    assert [verb_state for *_, verb_state in await office.wishes()] == ["done", "done"]


# Domains that approve in levels

GROUPS = [{"roles": [{"role": "legal", "level": 1}, {"role": "brand", "level": 2}]}]
ADVANCED = {
    "domains": [{"name": "bank", "workflow": "ADVANCED", "groups": GROUPS}],
    "clients": {"millstream": {"roles": ["tenantadmins", "legal", "brand"]}},
}


async def test_exstreams_levels_are_asked_one_after_the_other(office_of) -> None:
    policies = {"releases": {"concerns": "resource", "stages": [{"exstream": True}]}}
    office = await office_of(policies=policies, **ADVANCED)
    number = await opened(office, STATEMENT)
    assert [seat.address for seat in (await office.review(number)).waiting()] == ["legal@bank.example"]
    await office.answer(number, Verdict.APPROVE, by="legal@bank.example")
    assert [seat.address for seat in (await office.review(number)).waiting()] == [BEN]
    await office.answer(number, Verdict.APPROVE, by=BEN)
    await office.carry()
    assert (await office.resource(STATEMENT))["state"] == "APPROVED"
    assert (await office.step_state(number), await office.calls("resources.set_state")) == ("done", 2)


async def test_who_approves_depends_on_the_resources_type(office_of) -> None:
    groups = [
        {"types": ["exstrdocument"], "roles": [{"role": "legal", "level": 1}]},
        {"types": ["exstrparagraph"], "roles": [{"role": "nobody", "level": 1, "email": "Ben@bank.example"}]},
    ]
    office = await office_of(
        policies={"releases": {"concerns": "resource", "stages": [{"exstream": True}]}},
        domains=[{"name": "bank", "workflow": "ADVANCED", "groups": groups}],
    )
    await office.add("A paragraph", type="exstrparagraph", content="x")
    for name, address in ((STATEMENT, "legal@bank.example"), ("A paragraph", BEN)):
        review = await office.review(await opened(office, name))
        assert [seat.address for seat in review.waiting()] == [address]


async def test_a_level_that_is_left_to_others_is_not_asked_about_again(office_of) -> None:
    office = await office_of(**{**ADVANCED, "clients": {"millstream": {"roles": ["tenantadmins", "legal"]}}})
    number = await opened(office, STATEMENT)
    await office.answer(number, Verdict.APPROVE)
    await office.carry()
    assert (await office.resource(STATEMENT))["state"] == "REVIEW"
    assert await office.step_state(number) == "refused"
    await office.look()
    assert await number_of(office, STATEMENT) == number


# Bad days


async def test_exstream_away_loses_nothing(office: Office) -> None:
    await office.site.fault("before", "500_html", method="resources.list", times=2)
    await office.watch.sweep()
    await office.watch.sweep()
    assert await office.reviews() == []
    await office.watch.sweep()
    assert len(await office.reviews()) == 4


async def test_an_account_without_a_view_of_what_runs_still_watches_resources(office_of) -> None:
    office = await office_of(clients={"millstream": {"rights": ["DESIGN", "APPROVE"]}})
    await office.watch.sweep()
    assert len(await office.reviews()) == 4


async def test_content_that_cannot_be_fetched_for_a_moment_is_asked_about_later(office: Office) -> None:
    await office.site.fault("before", "500_json", method="resources.content", times=1)
    await office.watch.sweep()
    await office.watch.sweep()
    assert len(await office.reviews()) == 3
    office.passed += 60
    await office.watch.sweep()
    assert len(await office.reviews()) == 4


async def test_while_exstream_answers_nothing_no_question_ends(office: Office) -> None:
    number = await opened(office, INTEREST)
    await office.edit(INTEREST, state="APPROVED")
    await office.site.fault("before", "500_json", method="resources.get", times=1)
    await office.watch.sweep()
    assert (await office.review(number)).state is State.OPEN
    office.passed += 60
    await office.watch.sweep()
    assert (await office.review(number)).state is State.APPROVED


async def test_who_has_not_the_duty_looks_at_nothing(office: Office) -> None:
    office.duty = False
    await office.watch.sweep()
    assert (await office.reviews(), await office.calls("resources.list")) == ([], 0)
