"""Policies taken out while people are asked by them: questions go on, and what cannot go on is said."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from gathered import LEGAL, RISK, Room, book, letter, need

from millstream.app.doctor_reviews import examine_reviews
from millstream.app.house import open_house
from millstream.app.reviewing import reviewing
from millstream.config import Settings
from millstream.review.desk import ReviewDesk
from millstream.review.missing import Missed
from millstream.review.model import Answered, How, Overruled, Verdict
from millstream.review.people import People
from millstream.review.policy import EMPTY, PolicyBook
from millstream.review.steps import Steps
from millstream.storage.pool import Connection, Pool, transaction
from millstream.work.events import EXCEPTIONS, newest

ANNA, BOSS = "anna@bank.example", "boss@bank.example"
STAGE: dict[str, Any] = {
    "stages": [{"ask": [ANNA]}],
    "time": {"deadline": "8h"},
    "people": {"may_overrule": [BOSS]},
}
LETTERS = {LEGAL: {"concerns": "communication", **STAGE}}


async def _asks_nothing(_: Connection, __: object) -> int | None:
    return None


def _desk(policies: PolicyBook) -> ReviewDesk:
    steps = Steps(_asks_nothing)
    desk = ReviewDesk(
        policies, People(policies), finish=steps.finish, begun=steps.begun, clock=lambda: datetime.now(UTC)
    )
    steps.attach(desk)
    return desk


async def _asked(room: Room) -> None:
    """One letter that Anna was asked about, and one that nobody was, both by policies that are then gone."""
    policies = book(**LETTERS)
    await room.add(letter(1, need(LEGAL)))
    await room.gathering(desk=_desk(policies), policies=policies).sweep()
    await room.add(letter(2, need(RISK)))


def _settings(database_url: str, folder: Any, **review: Any) -> Settings:
    return Settings(folder=folder, database={"url": database_url}, review=review)


async def test_an_open_question_goes_on_under_the_terms_it_was_asked_under(room: Room, pool: Pool) -> None:
    await _asked(room)
    desk = _desk(EMPTY)
    async with transaction(pool) as conn:
        review = await desk.find(conn, 1)
        said = Answered(ANNA, Verdict.APPROVE, "", How.MAIL, review.round, review.content.hash)
        assert (await desk.apply(conn, 1, said)).refusal is None
    await room.holds.carry_due()
    assert await room.deliveries() == {("queued", None): 1, ("held", "review"): 1}


async def test_who_may_overrule_still_may(room: Room, pool: Pool) -> None:
    await _asked(room)
    async with transaction(pool) as conn:
        said = Overruled(BOSS, Verdict.REJECT, "no such letter", How.COMMAND)
        assert (await _desk(EMPTY).apply(conn, 1, said)).refusal is None
    await room.holds.carry_due()
    assert await room.deliveries() == {("cancelled", "review_rejected"): 1, ("held", "review"): 1}


async def test_what_is_missing_is_raised_once_as_an_exception(room: Room, pool: Pool) -> None:
    await _asked(room)
    assert await Missed(pool, [LEGAL, RISK]).look() == 0
    missed = Missed(pool, [])
    assert await missed.look() == 2
    assert await missed.look() == 0
    assert await Missed(pool, []).look() == 2  # another worker says it in its log, and raises nothing more
    told = {each["subject"]: each for each in await newest(pool, kinds=EXCEPTIONS)}
    assert set(told) == {"policy:legal", "policy:risk"}
    assert "1 reviews open, 1 letters held" in told["policy:legal"]["error"]
    assert "nobody is asked" in told["policy:risk"]["error"]


async def test_a_worker_without_policies_goes_on_with_what_is_left_of_them(
    room: Room, database_url: str, tmp_path: Any
) -> None:
    gmail = SimpleNamespace(mailbox=None)
    async with open_house(_settings(database_url, tmp_path), migrated=False) as house:
        async with reviewing(house, gmail) as idle:
            assert [each.name for each in idle.sweeps] == ["review_orders"]
        await _asked(room)
        async with reviewing(house, gmail) as found:
            assert {"reviews", "review_mails", "review_policies"} <= {each.name for each in found.sweeps}


async def test_the_doctor_names_each_policy_that_is_missed(room: Room, database_url: str, tmp_path: Any) -> None:
    settings = _settings(database_url, tmp_path)
    assert [each async for each in examine_reviews(settings)] == []
    await _asked(room)
    [found] = [each async for each in examine_reviews(settings)]
    assert (found.check, found.ok) == ("review policies missing", False)
    for words in ("'legal'", "1 reviews open", "'risk'", "put it back under its name", "run cancel"):
        assert words in found.detail


async def test_the_doctor_only_warns_where_all_of_it_goes_on(room: Room, database_url: str, tmp_path: Any) -> None:
    policies = book(**LETTERS)
    await room.add(letter(1, need(LEGAL)))
    await room.gathering(desk=_desk(policies), policies=policies).sweep()
    [found] = [each async for each in examine_reviews(_settings(database_url, tmp_path))]
    assert found.ok
    assert "'legal'" in found.detail
