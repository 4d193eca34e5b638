"""Answers by mail, from people's own mail programs: those that are clear decide, and every bad day decides nothing."""

import pytest
from answer_room import ALIAS, ANNA, BEN, BODY, BOX, CARL, EVE, AnswerRoom, OpenRoom

from millstream.review.model import Content as Shown
from millstream.review.model import How, NewContent, State, Verdict
from millstream.review.policy import EMPTY

STYLES = ("gmail", "outlook", "apple", "html", "plain")


@pytest.mark.parametrize("style", STYLES)
async def test_a_clear_word_decides_in_every_mail_program(room: AnswerRoom, style: str) -> None:
    number = await room.ask()
    await room.reply(ANNA, "Approved, thanks.\n\nAnna", style=style)
    review = await room.review(number)
    assert review.state is State.APPROVED
    assert review.decision is not None
    assert (review.decision.by, review.decision.how, review.decision.hash) == (ANNA, How.MAIL, "1" * 64)
    assert await room.answers(number) == [(ANNA, "approve", True, "")]
    assert len(room.decisions) == 1


async def test_an_answer_keeps_what_proves_it(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "No, the address is wrong.")
    [answer] = await room.rows("SELECT words, evidence FROM review_answer WHERE review_id = %s", number)
    [sighting] = await room.rows("SELECT id, message_id FROM sighting WHERE kind = 'replied'")
    assert answer["words"] == "No, the address is wrong"
    evidence = answer["evidence"]
    assert (evidence["mailbox"], evidence["message_id"]) == (BOX, sighting["message_id"])
    assert evidence["sighting"] == str(sighting["id"])
    assert "DMARC" in evidence["proof"]
    assert await room.rows("SELECT message_id FROM review_paper WHERE review_id = %s", number) == [
        {"message_id": sighting["message_id"]}
    ]
    assert (await room.review(number)).state is State.REJECTED


async def test_a_wish_for_changes_brings_its_words(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(BEN, "Hi,\n\nplease change the salutation to Dr Moor.\n\nKind regards\nBen Brown")
    review = await room.review(number)
    assert review.state is State.CHANGES
    assert review.decision is not None
    assert review.decision.text == "please change the salutation to Dr Moor"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("text", ["", "Anna Ample\nHead of Letters", "Kind regards\nAnna"])
async def test_nothing_but_our_own_words_decides_nothing(room: AnswerRoom, style: str, text: str) -> None:
    number = await room.ask()
    await room.reply(ANNA, text, style=style)
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "unclear")]


async def test_our_own_text_answered_unmarked_decides_nothing(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(ANNA, BODY, token=await room.token(ANNA))
    await room.deliver(ANNA, "write approved\n" + BODY, token=await room.token(ANNA))
    assert (await room.review(number)).state is State.OPEN
    assert [why for _, _, _, why in await room.answers(number)] == ["unclear", "unclear"]


async def test_unclear_words_are_asked_about_in_the_thread_and_the_next_answer_decides(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "Approved if the amount is right?")
    assert await room.questions() == [(ANNA, "unclear")]
    [question] = await room.rows("SELECT thread, facts FROM review_mail WHERE kind = 'question'")
    assert question["thread"] == f"review:{number}:{ANNA}"
    assert question["facts"]["words"] == "Approved if the amount is right?"
    await room.send_due()
    await room.reply(ANNA, "ok")
    assert (await room.review(number)).state is State.APPROVED


async def test_a_bare_no_is_asked_for_its_reason_and_the_reason_alone_then_rejects(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "No")
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "reason")]
    await room.send_due()
    await room.reply(ANNA, "The address is wrong.")
    review = await room.review(number)
    assert review.state is State.REJECTED
    assert review.decision is not None
    assert review.decision.text == "The address is wrong."


async def test_what_comes_in_place_of_a_reason_is_read_for_itself(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "No")
    await room.send_due()
    await room.reply(ANNA, "Sorry, it is ok after all")
    assert (await room.review(number)).state is State.OPEN
    await room.send_due()
    await room.reply(ANNA, "Approved")
    assert (await room.review(number)).state is State.APPROVED


async def test_where_no_reason_is_needed_a_bare_no_decides(open_room: OpenRoom) -> None:
    room = await open_room(rules={"reason_required": False})
    number = await room.ask()
    await room.reply(ANNA, "No")
    assert (await room.review(number)).state is State.REJECTED


