"""Exstream's own email events: one for each thing that happened to a delivery, told at least once, never lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import orjson
import pytest
from aiohttp import web

from millstream.communication.model import Communication, Mode, Policy, Recipient
from millstream.communication.store import RunStore
from millstream.delivery.ledger import Grip, Ledger
from millstream.delivery.model import Attempt, Kind
from millstream.delivery.store import LaneStore
from millstream.exstream.event_post import EventPost
from millstream.exstream.options import ExstreamOptions
from millstream.gmail import Effect
from millstream.nextstep.emission import EmailEvents, EmissionOptions, Outbox, append
from millstream.storage.pool import transaction
from millstream.work.events import Events

S1 = "s1@bank.example"


@pytest.fixture
def file(tmp_path):
    """Where events are appended."""
    return tmp_path / "reports" / "events.jsonl"


@pytest.fixture
async def listener() -> AsyncIterator[tuple[str, list, list]]:
    """Somebody who takes events: its address, what it took, and the statuses it answers with first."""
    taken, statuses = [], []

    async def take(request: web.Request) -> web.Response:
        status = statuses.pop(0) if statuses else 202
        if status < 300:
            taken.append(await request.json())
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/events", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/events", taken, statuses
    await runner.cleanup()


async def accept(pool, count: int = 1, *, key: str = "october") -> list[str]:
    """Have deliveries accepted as a lane does; gives their tokens."""
    runs, lanes = RunStore(pool), LaneStore(pool, patience=5.0)
    await lanes.register({"default": [S1]})
    run = await runs.open_run(key, pool="default", mode=Mode.DRAFT, policy=Policy(), source="")
    await runs.add(run, [communication(f"{key}-{number}") for number in range(count)])
    row = await lanes.take(S1, holder="test")
    grip = Grip(S1, row.epoch)
    parcels = await lanes.claim(grip, pool="default", most=count)
    async with Ledger(pool) as ledger:

        async def one(parcel) -> str:
            token = parcel.delivery.token
            drafted = parcel.delivery.drafted(f"d-{token}", f"t-{token}", history_id=1, release=True)
            drafted = await ledger.record(grip, parcel.delivery, drafted, Attempt(Kind.DRAFT, "ok", Effect.YES))
            accepted = drafted.accepted(f"m-{token}", f"t-{token}", datetime.now(UTC))
            await ledger.record(grip, drafted, accepted, Attempt(Kind.SEND, "ok", Effect.YES))
            return token

        return await asyncio.gather(*(one(parcel) for parcel in parcels))


def communication(name: str) -> Communication:
    return Communication(
        key=name,
        type="statement",
        customer=name,
        recipient=Recipient(f"{name}@example.com", "Anna"),
        subject="Your statement",
        text="Dear customer,\n",
        html=None,
        locale="en-GB",
        stream="statements",
        source_hash=name,
        source={"domain": "bank", "x.CustomerFirstname": "Anna", "customer_in_run": 3},
    )


async def bounce(pool, emails: EmailEvents, token: str, kind: str = "hard") -> None:
    payload = orjson.dumps({"bounce": kind, "status": "5.1.1", "diagnostic": "no such user"}).decode()
    async with transaction(pool) as conn:
        await conn.execute(
            "INSERT INTO event (kind, subject, payload) VALUES ('delivery.bounced', %s, %s::jsonb)",
            (f"delivery:{token}", payload),
        )
        if kind == "hard":
            await conn.execute("UPDATE delivery SET sighted = ARRAY['bounced_hard'] WHERE token = %s", (token,))
    await Events(pool, {name: (each,) for name, each in emails._outbox.listeners().items()}).answer_due()


def told(file) -> list[tuple[str, str]]:
    """Type and address of each event in the file."""
    return [
        (event["expctr"]["schemaType"].removeprefix("Exstream-Email-"), event["user"]["CustomerEmail"])
        for event in map(orjson.loads, file.read_bytes().splitlines())
    ]


async def begun(pool, post=None, **options) -> EmailEvents:
    """Emission that has been switched on."""
    emails = EmailEvents(pool, EmissionOptions(**{"post_after": 3600.0, **options}), post)
    await emails.tell()
    return emails


async def test_what_was_accepted_before_emission_began_is_not_told(pool, file) -> None:
    await accept(pool)
    emails = await begun(pool, file=file)
    assert await emails.tell() == 0
    assert not file.exists()


async def test_a_submit_is_told_at_once_and_a_post_when_no_bounce_came(pool, file) -> None:
    emails = await begun(pool, file=file)
    await accept(pool, 3)
    assert await emails.tell() == 3
    assert await emails.tell() == 0
    assert sorted(told(file)) == [("Submit", f"october-{number}@example.com") for number in range(3)]
    async with transaction(pool) as conn:
        await conn.execute("UPDATE email_event SET due_at = now() WHERE kind = 'POST'")
    assert await emails.tell() == 3
    assert min(told(file)) == ("POST", "october-0@example.com")
    assert await emails.standing() == {"waiting": 0, "told": 6, "dropped": 0}
    first = orjson.loads(file.read_bytes().splitlines()[0])
    assert first["user"]["CustomerFirstname"] == "Anna"
    assert first["exstreamEmailStatistics"]["domain"] == "bank"


async def test_what_came_back_is_told_as_not_delivered_and_never_as_posted(pool, file) -> None:
    emails = await begun(pool, file=file)
    [token] = await accept(pool)
    await emails.tell()
    await bounce(pool, emails, token)
    await bounce(pool, emails, token)
    assert await emails.tell() == 1
    assert [kind for kind, _ in told(file)] == ["Submit", "NDLV"]
    assert "5.1.1 no such user" in file.read_text()
    assert await emails.standing() == {"waiting": 0, "told": 2, "dropped": 1}


async def test_a_bounce_that_is_heard_before_the_acceptance_is_read_keeps_the_post_back(pool, file) -> None:
    emails = await begun(pool, file=file, post_after=0.0)
    [token] = await accept(pool)
    await bounce(pool, emails, token)
    await emails.tell()
    assert sorted(kind for kind, _ in told(file)) == ["NDLV", "Submit"]


async def test_a_soft_bounce_is_nothing_to_tell(pool, file) -> None:
    emails = await begun(pool, file=file)
    [token] = await accept(pool)
    await bounce(pool, emails, token, kind="soft")
    await emails.tell()
    assert [kind for kind, _ in told(file)] == ["Submit"]


async def test_a_message_that_gmail_took_back_is_not_told_as_posted(pool, file) -> None:
    emails = await begun(pool, file=file, post_after=0.0)
    [token] = await accept(pool)
    async with transaction(pool) as conn:
        await conn.execute(
            "UPDATE delivery SET disposition = 'queued', mailbox = NULL, epoch = NULL WHERE token = %s", (token,)
        )
    await emails.tell()
    assert [kind for kind, _ in told(file)] == ["Submit"]


async def test_events_are_posted_and_told_again_after_the_listener_was_away(pool, listener) -> None:
    url, taken, statuses = listener
    async with EventPost(ExstreamOptions(call_seconds=5.0)) as post:
        emails = await begun(pool, url=url, post=post)
        await accept(pool, 3)
        statuses += [503, 202, 500]
        assert await emails.tell() == 1
        async with transaction(pool) as conn:
            await conn.execute("UPDATE email_event SET due_at = now() WHERE due_at IS NOT NULL AND kind = 'Submit'")
        assert await emails.tell() == 2
    assert len({event["expctr"]["eventId"] for event in taken}) == len(taken) == 3


async def test_a_listener_that_is_not_there_loses_nothing(pool, free_port) -> None:
    async with EventPost(ExstreamOptions(call_seconds=5.0)) as post:
        emails = await begun(pool, url=f"http://127.0.0.1:{free_port()}/", post=post)
        await accept(pool, 2)
        assert await emails.tell() == 0
    assert await emails.standing() == {"waiting": 4, "told": 0, "dropped": 0}


async def test_a_file_that_cannot_be_written_loses_nothing(pool, tmp_path) -> None:
    (tmp_path / "place").write_bytes(b"")
    emails = await begun(pool, file=tmp_path / "place" / "events.jsonl")
    await accept(pool)
    assert await emails.tell() == 0
    assert (await emails.standing())["waiting"] == 2


async def test_a_long_chain_is_read_like_a_short_one(pool, file) -> None:
    emails = await begun(pool, file=file)
    async with transaction(pool) as conn:
        await conn.execute("UPDATE audit_head SET seq = 40000")
        await conn.execute("UPDATE email_event_place SET seq = 30000")
    await accept(pool)
    async with transaction(pool) as conn:
        await conn.execute("UPDATE email_event_place SET seq = 40000 WHERE seq < 40000")
    assert await emails.tell() == 1


async def test_two_processes_tell_an_event_once_in_the_outbox(pool, file) -> None:
    one, two = await begun(pool, file=file), await begun(pool, file=file)
    await accept(pool, 50)
    await asyncio.gather(one._gather(), two._gather())
    assert (await one.standing())["waiting"] == 100


def test_a_line_that_a_crash_tore_harms_no_other(tmp_path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"whole":1}\n{"to')
    append(file, [b'{"next":1}', b'{"next":2}'])
    assert file.read_bytes().splitlines() == [b'{"whole":1}', b'{"to', b'{"next":1}', b'{"next":2}']


def test_nothing_listens_while_nobody_is_told() -> None:
    assert Outbox(EmissionOptions()).listeners() == {}
