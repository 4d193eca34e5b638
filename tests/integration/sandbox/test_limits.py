"""Every limit, and the words it is refused with."""

import asyncio
import re
from typing import Any

from sandbox_desk import SENDER, Desk, Letter, Open

FROZEN = {"clock_rate": 0.0, "clock_start": "2026-11-23T09:00:00+00:00"}
RETRY = re.compile(r"User-rate limit exceeded\.  Retry after (2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)(.*)")


async def advance(desk: Desk, seconds: float) -> None:
    await desk.control("POST", "clock", {"advance": seconds})


async def test_the_first_call_over_the_units_meets_the_cloud_quota(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limits="google-2026", **FROZEN)
    answers = [await desk.send(letter(f"c{number}@example.org")) for number in range(61)]
    assert [answer.status for answer in answers] == [200] * 60 + [403]
    error = answers[-1].error
    assert error["message"] == (
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service "
        "'gmail.googleapis.com' for consumer 'project_number:100000000001'."
    )
    assert error["errors"][0]["reason"] == "rateLimitExceeded"
    assert error["errors"][0]["domain"] == "usageLimits"
    assert await desk.delivered() == 60


async def test_units_come_back_exactly_a_minute_after_they_were_spent(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limits="google-2026", **FROZEN)
    for number in range(60):
        assert (await desk.send(letter(f"c{number}@example.org"))).status == 200
    await advance(desk, 59.9)
    assert (await desk.call("GET", "profile")).status == 403
    await advance(desk, 0.2)
    assert (await desk.call("GET", "profile")).status == 200


async def test_who_comes_again_is_told_the_time_in_the_text_and_pushed_back_if_early(
    open_desk: Open, letter: Letter
) -> None:
    desk = await open_desk(limits="google-2026", limit_overrides={"units_per_minute_user": "100/min"}, **FROZEN)
    await desk.send(letter())
    await desk.call("GET", "profile")
    told = await desk.call("GET", "profile")
    assert told.status == 403
    assert told.error["errors"][0]["reason"] == "userRateLimitExceeded"
    assert RETRY.fullmatch(told.error["message"])[1] == "2026-11-23T09:01:00.000Z"
    await advance(desk, 10)
    early = await desk.call("GET", "profile")
    assert (early.status, RETRY.fullmatch(early.error["message"])[1]) == (429, "2026-11-23T09:01:15.000Z")
    await advance(desk, 64.9)
    assert (await desk.call("GET", "profile")).status == 429
    await advance(desk, 20)
    assert (await desk.call("GET", "profile")).status == 200


async def test_the_older_regime_allows_fifteen_thousand_units(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limits="google-2025", **FROZEN)
    for number in range(150):
        assert (await desk.send(letter(f"c{number}@example.org"))).status == 200
    assert (await desk.send(letter())).status == 403


async def test_the_project_has_units_of_its_own(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limits="google-2026", limit_overrides={"units_per_minute_project": "150/min"}, **FROZEN)
    await desk.send(letter())
    refused = await desk.send(letter(), user="colleague@bank.example")
    assert refused.status == 403
    assert "limit 'Queries per minute' of service" in refused.error["message"]


async def test_a_project_exhausted_for_the_day_says_so(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(project_units_per_day=150, **FROZEN)
    await desk.send(letter())
    refused = await desk.send(letter())
    assert (refused.status, refused.error["errors"][0]["reason"]) == (403, "dailyLimitExceeded")


async def test_over_the_daily_limit_gmail_says_yes_and_means_no(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"messages_per_day": "2/day"}, answers_after_limit=1, **FROZEN)
    for number in range(2):
        assert (await desk.send(letter(f"c{number}@example.org"))).status == 200
    over = await desk.send(letter("late@example.org"))
    assert over.status == 200
    assert await desk.delivered() == 2
    thread = (await desk.call("GET", f"threads/{over.json['threadId']}?format=metadata")).json["messages"]
    assert [entry["labelIds"] for entry in thread] == [["SENT"], ["INBOX", "UNREAD"]]
    headers = {header["name"]: header["value"] for header in thread[1]["payload"]["headers"]}
    assert headers["From"] == "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
    assert headers["Subject"] == "Delivery Status Notification (Failure)"
    assert (headers["Auto-Submitted"], headers["Return-Path"]) == ("auto-replied", "<>")
    assert "X-Failed-Recipients" not in headers
    assert thread[1]["payload"]["mimeType"] == "multipart/alternative"
    assert thread[1]["snippet"].endswith("You have reached a limit for sending mail. Your message was not sent.")


async def test_some_answers_after_the_daily_limit_429_begins(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"messages_per_day": "1/day"}, answers_after_limit=1, **FROZEN)
    await desk.send(letter())
    await desk.send(letter())
    sent = (await desk.call("GET", "messages?labelIds=SENT")).json["resultSizeEstimate"]
    draft_id = await desk.draft(letter())
    refused = await desk.call("POST", "drafts/send", json={"id": draft_id})
    assert refused.status == 429
    assert RETRY.fullmatch(refused.error["message"]).groups() == ("2026-11-24T09:00:00.000Z", " (Mail sending)")
    assert (await desk.call("GET", "messages?labelIds=SENT")).json["resultSizeEstimate"] == sent
    await advance(desk, 86_401)
    assert (await desk.call("POST", "drafts/send", json={"id": draft_id})).status == 200
    assert await desk.delivered() == 2


