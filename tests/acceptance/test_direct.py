"""Direct mode: an unclear send is looked up in SENT by its header; where nobody may look, a person decides."""

from acceptance_stage import START, Stage, one_each

from millstream.communication.model import Mode

SEND_ONLY = "https://www.googleapis.com/auth/gmail.send"
COUNT = 40
LOST = [3, 17]


async def replies_get_lost(stage: Stage) -> None:
    """The message is sent, and the connection breaks before the answer."""
    await stage.post("faults", {"point": "after", "kind": "reset", "method": "messages.send", "positions": LOST})


async def test_sends_whose_reply_was_lost_are_found_in_sent(stage: Stage, mailboxes, eventually) -> None:
    stage.configure(*mailboxes[:3], delivery={"mode": "direct"})
    addresses = await stage.submit(COUNT, mode=Mode.DIRECT)
    await replies_get_lost(stage)
    await stage.worker()
    await eventually(stage.done(COUNT), within=START)
    assert await stage.arrived() == one_each(addresses)
    found = await stage.rows("SELECT evidence, count(*) FROM attempt WHERE outcome = 'sent' GROUP BY evidence")
    assert found == [{"evidence": "header", "count": len(LOST)}]


async def test_where_only_sending_is_granted_a_person_settles_what_is_unclear(
    stage: Stage, mailboxes, eventually
) -> None:
    stage.configure(*mailboxes[:3], gmail={"scopes": [SEND_ONLY]}, delivery={"mode": "direct"})
    addresses = await stage.submit(COUNT, mode=Mode.DIRECT)
    await replies_get_lost(stage)
    await stage.worker()

    async def only_people_can_help() -> bool:
        waiting = await stage.rows("SELECT 1 FROM delivery WHERE disposition = 'uncertain' AND due_at IS NULL")
        return len(waiting) == len(LOST) and (await stage.counts()).get("accepted") == COUNT - len(LOST)

    await eventually(only_people_can_help, within=START)
    shown = (await stage.run("run", "show", "october", "--json")).json
    assert shown["moving"] == 0
    assert {row["reason"] for row in shown["waiting"]} == {"may_not_look"}
    for row in await stage.rows("SELECT token FROM delivery WHERE disposition = 'uncertain'"):
        ended = await stage.run("communication", "settle", row["token"], "--sent", "--why", "the customer has it")
        assert ended.code == 0, ended.err
    assert await stage.counts() == {"accepted": COUNT}
    assert await stage.arrived() == one_each(addresses)
    again = await stage.run("communication", "settle", row["token"], "--not-sent", "--why", "a slip")
    assert (again.code, "no uncertain delivery has the token" in again.err) == (1, True)
