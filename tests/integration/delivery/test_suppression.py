"""Nothing of a stream is sent to a suppressed address: held at intake, held at the claim, released by a person."""

import asyncio

import pytest
from sighting_desk import ANNA, POOL, S1, Office, communication

from millstream.audit import chain
from millstream.communication.model import Communication, Hold
from millstream.delivery.errors import NotSuppressed
from millstream.delivery.ledger import Grip

BEN = "ben@example.org"


async def suppress(office: Office, address: str = ANNA, stream: str = "statements") -> None:
    assert await office.suppressions.add(address, stream=stream, why="she asked us to stop", actor="ada")


async def claimed(office: Office, most: int = 100) -> list[str]:
    """The addresses that a lane gets."""
    row = await office.lanes.take(S1, holder="test")
    parcels = await office.lanes.claim(Grip(row.mailbox, row.epoch), pool=POOL, most=most)
    return [parcel.recipient.address for parcel in parcels]


async def standing(office: Office, token: str) -> tuple[str, str | None]:
    row = await office.delivery(token)
    return row["disposition"], row["reason"]


async def test_a_delivery_to_a_suppressed_address_is_held_when_it_comes_in(office: Office) -> None:
    await suppress(office)
    anna, ben = await office.queued(ANNA.upper(), BEN)
    assert await standing(office, anna) == ("held", "suppressed")
    assert await standing(office, ben) == ("queued", None)
    held = await office.delivery(anna)
    assert held["address"] == ANNA.upper()
    assert "she asked us to stop" in held["detail"]
    assert "since 20" in held["detail"]
    assert await office.trail(f"delivery:{anna}") == ["delivery.held"]


async def test_intake_says_how_many_are_held_as_suppressed(office: Office) -> None:
    await suppress(office)
    run = await office.run()
    bad = Hold("bad_data", "no amount")
    added = await office.runs.add(
        run,
        [
            communication("a", ANNA),
            communication("b", BEN),
            held_for("c", BEN, bad),
            held_for("d", ANNA, bad),
        ],
    )
    assert (added.new, added.held, added.suppressed) == (4, 3, 1)
    reasons = await office.rows("SELECT reason FROM delivery ORDER BY id")
    assert [row["reason"] for row in reasons] == ["suppressed", None, "bad_data", "bad_data"]


def held_for(key: str, address: str, hold: Hold) -> Communication:
    whole = communication(key, address)
    return Communication(**{name: getattr(whole, name) for name in whole.__slots__} | {"hold": hold})


async def test_another_stream_is_not_suppressed(office: Office) -> None:
    await suppress(office, stream="newsletters")
    [token] = await office.queued(ANNA)
    assert await standing(office, token) == ("queued", None)
    assert await claimed(office) == [ANNA]


async def test_what_was_queued_before_is_held_at_the_claim(office: Office) -> None:
    anna, ben, again = await office.queued(ANNA, BEN, ANNA.lower())
    await suppress(office)
    before = (await office.delivery(anna))["version"]
    assert await claimed(office) == [BEN]
    for token in (anna, again):
        assert await standing(office, token) == ("held", "suppressed")
        assert (await office.trail(f"delivery:{token}"))[-1] == "delivery.held"
    held = await office.delivery(anna)
    assert (held["mailbox"], held["due_at"], held["version"]) == (None, None, before + 1)
    assert "she asked us to stop" in held["detail"]
    assert (await office.delivery(ben))["mailbox"] == S1
    assert (await chain.verify(office.pool)).intact


async def test_a_claim_of_nothing_but_suppressed_ones_holds_them_all(office: Office) -> None:
    tokens = await office.queued(*[ANNA] * 20)
    await suppress(office)
    assert await claimed(office) == []
    assert {await standing(office, token) for token in tokens} == {("held", "suppressed")}


@pytest.mark.parametrize("state", ["paused", "parked"])
async def test_a_lane_that_may_not_claim_holds_nothing(office: Office, state: str) -> None:
    [token] = await office.queued(ANNA)
    await suppress(office)
    await office.rows(
        "UPDATE lane SET state = %(state)s, reason = 'r', until = now() + interval '1 hour' RETURNING 1", state=state
    )
    assert await claimed(office) == []
    assert await standing(office, token) == ("queued", None)


