"""Answers that must not decide: to mails that ask nothing."""

from typing import Any

from answer_room import ANNA, EVE, AnswerRoom

from millstream.review.model import Reassigned, State


async def test_ok_to_the_news_that_a_stranger_answered_is_no_approval(room: AnswerRoom) -> None:
    number = await room.ask()
    token = await room.token(ANNA)
    await room.deliver(EVE, "Rejected, the wording is wrong.", token=token)
    await room.send_due()
    assert await room.questions() == [(ANNA, "stranger")]
    await room.reply(ANNA, "Ok", to=await room.token(ANNA, "question"))
    assert (await room.review(number)).state is State.OPEN
    assert (await room.answers(number))[-1] == (ANNA, "approve", False, "unclear")
    assert (await room.questions())[-1] == (ANNA, "unclear")
    await room.send_due()
    await room.reply(ANNA, "Approved", to=await room.token(ANNA, "question"))
    assert (await room.review(number)).state is State.APPROVED


async def test_ok_to_the_news_that_a_question_was_handed_on_is_no_approval(open_room: Any) -> None:
    room = await open_room(people={"delegate": True, "may_overrule": [EVE]})
    number = await room.ask()
    for giver, taker in ((ANNA, EVE), (EVE, ANNA)):
        done = await room.let(number, Reassigned(giver, taker, giver))
        assert done.refusal is None, done.refusal
    await room.reply(ANNA, "Ok", to=await room.token(ANNA, "tell"))
    assert (await room.review(number)).state is State.OPEN
    assert [(address, counted) for address, _, counted, _ in await room.answers(number)] == [(ANNA, False)]
    await room.reply(ANNA, "Ok", to=await room.token(ANNA, "ask"))
    assert (await room.review(number)).state is State.APPROVED


async def test_thanks_for_news_are_not_asked_about(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(EVE, "Rejected, the wording is wrong.", token=await room.token(ANNA))
    await room.send_due()
    await room.reply(ANNA, "Thank you for telling me, I will talk to Eve.", to=await room.token(ANNA, "question"))
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "stranger")]
