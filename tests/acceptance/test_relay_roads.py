"""The relay road as operators meet it: without a key of Google's, with the wrong server, with a day that is used up."""

import signal

import pytest
from acceptance_stage import START, Stage, one_each

from millstream.communication.model import RoadChoice, Unclear
from relay_stage import every_second_copy_is_listed, is_settled, nothing_missing_under_hold, submit_by, with_relay


async def parked(stage: Stage, reason: str) -> bool:
    rows = await stage.rows("SELECT reason FROM lane WHERE road = 'relay' AND state = 'parked'")
    return bool(rows) and {row["reason"] for row in rows} == {reason}


async def transactions(stage: Stage) -> dict[str, int]:
    """Messages that the sandbox's relay was given, by how."""
    return (await stage.get("ledger"))["relay"]["transactions"]


async def test_a_tenant_of_the_relay_alone_needs_no_key_of_googles(
    stage: Stage, mailboxes, smtp_port, eventually
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:2], read=False)
    (stage.folder / "key.json").unlink()
    addresses = await submit_by(stage, 20)
    worker = await stage.worker()
    await eventually(stage.done(20), within=START)
    assert await stage.arrived() == one_each(addresses)
    worker.signal(signal.SIGTERM)
    assert await worker.end(START) == 0, worker.said


async def test_a_tenant_who_reads_mailboxes_is_told_that_the_key_is_missing(stage: Stage, mailboxes, smtp_port) -> None:
    await with_relay(stage, smtp_port, mailboxes[0], api=(mailboxes[1],))
    (stage.folder / "key.json").unlink()
    worker = await stage.worker()
    assert await worker.end(START) != 0
    assert "key.json" in worker.said


@pytest.mark.parametrize("certificate", ["expired", "other_name", "unknown_ca"])
async def test_nothing_is_sent_to_a_server_that_cannot_prove_itself(
    stage: Stage, mailboxes, smtp_port, eventually, certificate: str
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:2])
    await stage.post("relay", {"certificate": certificate})
    addresses = await submit_by(stage, 5)
    await stage.worker()
    await eventually(lambda: parked(stage, "relay_tls"), within=START)
    assert await transactions(stage) == {}
    await stage.post("relay", {"certificate": "good"})
    await eventually(stage.done(5), within=START)
    assert await stage.arrived() == one_each(addresses)


async def test_nothing_is_sent_in_clear_where_starttls_was_removed(
    stage: Stage, mailboxes, smtp_port, eventually
) -> None:
    await with_relay(stage, smtp_port, *mailboxes[:2])
    await stage.post("relay", {"stripped": True, "needs_tls": False})
    addresses = await submit_by(stage, 5)
    await stage.worker()
    await eventually(lambda: parked(stage, "relay_tls"), within=START)
    assert await transactions(stage) == {}
    await stage.post("relay", {"stripped": False})
    await eventually(stage.done(5), within=START)
    assert await stage.arrived() == one_each(addresses)
    assert list(await transactions(stage)) == ["ESMTPS"]


async def test_a_run_whose_day_is_used_up_finishes_by_the_api(stage: Stage, mailboxes, smtp_port, eventually) -> None:
    await with_relay(stage, smtp_port, mailboxes[0], api=(mailboxes[1],))
    await stage.post("faults", {"point": "before", "kind": "relay_user_day", "method": "smtp.mail", "positions": [8]})
    addresses = await submit_by(stage, 20, road=RoadChoice.RELAY_THEN_API)
    await stage.worker()
    await eventually(lambda: is_settled(stage), within=START)
    assert await stage.arrived() == one_each(addresses)
    rows = await stage.rows("SELECT DISTINCT mailbox FROM delivery ORDER BY mailbox")
    assert [row["mailbox"] for row in rows] == [f"relay:{mailboxes[0]}", mailboxes[1]]
    spilled = await stage.rows("SELECT count(*) FROM audit WHERE kind = 'run.spilled'")
    assert spilled == [{"count": 1}]


@pytest.mark.parametrize("unclear", Unclear)
async def test_a_relay_that_dies_in_the_middle_loses_and_doubles_nothing(
    stage: Stage, mailboxes, smtp_port, eventually, unclear: Unclear
) -> None:
    """It cuts connections in the body, closes kept ones without a word, and shuts its port for a while.

    A cut of which we hear only after the dot leaves doubt, though nothing was sent: the run's policy says what follows.
    """
    await with_relay(stage, smtp_port, *mailboxes[:2])
    await stage.post(
        "faults",
        [
            {"point": "before", "kind": "reset", "method": "smtp.body", "positions": [2, 5, 9]},
            {"point": "odd", "kind": "idle_close", "method": "smtp.content", "positions": [4], "delay": 0.01},
            {"point": "before", "kind": "refused", "method": "smtp.connect", "positions": [3], "delay": 2},
        ],
    )
    addresses = await submit_by(stage, 40, unclear=unclear)
    await stage.worker()
    await eventually(lambda: is_settled(stage), within=START)
    if unclear is Unclear.HOLD:
        await nothing_missing_under_hold(stage, addresses)
    else:
        await every_second_copy_is_listed(stage, addresses)
