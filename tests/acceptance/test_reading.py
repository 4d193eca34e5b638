"""What mailboxes say comes back: killed at every point, by poll, by pull and by push, with its consequences."""

import asyncio
import signal
from typing import Any

import pytest
from acceptance_stage import START, Stage, record

from millstream.mailbox.options import Point

FILLED = 40


async def told_once(stage: Stage, mailbox: str) -> bool:
    """Whether every message of a mailbox's inbox is a sighting, once, and each that tells somebody told once."""
    there = {
        each["id"] for each in (await stage.get(f"mailboxes/{mailbox}/messages?label=INBOX&limit=1000"))["messages"]
    }
    rows = await stage.rows("SELECT message_id FROM sighting WHERE mailbox = %(mailbox)s", mailbox=mailbox)
    told = [row["message_id"] for row in rows]
    assert len(told) == len(set(told))
    assert set(told) <= there
    return set(told) == there


async def events(stage: Stage) -> dict[str, int]:
    """How often each kind of event was written."""
    rows = await stage.rows("SELECT kind, count(*) AS n FROM event GROUP BY kind")
    return {row["kind"]: row["n"] for row in rows}


async def fill(stage: Stage, mailbox: str, count: int, *, start: int = 0) -> None:
    """Letters of people lie in a mailbox."""
    sender = f"customer{start}-{{n}}@example.org"
    await stage.post(f"mailboxes/{mailbox}/fill", {"count": count, "sender": sender, "subject": "Question {n}"})


@pytest.mark.parametrize("point", Point)
async def test_a_worker_killed_while_reading_misses_and_repeats_nothing(
    stage: Stage, mailboxes, eventually, point: Point
) -> None:
    inbox = mailboxes[3]
    stage.configure(mailboxes[0], mailbox={"request": [inbox]})
    await fill(stage, inbox, FILLED)
    worker = await stage.worker(mailbox__drill=f"{point}:{1 if 'snapshot' in point else 2}")
    if point is Point.AFTER_SNAPSHOT_PAGE:  # one page holds all: it dies only where there are two
        await fill(stage, inbox, 600, start=1)
        await stage.rows("UPDATE mailbox SET phase = 'new', due_at = now() RETURNING 1")
    assert await worker.end(START) == -signal.SIGKILL, worker.said
    await fill(stage, inbox, 5, start=2)
    await stage.worker()

    async def all_told() -> bool:
        return await told_once(stage, inbox)

    await eventually(all_told, within=START)
    count = len((await stage.get(f"mailboxes/{inbox}/messages?label=INBOX&limit=1000"))["messages"])
    assert (await events(stage)).get("sighting.request") == count
    assert await stage.chain_is_intact()


async def bounced(stage: Stage, address: str) -> list[str]:
    """What was sighted about the delivery to an address."""
    rows = await stage.rows("SELECT sighted FROM delivery WHERE address = %(address)s", address=address)
    return rows[0]["sighted"] if rows else []


async def test_a_dead_address_is_marked_suppressed_and_not_written_to_again(
    stage: Stage, mailboxes, eventually
) -> None:
    dead = "nobody@bank.example"
    first = stage.driver(record(1, recipient={"address": dead, "name": "Nobody"}), record(2), name="october")
    assert (await stage.run("run", "submit", str(first))).code == 0
    await stage.worker()

    async def marked() -> bool:
        return await bounced(stage, dead) == ["bounced_hard"]

    await eventually(marked, within=START)
    assert await stage.counts() == {"accepted": 2}, "what was sighted is an axis of its own"
    listed = (await stage.run("suppression", "list", "--json")).json
    assert [(row["address"], row["reason"]) for row in listed] == [(dead, "bounced_hard")]

    second = stage.driver(record(3, key="november", recipient={"address": dead, "name": "Nobody"}), name="november")
    await stage.run("run", "submit", str(second), "--key", "november")
    assert await stage.counts("november") == {"held": 1}
    shown = (await stage.run("communication", "show", dead, "--run", "october", "--json")).json
    [sighting] = shown["sightings"]
    assert (sighting["kind"], sighting["proven"], sighting["mapped_by"]) == ("bounced_hard", True, "thread")
    assert await stage.chain_is_intact()


