"""The three fault points, on the wire."""

import asyncio
import errno
import time
from typing import Any

import aiohttp
import pytest
from sandbox_desk import SENDER, Desk, Letter, Open

BEFORE = {
    "unauthorized": (401, "authError"),
    "rate_limited": (403, "rateLimitExceeded"),
    "user_rate_limited": (403, "userRateLimitExceeded"),
    "rate_limited_429": (429, "rateLimitExceeded"),
    "cloud_quota": (403, "rateLimitExceeded"),
    "project_exhausted": (403, "dailyLimitExceeded"),
    "domain_policy": (403, "domainPolicy"),
    "scope_insufficient": (403, "insufficientPermissions"),
    "delegation_denied": (403, "forbidden"),
    "mail_sending": (429, "userRateLimitExceeded"),
    "concurrency": (429, "rateLimitExceeded"),
    "exhausted": (429, "rateLimitExceeded"),
    "mail_service_off": (400, "failedPrecondition"),
    "500": (500, "backendError"),
    "503": (503, "backendError"),
    "504": (504, "backendError"),
}


async def strike(desk: Desk, point: str, kind: str, **more: object) -> None:
    await desk.control("POST", "faults", {"point": point, "kind": kind, "times": 1} | more)


@pytest.mark.parametrize("kind", BEFORE)
async def test_a_refusal_before_the_effect_leaves_nothing_behind(desk: Desk, letter: Letter, kind: str) -> None:
    draft_id = await desk.draft(letter())
    await strike(desk, "before", kind, method="drafts.send")
    answer = await desk.call("POST", "drafts/send", json={"id": draft_id})
    assert (answer.status, answer.error["errors"][0]["reason"]) == BEFORE[kind]
    assert answer.error["code"] == answer.status
    assert (await desk.call("GET", f"drafts/{draft_id}")).status == 200
    assert await desk.delivered() == 0
    assert (await desk.call("POST", "drafts/send", json={"id": draft_id})).status == 200


@pytest.mark.parametrize(("kind", "status"), [("502", 502), ("html", 400)])
async def test_the_front_end_answers_in_html(desk: Desk, letter: Letter, kind: str, status: int) -> None:
    await strike(desk, "before", kind, status=status)
    answer = await desk.send(letter())
    assert (answer.status, answer.headers.get("Content-Type", "").partition(";")[0]) == (status, "text/html")
    assert await desk.delivered() == 0


@pytest.mark.parametrize("kind", ["reset", "hang"])
async def test_a_connection_cut_before_the_effect_did_nothing(desk: Desk, letter: Letter, kind: str) -> None:
    await strike(desk, "before", kind, delay=0.05, method="messages.send")
    with pytest.raises(aiohttp.ClientError):
        await desk.send(letter())
    assert await desk.delivered() == 0


@pytest.mark.parametrize("kind", ["reset", "hang"])
async def test_a_connection_cut_after_the_effect_did_it(desk: Desk, letter: Letter, kind: str) -> None:
    draft_id = await desk.draft(letter())
    await strike(desk, "after", kind, delay=0.05, method="drafts.send")
    with pytest.raises(aiohttp.ClientError):
        await desk.call("POST", "drafts/send", json={"id": draft_id})
    assert await desk.delivered() == 1
    assert (await desk.call("GET", f"drafts/{draft_id}")).status == 404
    sent = (await desk.call("GET", "messages?labelIds=SENT")).json["messages"]
    assert len(sent) == 1


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "html"])
async def test_a_server_error_after_the_effect_did_it(desk: Desk, letter: Letter, kind: str) -> None:
    await strike(desk, "after", kind)
    assert (await desk.send(letter())).status >= 500
    assert await desk.delivered() == 1


async def test_silence_lasts_as_long_as_asked(desk: Desk, letter: Letter) -> None:
    await strike(desk, "after", "hang", delay=0.3)
    begun = time.monotonic()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await desk.send(letter())
    assert 0.25 < time.monotonic() - begun < 5


async def test_a_reset_is_a_reset_of_the_connection(desk: Desk, letter: Letter) -> None:
    await strike(desk, "after", "reset")
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await desk.send(letter())
    assert caught.value.errno == errno.ECONNRESET


async def test_the_time_in_a_refusal_is_as_far_off_as_asked(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0, clock_start="2026-11-23T09:00:00+00:00")
    await strike(desk, "before", "rate_limited_429", delay=90)
    answer = await desk.send(letter())
    assert answer.error["message"] == "User-rate limit exceeded.  Retry after 2026-11-23T09:01:30.000Z"
    assert "Retry-After" not in answer.headers


async def test_a_refused_port_opens_again_by_itself(desk: Desk, eventually: Any) -> None:
    await strike(desk, "before", "refused", delay=0.2)
    with pytest.raises(aiohttp.ClientError):
        await desk.call("GET", "profile")

    refused = []

    async def is_open() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{desk.running.url}/sandbox/v1/state"):
                return True
        except aiohttp.ClientConnectorError as error:
            refused.append(error)
            return False

    await eventually(is_open, within=10)
    assert refused