async def test_the_notice_speaks_the_users_language(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"messages_per_day": "1/day"}, notice_language="de")
    await desk.send(letter())
    over = (await desk.send(letter())).json
    thread = (await desk.call("GET", f"threads/{over['threadId']}")).json["messages"]
    assert "Limit für das Senden" in thread[1]["snippet"]


async def test_the_notice_comes_by_itself_a_moment_later(open_desk: Open, letter: Letter, eventually: Any) -> None:
    desk = await open_desk(limit_overrides={"messages_per_day": "1/day"}, notice_delay_seconds=0.05)
    await desk.send(letter())
    over = (await desk.send(letter())).json

    async def thread() -> list[dict[str, Any]]:
        return (await desk.call("GET", f"threads/{over['threadId']}")).json["messages"]

    async def is_noticed() -> bool:
        return len(await thread()) > 1

    assert len(await thread()) == 1
    await eventually(is_noticed)


async def test_recipients_count_for_the_day_as_well(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"recipients_per_day": "3/day"}, answers_after_limit=0)
    assert (await desk.send(letter("a@example.org, b@example.org"))).status == 200
    assert (await desk.send(letter("c@example.org, d@example.org"))).status == 429


async def test_a_message_may_have_only_so_many_recipients(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(recipients_per_message=2)
    assert (await desk.send(letter("a@example.org, b@example.org, c@example.org"))).status == 400
    assert await desk.delivered() == 0


async def test_one_mailbox_may_have_a_limit_of_its_own(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(answers_after_limit=0)
    await desk.control("POST", "mailbox", {"address": SENDER, "daily_limit": 1})
    assert (await desk.send(letter())).status == 200
    assert (await desk.send(letter())).status == 429
    assert (await desk.send(letter(), user="colleague@bank.example")).status == 200


async def test_a_parked_mailbox_says_mail_sending_until_its_time(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(**FROZEN)
    await desk.control("POST", "mailbox", {"address": SENDER, "mail_sending_until": "2026-11-23T10:00:00Z"})
    draft_id = await desk.draft(letter())
    refused = await desk.call("POST", "drafts/send", json={"id": draft_id})
    assert refused.error["message"] == "User-rate limit exceeded.  Retry after 2026-11-23T10:00:00.000Z (Mail sending)"
    assert (await desk.call("GET", f"drafts/{draft_id}")).status == 200
    await advance(desk, 3_601)
    assert (await desk.call("POST", "drafts/send", json={"id": draft_id})).status == 200


async def test_uploaded_bytes_have_a_day_of_their_own(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"upload_bytes_per_day": "1_000/day"}, **FROZEN)
    assert (await desk.upload("drafts", letter() + b"x" * 700)).status == 200
    refused = await desk.upload("drafts", letter() + b"x" * 700)
    assert (refused.status, RETRY.fullmatch(refused.error["message"])[2]) == (429, "")
    assert len((await desk.call("GET", "drafts")).json["drafts"]) == 1


async def test_too_large_an_upload_is_an_html_page_of_the_front_end(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"max_upload_bytes": "10 kB"}, json_body_bytes=10_000)
    for answer in (
        await desk.send(letter() + b"x" * 20_000),
        await desk.call("POST", "messages/send", json={"raw": "A" * 20_000}),
    ):
        assert answer.status == 413
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "413" in answer.text
    assert await desk.delivered() == 0


async def test_an_upload_of_35_mib_passes_and_one_byte_more_does_not(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"max_message_bytes": "50 MB"})
    small = letter()
    assert (await desk.send(small + b"x" * (36_700_160 - len(small)))).status == 200
    assert (await desk.send(small + b"x" * (36_700_161 - len(small)))).status == 413


async def test_more_than_ten_in_flight_are_too_many_for_one_user(desk: Desk, letter: Letter) -> None:
    await desk.control("POST", "faults", {"point": "odd", "kind": "slow", "delay": 0.3})
    answers = await asyncio.gather(*(desk.call("GET", "profile") for _ in range(14)))
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) == 4
    for answer in refused:
        assert answer.status == 429
        assert answer.error["message"] == "Too many concurrent requests for user"
        assert answer.error["status"] == "RESOURCE_EXHAUSTED"
        assert answer.error["errors"][0]["reason"] == "rateLimitExceeded"
    ledger = await desk.control("GET", "ledger")
    assert ledger["mailboxes"][SENDER]["most_in_flight"] == 10


async def test_the_ledger_knows_the_best_minute_of_each_mailbox(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(**FROZEN)
    for _ in range(3):
        await desk.send(letter())
    await advance(desk, 61)
    await desk.send(letter())
    ledger = await desk.control("GET", "ledger")
    assert ledger["mailboxes"][SENDER]["best_minute_units"] == 300
    assert ledger["mailboxes"][SENDER]["units_last_minute"] == 100
    assert ledger["calls"] == {"messages.send": 4}
