"""One mailbox for a conversation, and what happens when its thread is gone."""

from email.message import EmailMessage
from typing import Any

from letters_desk import ANNA, POOL, R1, R2, LettersDesk

from millstream.communication.model import Mode


async def _some(desk: LettersDesk, count: int) -> list[EmailMessage] | None:
    found = await desk.inbox(ANNA)
    return found if len(found) >= count else None


async def _first(desk: LettersDesk, eventually: Any) -> tuple[int, dict[str, Any]]:
    """A review whose question has arrived and is kept."""
    review = await desk.open()
    number = await desk.put("ask", review)
    async with desk.working():

        async def kept() -> dict[str, Any] | None:
            mail = await desk.mail(number)
            return mail if mail["raw"] else None

        mail = await eventually(kept, within=15)
    return review, mail


async def _delete_thread(desk: LettersDesk, thread_id: str) -> None:
    """The owner of our mailbox deletes a thread for good."""
    url = f"{desk.running.url}/gmail/v1/users/{R1}/threads/{thread_id}"
    async with desk.session.delete(url, headers={"Authorization": f"Bearer sandbox:{R1}"}) as reply:
        assert reply.status == 204, await reply.text()


async def test_a_conversation_is_carried_by_the_mailbox_that_has_it(desk: LettersDesk, eventually: Any) -> None:
    review, first = await _first(desk, eventually)
    await desk.store.register({POOL: (R1, R2)})
    for _ in range(3):
        await desk.put("remind", review, n=1)
    async with desk.working():
        await eventually(lambda: _some(desk, 4), within=30)
    rows = await desk.rows("SELECT mailbox, thread_id FROM delivery")
    assert {(row["mailbox"], row["thread_id"]) for row in rows} == {(R1, first["thread_id"])}


async def test_without_drafts_a_conversation_holds_too(desk: LettersDesk, eventually: Any) -> None:
    desk.mode = Mode.DIRECT
    review, first = await _first(desk, eventually)
    kept = await desk.put("remind", review, n=1)
    async with desk.working():
        await eventually(lambda: _some(desk, 2), within=20)
    assert (await desk.mail(kept))["thread_id"] == first["thread_id"]
    await _delete_thread(desk, first["thread_id"])
    fresh = await desk.put("remind", review, n=2)
    async with desk.working():
        await eventually(lambda: _some(desk, 3), within=20)
    assert (await desk.mail(fresh))["thread_id"] != first["thread_id"]


async def test_a_thread_whose_mailbox_rests_is_left_to_others_after_an_hour(desk: LettersDesk, eventually: Any) -> None:
    review, first = await _first(desk, eventually)
    await desk.store.register({POOL: (R2,)}, retire=True)
    number = await desk.put("remind", review, n=1)
    async with desk.working():

        async def handed() -> str | None:
            return (await desk.mail(number))["token"]

        await eventually(handed, within=10)
        assert (await desk.mail(number))["mailbox"] is None  # R2 leaves it to R1
        await desk.rows("UPDATE delivery SET due_at = now() - interval '61 minutes' WHERE disposition = 'queued'")
        [_, second] = await eventually(lambda: _some(desk, 2), within=20)
    mail = await desk.mail(number)
    assert mail["mailbox"] == R2
    assert second["References"] == f"<{first['rfc822_id']}>"


async def test_a_thread_that_was_deleted_meanwhile_begins_anew(desk: LettersDesk, eventually: Any) -> None:
    review, first = await _first(desk, eventually)
    await _delete_thread(desk, first["thread_id"])
    number = await desk.put("remind", review, n=1)
    async with desk.working():
        [_, second] = await eventually(lambda: _some(desk, 2), within=20)
    mail = await desk.mail(number)
    assert mail["disposition"] == "accepted"
    assert mail["thread_id"] != first["thread_id"]
    assert second["References"] == f"<{first['rfc822_id']}>"
    attempts = await desk.rows(
        "SELECT kind, outcome FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.token = %(t)s",
        t=mail["token"],
    )
    assert {row["outcome"] for row in attempts} <= {"ok", "intended"}


async def test_after_a_question_that_bounced_the_next_begins_anew(desk: LettersDesk, eventually: Any) -> None:
    review, first = await _first(desk, eventually)
    await desk.rows("UPDATE delivery SET sighted = '{bounced_hard}'")
    number = await desk.put("remind", review, n=1)
    async with desk.working():
        [_, second] = await eventually(lambda: _some(desk, 2), within=20)
    assert second["References"] is None
    assert not second["Subject"].startswith("Re:")
    assert (await desk.mail(number))["thread_id"] != first["thread_id"]


async def test_without_a_page_here_a_letter_that_offers_one_is_held(desk: LettersDesk, eventually: Any) -> None:
    desk.options = type(desk.options)(limits=desk.options.limits, sender=desk.options.sender, linger=0.3)
    number = await desk.put("ask", await desk.open())
    async with desk.working():

        async def held() -> bool:
            return (await desk.mail(number))["disposition"] == "held"

        await eventually(held, within=15)
    [row] = await desk.rows("SELECT reason, detail FROM delivery")
    assert row["reason"] == "bad_content"
    assert "review.base_url" in row["detail"]
    assert await desk.inbox(ANNA) == []


async def test_answers_of_people_are_kept_raw_and_a_deleted_one_is_named(desk: LettersDesk, eventually: Any) -> None:
    review, first = await _first(desk, eventually)
    [question] = (await desk.gmail.mailbox(ANNA).list_messages()).items
    path = f"{desk.running.url}/sandbox/v1/mailboxes/{ANNA}/messages/{question.id}/reply"
    async with desk.session.post(path, json={"text": "approved"}) as reply:
        assert reply.status == 200, await reply.text()
    [answer] = (await desk.gmail.mailbox(R1).list_messages(label_ids=("INBOX",))).items
    for message in (answer.id, "ffffffffffffffff"):
        await desk.rows(
            "INSERT INTO review_paper (review_id, mailbox, message_id) VALUES (%(r)s, %(b)s, %(m)s)",
            r=review,
            b=R1,
            m=message,
        )
    await desk.papers().collect_due()
    rows = {row["message_id"]: row for row in await desk.rows("SELECT * FROM review_paper")}
    kept = await desk.documents.get(rows[answer.id]["sha256"])
    assert b"approved" in kept
    assert first["token"].encode() in kept  # the address it went to
    gone = rows["ffffffffffffffff"]
    assert (gone["sha256"], gone["due_at"]) == (None, None)
    assert gone["failure"]