async def test_the_right_address_without_proof_decides_nothing_and_is_told_once_a_day(room: AnswerRoom) -> None:
    number = await room.ask()
    for verdict in ("fail", "none", "unaligned", "missing", "softfail"):
        await room.deliver(ANNA, "Approved", token=await room.token(ANNA), authentication=verdict)
    assert (await room.review(number)).state is State.OPEN
    assert {why for _, _, _, why in await room.answers(number)} == {"unproven"}
    assert len(await room.answers(number)) == 5
    assert await room.questions() == [(ANNA, "unproven")]
    [question] = await room.rows("SELECT facts FROM review_mail WHERE kind = 'question'")
    assert "words" not in question["facts"]  # somebody else's, perhaps


async def test_spam_proves_nothing(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(ANNA, "Approved", token=await room.token(ANNA), spam=True)
    assert (await room.review(number)).state is State.OPEN


async def test_a_forwarded_question_answered_by_somebody_else_tells_its_owner_alone(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(EVE, "Approved", token=await room.token(ANNA))
    assert (await room.review(number)).state is State.OPEN
    assert await room.answers(number) == [(EVE, None, False, "stranger")]
    assert await room.questions() == [(ANNA, "stranger")]
    [question] = await room.rows("SELECT facts FROM review_mail WHERE kind = 'question'")
    assert question["facts"]["from"] == EVE


async def test_a_colleague_who_is_asked_too_may_answer_a_forwarded_question(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(BEN, "Approved", token=await room.token(ANNA))
    assert await room.answers(number) == [(BEN, "approve", True, "")]


async def test_an_alias_of_somebody_counts_as_theirs(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(ALIAS, "Approved", token=await room.token(ANNA))
    assert await room.answers(number) == [(ANNA, "approve", True, "")]


async def test_an_out_of_office_is_noted_once_and_never_answered(room: AnswerRoom) -> None:
    await room.set(ANNA, auto_reply={"text": "Approved requests only: I am on holiday until Monday."})
    number = await room.ask()
    await room.read()
    for _ in range(3):
        head = {"Auto-Submitted": "auto-replied", "From": ANNA}
        await room.deliver(ANNA, "ok", token=await room.token(ANNA), headers=head)
    assert (await room.review(number)).state is State.OPEN
    assert await room.answers(number) == [(ANNA, None, False, "automatic")]
    assert await room.questions() == []


async def test_an_answer_after_the_decision_is_told_who_decided(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "Approved")
    await room.reply(BEN, "No, the address is wrong", to=await room.token(BEN))
    review = await room.review(number)
    assert review.state is State.APPROVED
    assert (await room.answers(number))[1] == (BEN, "reject", False, "decided")
    [question] = await room.rows("SELECT address, facts FROM review_mail WHERE kind = 'question'")
    assert (question["address"], question["facts"]["why"]) == (BEN, "decided")
    assert (question["facts"]["told"]["by"], question["facts"]["told"]["verdict"]) == (ANNA, "approve")


async def test_thanks_for_the_news_are_not_told_the_news_again(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "Approved")
    await room.send_due()
    await room.reply(BEN, "Thanks!", to=await room.token(BEN, "tell"))
    assert (await room.answers(number))[-1][3] == "decided"
    assert await room.questions() == []


async def test_an_answer_twice_counts_once(open_room: OpenRoom) -> None:
    room = await open_room(stages=[{"ask": ["approvers"], "need": "all"}])
    number = await room.ask()
    await room.reply(ANNA, "Approved")
    await room.reply(ANNA, "No, the address is wrong")
    assert await room.answers(number) == [(ANNA, "approve", True, ""), (ANNA, "reject", False, "answered")]
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "answered")]


async def test_the_same_message_told_twice_is_answered_once(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "hm?")
    await room.rows(
        "INSERT INTO event (kind, subject, payload) SELECT kind, subject, payload FROM event "
        "WHERE kind = 'sighting.replied' RETURNING 1"
    )
    await room.answer_events()
    assert len(await room.answers(number)) == 1
    assert await room.questions() == [(ANNA, "unclear")]


async def test_an_answer_after_the_deadline_counts_as_late(room: AnswerRoom) -> None:
    number = await room.ask()
    room.pass_time(hours=9)
    async with room.pool.connection() as conn:
        await room.desk.apply_due(conn, 10)
    await room.reply(ANNA, "Approved")
    review = await room.review(number)
    assert review.state is State.APPROVED
    assert review.decision is not None
    assert review.decision.late


async def test_an_answer_to_a_round_that_is_over_never_counts_for_the_new_one(room: AnswerRoom) -> None:
    number = await room.ask()
    old = await room.token(ANNA)
    await room.let(number, NewContent(Shown("2" * 64)))
    assert await room.token(ANNA) != old
    await room.reply(ANNA, "Approved", to=old)
    assert (await room.review(number)).state is State.OPEN
    assert await room.answers(number) == [(ANNA, "approve", False, "old_round")]
    assert await room.questions() == [(ANNA, "old_round")]
    await room.send_due()
    # An answer to that word shows no more content than the old mail did.
    await room.reply(ANNA, "Approved", to=await room.token(ANNA, "question"))
    assert (await room.review(number)).state is State.OPEN
    await room.reply(ANNA, "Approved", to=await room.token(ANNA))
    assert (await room.review(number)).state is State.APPROVED


async def test_an_answer_in_the_thread_without_its_token_is_asked_for_again(room: AnswerRoom) -> None:
    number = await room.ask()
    [row] = await room.rows("SELECT thread_id, message_id FROM delivery WHERE token = %s", await room.token(ANNA))
    sent = await room.gmail.mailbox(BOX).get_message(row["message_id"])
    head = {"In-Reply-To": str(sent.headers.get("Message-ID")), "References": str(sent.headers.get("Message-ID"))}
    await room.deliver(ANNA, "Approved", token="", headers=head)
    assert (await room.review(number)).state is State.OPEN
    assert await room.answers(number) == [(ANNA, None, False, "no_token")]
    assert await room.questions() == [(ANNA, "no_token")]


async def test_an_answer_in_the_thread_of_another_counts_for_its_token(room: AnswerRoom) -> None:
    first, second = await room.ask(ref="1"), await room.ask("2", ref="2")
    [row] = await room.rows(
        "SELECT message_id FROM delivery d JOIN review_mail m USING (token) WHERE m.thread = %s",
        f"review:{first}:{ANNA}",
    )
    sent = await room.gmail.mailbox(BOX).get_message(row["message_id"])
    head = {"In-Reply-To": str(sent.headers.get("Message-ID")), "References": str(sent.headers.get("Message-ID"))}
    await room.deliver(ANNA, "Approved", token=await room.token(ANNA), headers=head)
    assert (await room.review(first)).state is State.OPEN
    assert (await room.review(second)).state is State.APPROVED


async def test_a_language_that_is_not_configured_decides_nothing(open_room: OpenRoom) -> None:
    room = await open_room(mail={"languages": ["en"]})
    number = await room.ask()
    await room.reply(ANNA, "Freigegeben")
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "unclear")]


