"""Every message of a mailbox is seen to once, whatever Gmail answers in between."""

from datetime import timedelta

import pytest
from reading_desk import BOX, ReadingDesk

from millstream.mailbox.model import Role


async def test_what_was_there_and_what_comes_later_is_told_once_each(desk: ReadingDesk) -> None:
    before = {desk.arrive(number=number) for number in range(5)}
    await desk.look()
    later = {desk.arrive(number=number) for number in range(5, 8)}
    await desk.look(3)
    assert await desk.told() == dict.fromkeys(before | later, "mail")
    assert (await desk.mailbox())["phase"] == "delta"


async def test_mail_that_comes_while_the_snapshot_runs_is_told(desk: ReadingDesk) -> None:
    first = desk.arrive(number=1)
    account = desk.running.world.account(BOX)
    assert account is not None
    await desk.rows(
        "UPDATE mailbox SET phase = 'snapshot', history_id = %(id)s, since = now() - interval '7 days'",
        id=account.history.last,
    )
    second = desk.arrive(number=2)  # after the history id was noted
    await desk.look()
    assert set(await desk.told()) == {first, second}


async def test_a_first_look_goes_back_as_far_as_it_should(desk: ReadingDesk) -> None:
    old = [desk.arrive(number=number, age=timedelta(days=30, seconds=-number)) for number in range(40)]
    young = {desk.arrive(number=number, age=timedelta(hours=1)) for number in range(40, 43)}
    await desk.look()
    told = set(await desk.told())
    assert young <= told
    assert len(told & set(old)) < len(old), "it stops at the first piece that is too old"


async def test_what_the_mailbox_itself_sent_or_drafts_is_not_fetched(desk: ReadingDesk) -> None:
    desk.arrive(number=1, labels=("SENT",))
    desk.arrive(number=2, labels=("DRAFT",))
    await desk.look()
    desk.arrive(number=3, labels=("SENT",))
    mine = desk.arrive(number=4, labels=("SENT", "INBOX"))  # written to itself
    await desk.look()
    assert set(await desk.told()) == {mine}


async def test_a_page_without_history_but_with_a_next_token_goes_on(desk: ReadingDesk) -> None:
    await desk.look()
    ids = {desk.arrive(number=number) for number in range(3)}
    await desk.fault("empty_page", method="history.list", times=1)
    await desk.look()
    assert set(await desk.told()) == ids


@pytest.mark.parametrize("method", ["history.list", "messages.list"])
async def test_a_page_that_comes_twice_tells_nothing_twice(desk: ReadingDesk, method: str) -> None:
    if method == "history.list":
        await desk.look()
    ids = {desk.arrive(number=number) for number in range(3)}
    await desk.fault("duplicate_page", method=method, times=2)
    await desk.look(2)
    assert set(await desk.told()) == ids


async def test_an_expired_history_id_means_a_snapshot_that_neither_misses_nor_repeats(desk: ReadingDesk) -> None:
    first = {desk.arrive(number=number) for number in range(3)}
    await desk.look(2)
    second = {desk.arrive(number=number) for number in range(3, 6)}
    await desk.fault("expired_history", method="history.list", times=1)
    await desk.look()
    third = {desk.arrive(number=number) for number in range(6, 9)}
    await desk.look()
    assert set(await desk.told()) == first | second | third
    fetched = await desk.rows("SELECT count(*) AS n FROM sighting")
    assert fetched == [{"n": 9}]


async def test_a_message_that_vanished_before_it_was_fetched_is_noted(desk: ReadingDesk) -> None:
    await desk.look()
    ids = [desk.arrive(number=number) for number in range(3)]
    await desk.fault("vanished", method="messages.get", times=1)
    await desk.look(2)
    told = await desk.told()
    assert set(told) == set(ids)
    assert sorted(told.values()) == ["mail", "mail", "vanished"]


async def test_a_record_that_shows_late_is_not_jumped_over(desk: ReadingDesk) -> None:
    desk.tune(settle=30.0)
    await desk.look()
    shown_late = desk.arrive(number=1)
    await desk.fault("lag", method="history.list", times=1, delay=5.0)
    await desk.look()
    assert await desk.told() == {}
    await desk.look()
    assert set(await desk.told()) == {shown_late}