async def test_a_duplicate_page_comes_again_and_the_list_still_ends(desk: Desk, letter: Letter) -> None:
    for number in range(3):
        await desk.send(letter(f"c{number}@example.org"))
    await desk.control("POST", "faults", {"point": "odd", "kind": "duplicate_page", "positions": [2]})
    seen, token = [], ""
    for _ in range(4):
        page = (await desk.call("GET", f"messages?maxResults=1&pageToken={token}")).json
        seen.append(page["messages"][0]["id"])
        token = page.get("nextPageToken", "")
    assert token == ""
    assert seen[1] == seen[2]
    assert len(set(seen)) == 3


@pytest.mark.parametrize("path", ["messages", "drafts", "history?startHistoryId={start}"])
async def test_an_empty_page_has_no_list_but_a_way_on(desk: Desk, letter: Letter, path: str) -> None:
    start = (await desk.call("GET", "profile")).json["historyId"]
    await desk.draft(letter())
    await strike(desk, "odd", "empty_page")
    path = path.format(start=start)
    joint = "&" if "?" in path else "?"
    empty = (await desk.call("GET", path)).json
    key = path.partition("?")[0]
    assert key not in empty
    full = (await desk.call("GET", f"{path}{joint}pageToken={empty['nextPageToken']}")).json
    assert len(full[key]) == 1


async def test_an_expired_history_id_is_not_found(desk: Desk) -> None:
    start = (await desk.call("GET", "profile")).json["historyId"]
    await strike(desk, "odd", "expired_history")
    answer = await desk.call("GET", f"history?startHistoryId={start}")
    assert (answer.status, answer.error["status"]) == (404, "NOT_FOUND")
    assert (await desk.call("GET", f"history?startHistoryId={start}")).status == 200


async def test_a_message_vanishes_for_good_between_list_and_get(desk: Desk, letter: Letter) -> None:
    await desk.send(letter())
    listed = (await desk.call("GET", "messages")).json["messages"][0]["id"]
    await strike(desk, "odd", "vanished", method="messages.get")
    assert (await desk.call("GET", f"messages/{listed}")).status == 404
    assert (await desk.call("GET", f"messages/{listed}")).status == 404
    assert "messages" not in (await desk.call("GET", "messages")).json


async def test_a_lagging_index_does_not_show_what_is_new(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0)
    start = (await desk.call("GET", "profile")).json["historyId"]
    await desk.send(letter())
    await desk.control("POST", "faults", {"point": "odd", "kind": "lag", "delay": 3})
    assert "messages" not in (await desk.call("GET", "messages?labelIds=SENT")).json
    assert "history" not in (await desk.call("GET", f"history?startHistoryId={start}")).json
    await desk.control("POST", "clock", {"advance": 4})
    assert len((await desk.call("GET", "messages?labelIds=SENT")).json["messages"]) == 1
    assert len((await desk.call("GET", f"history?startHistoryId={start}")).json["history"]) == 1


async def test_a_slow_answer_is_right_and_late(desk: Desk, letter: Letter) -> None:
    await strike(desk, "odd", "slow", delay=0.2)
    begun = time.monotonic()
    assert (await desk.send(letter())).status == 200
    assert time.monotonic() - begun >= 0.2


async def test_rules_strike_only_their_method_and_mailbox(desk: Desk, letter: Letter) -> None:
    rules = [{"point": "before", "kind": "503", "method": "drafts.*", "mailbox": "statements@*"}]
    await desk.control("POST", "faults", {"rules": rules})
    assert (await desk.upload("drafts", letter())).status == 503
    assert (await desk.upload("drafts", letter(), user="colleague@bank.example")).status == 200
    assert (await desk.send(letter())).status == 200
    await desk.control("DELETE", "faults")
    assert (await desk.upload("drafts", letter())).status == 200


async def test_a_share_of_calls_is_struck_alike_for_one_seed(open_desk: Open) -> None:
    rule = {"point": "before", "kind": "500", "probability": 0.3}

    async def statuses(seed: int) -> list[int]:
        desk = await open_desk(seed=seed)
        await desk.control("POST", "faults", rule)
        return [(await desk.call("GET", "profile")).status for _ in range(40)]

    first, again, other = await statuses(7), await statuses(7), await statuses(8)
    assert first == again
    assert first != other
    assert 2 <= first.count(500) <= 25


async def test_the_ledger_counts_faults_and_refusals(desk: Desk, letter: Letter) -> None:
    await strike(desk, "before", "exhausted")
    await desk.send(letter())
    ledger = await desk.control("GET", "ledger")
    assert ledger["faults"] == {"before-exhausted": 1}
    assert ledger["refusals"] == {"429 rateLimitExceeded": 1}
    assert ledger["mailboxes"][SENDER]["refusals"] == {"429 rateLimitExceeded": 1}


async def test_a_rule_that_makes_no_sense_is_refused(desk: Desk) -> None:
    answer = await desk.http("POST", "/sandbox/v1/faults", json={"point": "after", "kind": "unauthorized"})
    assert answer.status == 400
    assert "cannot strike at point 'after'" in answer.text


async def test_a_sandbox_in_the_middle_of_a_hang_still_shuts_down_at_once(
    open_desk: Open, letter: Letter, eventually: Any
) -> None:
    desk = await open_desk()
    await strike(desk, "after", "hang", delay=60)
    hanging = asyncio.ensure_future(desk.send(letter()))

    await eventually(lambda: list(desk.running.world.received()))
    begun = time.monotonic()
    await desk.running.close()
    assert time.monotonic() - begun < 5
    with pytest.raises(aiohttp.ClientError):
        await hanging