async def test_a_megabyte_decides_nothing(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "Approved. " * 100_000)
    assert (await room.review(number)).state is State.OPEN
    [answer] = await room.rows("SELECT words, why FROM review_answer WHERE review_id = %s", number)
    assert len(answer["words"]) <= 2_000
    assert answer["why"] == "unclear"


async def test_an_afterthought_below_the_greeting_is_not_passed_over(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.reply(ANNA, "Approved.\n\nKind regards\nAnna\n\nPS: but please wait for legal")
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "unclear")]


async def test_where_a_sign_in_is_needed_mail_decides_nothing(open_room: OpenRoom) -> None:
    room = await open_room(rules={"sign_in": True})
    number = await room.ask()
    await room.reply(ANNA, "Approved")
    assert await room.answers(number) == [(ANNA, "approve", False, "sign_in")]
    assert await room.questions() == [(ANNA, "sign_in")]


async def test_where_mail_is_not_taken_the_machine_says_so(open_room: OpenRoom) -> None:
    room = await open_room(rules={"by_mail": False})
    number = await room.ask()
    await room.reply(ANNA, "Approved")
    assert (await room.review(number)).state is State.OPEN
    assert await room.questions() == [(ANNA, "not_allowed")]


async def test_two_programs_do_not_talk_to_each_other_for_ever(room: AnswerRoom) -> None:
    number = await room.ask()
    for round_trip in range(12):
        await room.reply(CARL, f"Thank you for your message, number {round_trip}.")
        await room.send_due()
    assert (await room.review(number)).state is State.OPEN
    assert len(await room.answers(number)) == 12
    assert await room.questions() == [(CARL, "unclear")] * 3
    # Days later it is still not endless.
    for day in range(10):
        await room.rows("UPDATE review_mail SET created_at = created_at - interval '2 days' RETURNING 1")
        await room.reply(CARL, f"Thank you for your message on day {day}.")
        await room.send_due()
    assert len(await room.questions()) == 9