async def test_lanes_that_claim_at_once_hold_each_delivery_once(office: Office) -> None:
    tokens = await office.queued(*[ANNA, BEN] * 20)
    await suppress(office)
    row = await office.lanes.take(S1, holder="test")
    grip = Grip(row.mailbox, row.epoch)
    claims = await asyncio.gather(*(office.lanes.claim(grip, pool=POOL, most=10) for _ in range(8)))
    taken = [parcel.delivery.token for parcels in claims for parcel in parcels]
    assert len(taken) == len(set(taken))
    for token in tokens[::2]:
        assert (await office.trail(f"delivery:{token}")).count("delivery.held") <= 1
    assert set(taken) <= set(tokens[1::2])


async def test_adding_an_address_twice_keeps_the_first_word(office: Office) -> None:
    await suppress(office)
    assert not await office.suppressions.add(ANNA.lower(), stream="statements", why="another word", actor="ben")
    [entry] = await office.suppressions.list()
    assert (entry["detail"], entry["actor"]) == ("she asked us to stop", "ada")
    assert await office.trail(f"address:{ANNA.lower()}") == ["suppression.added"]


async def test_the_list_is_asked_by_stream_and_by_address(office: Office) -> None:
    await suppress(office)
    await suppress(office, BEN)
    await suppress(office, BEN, "invoices")
    lists = office.suppressions.list
    assert len(await lists()) == 3
    assert [entry["address"] for entry in await lists(stream="invoices")] == [BEN]
    assert [entry["stream"] for entry in await lists(address=ANNA.upper())] == ["statements"]
    assert len(await lists(most=2)) == 2


async def test_removing_lets_later_deliveries_through_and_leaves_held_ones(office: Office) -> None:
    await suppress(office)
    [held] = await office.queued(ANNA)
    removed = await office.suppressions.remove(ANNA.upper(), stream=None, why="she asked us back", actor="ben")
    assert (removed.streams, removed.released) == (1, 0)
    [token] = await office.queued(ANNA)
    assert await standing(office, token) == ("queued", None)
    assert await standing(office, held) == ("held", "suppressed")
    rows = await office.rows("SELECT actor, payload FROM audit WHERE kind = 'suppression.removed'")
    assert [(row["actor"], "she asked us back" in row["payload"]) for row in rows] == [("ben", True)]


async def test_a_release_queues_what_was_held_and_only_that(office: Office) -> None:
    for stream in ("statements", "invoices"):
        await suppress(office, stream=stream)
    await suppress(office, BEN)
    [mine] = await office.queued(ANNA)
    [other] = await office.queued(ANNA, stream="invoices")
    [bens] = await office.queued(BEN)
    await office.runs.add(await office.run(), [held_for("bad", ANNA, Hold("bad_data", "no amount"))])
    done = await office.suppressions.remove(ANNA, stream="statements", why="x", actor="ada", release=True)
    assert (done.streams, done.released) == (1, 1)
    assert await standing(office, mine) == ("queued", None)
    assert (await office.trail(f"delivery:{mine}"))[-1] == "delivery.queued"
    assert {await standing(office, token) for token in (other, bens)} == {("held", "suppressed")}
    assert await claimed(office) == [ANNA]


async def test_what_was_held_can_be_released_after_the_address_left_the_list(office: Office) -> None:
    await suppress(office)
    [token] = await office.queued(ANNA)
    await office.suppressions.remove(ANNA, stream=None, why="x", actor="ada")
    done = await office.suppressions.remove(ANNA, stream=None, why="x", actor="ada", release=True)
    assert (done.streams, done.released) == (0, 1)
    assert await standing(office, token) == ("queued", None)


async def test_removing_what_is_not_there_is_refused(office: Office) -> None:
    await suppress(office)
    with pytest.raises(NotSuppressed, match="in stream 'invoices'"):
        await office.suppressions.remove(ANNA, stream="invoices", why="x", actor="ada", release=True)
    with pytest.raises(NotSuppressed, match="in any stream"):
        await office.suppressions.remove(BEN, stream=None, why="x", actor="ada")
    assert len(await office.suppressed()) == 1