async def test_an_answer_comes_back_to_its_delivery_with_what_the_person_wrote(
    stage: Stage, mailboxes, eventually
) -> None:
    sender, shared = mailboxes[0], mailboxes[4]
    stage.configure(
        sender,
        senders={"pools": {"default": [sender]}, "reply_to": shared},
        mailbox={"shared": [shared]},
    )
    [address] = await stage.submit(1)
    await stage.worker()
    await eventually(stage.done(1), within=START)
    [letter] = (await stage.get(f"mailboxes/{address}/messages"))["messages"]
    await stage.post(f"mailboxes/{address}/messages/{letter['id']}/reply", {"text": "Thank you.", "style": "outlook"})

    async def replied() -> list[dict[str, Any]]:
        return await stage.rows("SELECT * FROM sighting WHERE kind = 'replied'")

    [reply] = await eventually(replied, within=START)
    assert (reply["mailbox"], reply["reply"], reply["proven"]) == (shared, "Thank you.", True)
    assert reply["mapped_by"] == "reply_token"

    async def marked() -> bool:
        return await bounced(stage, address) == ["replied"]

    await eventually(marked, within=START)


async def test_a_run_that_bounces_too_much_pauses_itself(stage: Stage, mailboxes, eventually) -> None:
    stage.configure(
        mailboxes[0],
        suppression={"bounce_limit": 0.2, "bounce_limit_after": 5},
        delivery={"concurrency": 1, "claim": 1},
    )
    await stage.slow(0.2)
    records = [record(n, recipient={"address": f"gone{n}@bank.example", "name": "Gone"}) for n in range(60)]
    assert (await stage.run("run", "submit", str(stage.driver(*records)))).code == 0
    await stage.worker()

    async def paused() -> bool:
        [run] = await stage.rows("SELECT state, reason FROM run")
        return run["state"] == "paused" and "bounce" in (run["reason"] or "")

    await eventually(paused, within=START)
    assert (await stage.counts()).get("queued", 0) > 0, "the rest was not written"
    assert (await events(stage))["run.paused"] == 1


TOPIC, PULL = "projects/p/topics/gmail", "projects/p/subscriptions/pull"


async def pushed(stage: Stage, mailbox: str, eventually) -> None:
    """A letter that comes after the first look is told at once, though no poll is due for an hour."""

    async def watched() -> bool:
        rows = await stage.rows("SELECT 1 FROM mailbox WHERE watch_until IS NOT NULL AND phase = 'delta'")
        return len(rows) == 2

    await eventually(watched, within=START)
    await stage.rows("UPDATE mailbox SET due_at = now() + interval '1 hour' WHERE holder IS NULL RETURNING 1")
    await stage.post("clock", {"advance": 2})  # Gmail drops what comes within a second of the watch's own notification
    letter = {"sender": "anna.ample@example.org", "recipients": [mailbox], "subject": "Question", "text": "Hello."}
    await stage.post("deliver", letter)

    async def told() -> bool:
        return await told_once(stage, mailbox)

    await eventually(told, within=15)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
async def test_a_hint_by_pull_brings_a_look_at_once(
    stage: Stage, mailboxes, pubsub_port: int, eventually, transport: str
) -> None:
    await stage.post("topics", {"name": TOPIC, "granted": True})
    await stage.post("subscriptions", {"name": PULL, "topic": TOPIC})
    stage.configure(
        mailboxes[0],
        mailbox={"request": [mailboxes[3]], "poll_seconds": 3600},
        push={
            "topic": TOPIC,
            "subscription": PULL,
            "transport": transport,
            "endpoint": f"http://127.0.0.1:{pubsub_port}" if transport == "grpc" else stage.sandbox_url,
        },
    )
    await stage.worker()
    await pushed(stage, mailboxes[3], eventually)


async def test_a_hint_by_push_is_believed_by_its_token(stage: Stage, mailboxes, free_port, eventually) -> None:
    port = free_port()
    endpoint, account = f"http://127.0.0.1:{port}/push/gmail", "push@project.example"
    await stage.post("topics", {"name": TOPIC, "granted": True})
    await stage.post(
        "subscriptions",
        {"name": "projects/p/subscriptions/push", "topic": TOPIC, "push_endpoint": endpoint, "push_account": account},
    )
    stage.configure(
        mailboxes[0],
        mailbox={"request": [mailboxes[3]], "poll_seconds": 3600},
        push={
            "topic": TOPIC,
            "audience": endpoint,
            "service_account": account,
            "certs_url": f"{stage.sandbox_url}/oauth2/v1/certs",
        },
    )
    web = await stage.start("web", "--port", str(port))

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(listening, within=START)
    await stage.worker()
    await pushed(stage, mailboxes[3], eventually)
    async with stage.session.post(endpoint, data=b"{}") as reply:
        assert reply.status == 401
    web.signal(signal.SIGTERM)
    assert await web.end(30) == 0
