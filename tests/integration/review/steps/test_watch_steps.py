"""Held flow steps are put to people with their customers' documents, and what became of them ends the question."""

from exstream_site import customer
from office import Office

from millstream.review.model import State, Verdict


async def test_a_held_flow_step_is_put_to_people_with_its_customers_documents(office: Office, eventually) -> None:
    step = await office.held(eventually, 1, 2)
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    review = await office.review(row["id"])
    assert (row["ref"], review.subject.facts["channel"], review.subject.facts["job"]) == (
        step["id"],
        "statements",
        step["jobId"],
    )
    assert (review.content.facts["type"], review.content.facts["customers"]) == ("Statements", "2")
    assert [paper.name.partition(" ")[0] for paper in review.content.papers] == ["C-1", "C-2"]
    assert (await office.documents.get(review.content.papers[0].sha256)).startswith(b"%PDF-")


async def test_one_customers_step_names_the_customer(office: Office, eventually) -> None:
    await office.held(eventually, 7)
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    assert (await office.review(row["id"])).content.facts["customer"] == "C-7"


async def test_of_many_customers_ten_from_all_over_are_shown(office: Office, eventually) -> None:
    await office.held(eventually, *range(1, 26))
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    content = (await office.review(row["id"])).content
    assert (content.facts["customers"], len(content.papers)) == ("25", 10)
    assert content.facts["shown"] == "C-1, C-3, C-6, C-8, C-11, C-13, C-16, C-18, C-21, C-23"


async def test_an_approved_step_is_released_and_looked_at_no_more(office: Office, eventually) -> None:
    step = await office.held(eventually)
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    await office.answer(row["id"], Verdict.APPROVE)
    await office.look()
    await office.carry()
    await office.look()
    assert (await eventually(lambda: office.site.is_over(step["jobId"]), within=30))["status"] == "complete"
    assert len([each for each in await office.reviews() if each["kind"] == "flow_step"]) == 1
    assert await office.step_state(row["id"]) == "done"


async def test_a_step_that_is_released_or_stopped_in_exstream_ends_its_question(office: Office, eventually) -> None:
    for action, ended in (("release", State.APPROVED), ("stop", State.REJECTED)):
        step = await office.held(eventually)
        await office.look()
        number = max(row["id"] for row in await office.reviews() if row["kind"] == "flow_step")
        await office.site.act(f"flow-steps/{step['id']}/{action}")
        await eventually(lambda step=step: office.site.is_over(step["jobId"]), within=30)
        await office.look()
        assert (await office.review(number)).state is ended
        assert await office.wishes() == []


async def test_a_step_whose_time_is_over_takes_its_question_along(office: Office, eventually) -> None:
    await office.held(eventually, hold_seconds=600)
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    await office.site.advance(700)

    async def gone() -> bool:
        await office.look()
        return (await office.review(row["id"])).state is State.CANCELLED

    await eventually(gone, within=20)


async def test_a_new_edition_of_a_held_step_is_the_next_round_of_its_review(office: Office, eventually) -> None:
    await office.site.publish(hold=True, external_id_header="X-Case")

    async def hand_in(number: int) -> dict:
        headers = {"X-Case": "case-7"}
        said = await office.site.call(
            "POST", "api/v1/inputs/batch/bank/statements", document={"customers": [customer(number)]}, headers=headers
        )
        return await office.holding(said.data[0]["jobId"], eventually)

    first = await hand_in(1)
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    await office.answer(row["id"], Verdict.CHANGE, "another address")
    await office.carry()
    await office.look()
    second = await hand_in(2)
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    review = await office.review(row["id"])
    assert (review.state, review.round, review.subject.ref) == (State.OPEN, 2, second["id"])
    await office.answer(row["id"], Verdict.APPROVE)
    await office.carry()
    assert await office.wishes() == [("stop_step", first["id"], "done"), ("release_step", second["id"], "done")]


async def test_a_step_whose_files_are_not_kept_is_asked_about(office: Office, eventually, tmp_path) -> None:
    await office.held(eventually, channels=[{"type": "file", "directory": str(tmp_path / "out")}])
    await office.look()
    [row] = [each for each in await office.reviews() if each["kind"] == "flow_step"]
    content = (await office.review(row["id"])).content
    assert (content.papers, "cannot be fetched" in content.facts["not shown"]) == ((), True)
