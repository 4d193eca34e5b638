"""The control API, and starting and stopping."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

from millstream.quota import QuotaError
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import Running, run, serve


async def test_counts_find_duplicates_and_what_is_missing(desk: Desk, letter: Letter) -> None:
    await desk.send(letter("anna@example.org", delivery="d-1"))
    await desk.send(letter("anna@example.org", delivery="d-1"))
    await desk.send(letter("bert@example.org", delivery="d-2"))
    await desk.send(b"To: anna@example.org\r\nSubject: without\r\n\r\nx")
    counts = await desk.control("GET", "counts?values=1")
    assert (counts["delivered_total"], counts["distinct"], counts["without_header"]) == (3, 2, 1)
    assert counts["duplicates"] == {"d-1": 1}
    assert counts["by_recipient"] == {"anna@example.org": 2, "bert@example.org": 1}
    assert counts["values"] == {"d-1": {"anna@example.org": 2}, "d-2": {"bert@example.org": 1}}
    expected = {"d-1": "anna@example.org", "d-2": "carl@example.org", "d-3": "dora@example.org"}
    compared = await desk.control("POST", "counts", {"expected": expected})
    assert compared["missing"] == {"d-2": "carl@example.org", "d-3": "dora@example.org"}
    assert compared["misdirected"] == {"d-2": ["bert@example.org"]}
    assert (compared["duplicates"], compared["unexpected"]) == ({"d-1": 1}, [])


async def test_counts_go_by_any_header(desk: Desk, letter: Letter) -> None:
    await desk.send(letter(X_Other="one"))
    assert (await desk.control("GET", "counts?header=x-other"))["distinct"] == 1


async def test_the_clock_stands_jumps_and_runs(desk: Desk, eventually) -> None:
    assert (await desk.control("POST", "clock", {"rate": 0, "set": "2027-01-01T00:00:00Z"}))["rate"] == 0
    assert (await desk.control("GET", "clock"))["now"] == "2027-01-01T00:00:00+00:00"
    assert (await desk.control("POST", "clock", {"advance": 90}))["now"] == "2027-01-01T00:01:30+00:00"
    await desk.control("POST", "clock", {"rate": 100_000})

    async def has_run() -> bool:
        now = datetime.fromisoformat((await desk.control("GET", "clock"))["now"])
        return now > datetime(2027, 1, 1, 0, 10, tzinfo=UTC)

    await eventually(has_run)
    assert (await desk.http("POST", "/sandbox/v1/clock", json={"rate": -1})).status == 400


async def test_without_a_start_the_clock_is_the_real_one(desk: Desk) -> None:
    now = datetime.fromisoformat((await desk.control("GET", "clock"))["now"])
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


async def test_a_mailbox_opened_while_running_receives(desk: Desk, letter: Letter) -> None:
    await desk.control("POST", "mailbox", {"address": "new@bank.example", "name": "New"})
    await desk.send(letter("new@bank.example"))
    assert len(await desk.inbox("new@bank.example")) == 1
    listed = await desk.control("GET", "mailboxes")
    assert [entry["address"] for entry in listed["mailboxes"] if entry["local"]] == [
        COLLEAGUE,
        "new@bank.example",
        SENDER,
    ]
    await desk.control("DELETE", "mailboxes/new@bank.example")
    await desk.send(letter("new@bank.example"))
    assert len(await desk.inbox(SENDER)) == 1


async def test_a_change_of_one_thing_leaves_the_others(desk: Desk) -> None:
    await desk.control("POST", "mailbox", {"address": SENDER, "daily_limit": 5})
    changed = await desk.control("POST", "mailbox", {"address": SENDER, "token_dead": True})
    assert (changed["daily_limit"], changed["token_dead"]) == (5, True)
    back = await desk.control("POST", "mailbox", {"address": SENDER, "daily_limit": None})
    assert back["daily_limit"] is None


async def test_mail_from_outside_can_be_let_in(desk: Desk) -> None:
    letter = {"sender": "anna@example.org", "recipients": [SENDER], "subject": "Question", "text": "Why?"}
    await desk.control("POST", "deliver", letter | {"headers": {"X-Kind": "reply"}})
    entry = (await desk.inbox(SENDER))[0]
    assert (entry["headers"]["Subject"], entry["headers"]["X-Kind"]) == ("Question", "reply")
    raw = {"sender": "anna@example.org", "recipients": [SENDER], "raw": "Subject: Raw\r\n\r\nx"}
    await desk.control("POST", "deliver", raw)
    assert (await desk.inbox(SENDER))[0]["headers"]["Subject"] == "Raw"


async def test_a_reset_forgets_mail_faults_and_ledger(desk: Desk, letter: Letter) -> None:
    await desk.send(letter())
    await desk.control("POST", "faults", {"point": "before", "kind": "500"})
    state = await desk.control("POST", "reset", {})
    assert (state["messages"], state["faults"], state["mailboxes"]) == (0, [], {"local": 2, "outside": 0})
    assert (await desk.control("GET", "ledger"))["calls"] == {}
    assert (await desk.send(letter())).status == 200


async def test_documents_that_do_not_fit_say_what_is_wrong(desk: Desk) -> None:
    wrong = await desk.http("POST", "/sandbox/v1/mailbox", json={"address": "x@y.example", "colour": "red"})
    assert (wrong.status, wrong.json["errors"][0]["loc"]) == (400, ["colour"])
    assert (await desk.http("POST", "/sandbox/v1/mailbox", data=b"{")).status == 400
    assert (await desk.http("GET", "/sandbox/v1/mailboxes/none@bank.example")).status == 404


async def test_pages_from_elsewhere_cannot_reach_the_control_api(desk: Desk) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert (await desk.http("POST", "/sandbox/v1/reset", json={}, headers=headers)).status == 403
        assert (await desk.http("GET", "/sandbox/v1/state", headers=headers)).status == 403


async def test_an_outage_shuts_the_port_for_a_while(desk: Desk, eventually) -> None:
    await desk.control("POST", "outage", {"seconds": 0.2})

    async def state() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{desk.running.url}/sandbox/v1/state"):
                return True
        except aiohttp.ClientConnectorError:
            return False

    await eventually(lambda: _not(state()))
    await eventually(state)


async def _not(answer) -> bool:
    return not await answer


async def test_faults_and_limits_can_hold_from_the_start(open_desk: Open) -> None:
    desk = await open_desk(faults=({"point": "before", "kind": "503", "times": 1},))
    assert [(await desk.call("GET", "profile")).status for _ in range(2)] == [503, 200]


def test_a_configuration_is_read_from_a_file(tmp_path) -> None:
    path = tmp_path / "sandbox.toml"
    path.write_text('port = 8099\nlimits = "google-2025"\n[[faults]]\npoint = "odd"\nkind = "slow"\n')
    config = SandboxConfig.load(path)
    assert (config.port, config.limits, config.faults[0].kind) == (8099, "google-2025", "slow")


async def test_unknown_limits_and_taken_ports_say_so() -> None:
    with pytest.raises(QuotaError):
        await serve(SandboxConfig(limits="google-1999"))
    first = await serve(SandboxConfig())
    try:
        with pytest.raises(OSError, match="in use"):
            await serve(SandboxConfig(port=int(first.url.rpartition(":")[2])))
    finally:
        await first.close()


async def test_a_sandbox_serves_until_it_is_told_to_stop() -> None:
    announced: asyncio.Queue[Running] = asyncio.Queue()
    serving = asyncio.create_task(run(SandboxConfig(smtp_port=0), announced.put_nowait))
    running = await asyncio.wait_for(announced.get(), 5)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/sandbox/v1/state") as response:
            assert response.status == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{running.url}/sandbox/v1/state")