@pytest.mark.parametrize("kind", ["500", "503", "reset", "rate_limited_429", "concurrency"])
async def test_a_call_that_fails_costs_time_and_no_message(desk: ReadingDesk, kind: str) -> None:
    ids = {desk.arrive(number=number) for number in range(10)}
    await desk.fault(kind, point="before", probability=0.3, delay=0.05, seed=7)
    for _ in range(40):
        await desk.look()
        if set(await desk.told()) == ids and (await desk.mailbox())["trouble"] is None:
            break
    assert set(await desk.told()) == ids


async def test_a_message_that_can_never_be_fetched_is_put_aside_and_holds_up_nobody(desk: ReadingDesk) -> None:
    desk.tune(most_tries=2)
    await desk.look()
    ids = {desk.arrive(number=number) for number in range(3)}
    await desk.fault("500", point="before", method="messages.get", positions=[1, 4, 5, 6, 7, 8, 9])
    await desk.look(3)
    aside = await desk.store.set_aside(BOX)
    assert len(await desk.told()) == 2
    assert set(await desk.told()) | {row["message_id"] for row in aside} == ids
    assert "could not be fetched 2 times" in aside[0]["problem"]
    assert ("mailbox.quarantined", f"mailbox:{BOX}") in await desk.events()


async def test_rubbish_goes_to_quarantine_with_its_source(desk: ReadingDesk) -> None:
    rubbish = desk.arrive(raw=b"\x00\x01\x02 no header at all \xff\xfe")
    good = desk.arrive(number=1)
    await desk.look()
    [aside] = await desk.store.set_aside(BOX)
    assert aside["message_id"] == rubbish
    assert set(await desk.told()) == {good}
    kept = await desk.documents.get(aside["source"])
    assert b"no header at all" in kept
    await desk.store.clear(BOX, rubbish, why="seen", actor="test")
    assert await desk.store.set_aside(BOX) == []


async def test_a_mailbox_listed_anew_tells_nothing_again(desk: ReadingDesk) -> None:
    ids = {desk.arrive(number=number) for number in range(4)}
    await desk.look()
    row = await desk.mailbox()
    await desk.store.start_over(BOX, since=row["added_at"] - timedelta(days=9), actor="test")
    await desk.look()
    assert set(await desk.told()) == ids
    assert len(await desk.rows("SELECT 1 FROM sighting")) == 4


@pytest.mark.parametrize("kind", ["expired_history", "expired_page"])
async def test_what_expires_in_the_middle_of_a_look_costs_no_message(desk: ReadingDesk, kind: str) -> None:
    await desk.look(2)
    ids = {desk.arrive(number=number) for number in range(1_100)}  # three pages
    await desk.fault(kind, method="history.list", positions=[2])
    await desk.look(2)
    assert set(await desk.told()) == ids


async def test_ten_thousand_letters_at_once_are_told_once_each(desk: ReadingDesk) -> None:
    await desk.look(2)
    document = {"count": 10_000, "sender": "customer{n}@example.org", "subject": "Question {n}"}
    async with desk.session.post(f"{desk.running.url}/sandbox/v1/mailboxes/{BOX}/fill", json=document) as reply:
        assert reply.status == 200
    await desk.look(2)
    account = desk.running.world.account(BOX)
    assert account is not None
    assert set(await desk.told()) == set(account.store)
    assert len(account.store) == 10_000


async def test_a_letter_of_thirty_megabytes_is_read_with_its_attachment_undecoded(desk: ReadingDesk) -> None:
    await desk.register(BOX, roles=(Role.REQUEST,))
    head = (
        f"From: Anna Ample <anna.ample@customer.test>\r\nTo: {BOX}\r\nSubject: Large\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
    )
    line = "QUJD" * 19 + "\r\n"
    body = (
        "--m\r\nContent-Type: text/plain\r\n\r\nSee the archive.\r\n--m\r\nContent-Type: application/zip\r\n"
        'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="all.zip"\r\n\r\n'
        f"{line * 385_000}--m--\r\n"
    )
    message = desk.arrive(head=head, body=body)
    await desk.look()
    told = await desk.sighting(message)
    assert (told["kind"], told["reply"]) == ("request", "See the archive.")
    [attached] = told["attachments"]
    assert attached["name"] == "all.zip"
    assert 21_000_000 < attached["size"] < 23_000_000