async def test_one_mail_answers_several_by_their_numbers(room: AnswerRoom) -> None:
    numbers = [await room.ask(ref=str(n)) for n in range(3)]
    await room.bundle(ANNA, numbers)
    await room.reply(ANNA, "1 ok, 2 no wrong amount")
    states = [(await room.review(number)).state for number in numbers]
    assert states == [State.APPROVED, State.REJECTED, State.OPEN]
    assert await room.questions() == []


async def test_all_answers_all_that_a_mail_asks_about(room: AnswerRoom) -> None:
    numbers = [await room.ask(ref=str(n)) for n in range(3)]
    await room.bundle(ANNA, numbers)
    await room.reply(ANNA, "all approved")
    assert {(await room.review(number)).state for number in numbers} == {State.APPROVED}
    [decisions] = {len(room.decisions)}
    assert decisions == 3


@pytest.mark.parametrize("text", ["ok", "1 ok, 4 no wrong amount", "1 ok, 2 maybe", "1 ok, 1 no wrong amount"])
async def test_an_unclear_answer_about_several_is_asked_once_and_can_be_given_again(
    room: AnswerRoom, text: str
) -> None:
    numbers = [await room.ask(ref=str(n)) for n in range(3)]
    await room.bundle(ANNA, numbers)
    await room.reply(ANNA, text)
    assert {(await room.review(number)).state for number in numbers} == {State.OPEN}
    assert await room.questions() == [(ANNA, "unclear")]
    await room.send_due()
    await room.reply(ANNA, "3 no wrong name, 1 ok", to=await room.token(ANNA, "question"))
    states = [(await room.review(number)).state for number in numbers]
    assert states == [State.APPROVED, State.OPEN, State.REJECTED]


async def test_of_one_mail_about_several_what_is_decided_meanwhile_is_told_and_the_rest_counts(
    room: AnswerRoom,
) -> None:
    numbers = [await room.ask(ref=str(n)) for n in range(2)]
    token = await room.bundle(ANNA, numbers)
    await room.deliver(BEN, "Approved", token=await room.token(BEN))
    await room.reply(ANNA, "all rejected: wrong amounts", to=token)
    assert [(await room.review(number)).state for number in numbers] == [State.REJECTED, State.APPROVED]
    assert await room.questions() == [(ANNA, "decided")]


async def test_an_answer_to_mail_of_ours_that_asks_nothing_is_no_answer(room: AnswerRoom) -> None:
    await room.ask()
    await room.deliver(ANNA, "Approved", token="0123456789abcdefghjkmnpqrs")
    assert await room.questions() == []
    assert await room.rows("SELECT id FROM review_answer") == []


async def test_every_answer_stands_in_the_audit_chain(room: AnswerRoom) -> None:
    number = await room.ask()
    await room.deliver(EVE, "Approved", token=await room.token(ANNA))
    await room.reply(ANNA, "Approved")
    rows = await room.rows("SELECT kind FROM audit WHERE subject = %s ORDER BY seq", f"review:{number}")
    kinds = [row["kind"] for row in rows]
    assert kinds.index("review.not_counted") < kinds.index("review.question") < kinds.index("review.answered")
    assert Verdict.APPROVE in {decision.verdict for decision in room.decisions}


async def test_an_answer_counts_though_the_policy_was_taken_out_since(room: AnswerRoom) -> None:
    number = await room.ask()
    room.policies = EMPTY
    room.__post_init__()
    await room.reply(ANNA, "Approved, thanks.\n\nAnna")
    assert (await room.review(number)).state is State.APPROVED
    assert len(room.decisions) == 1
