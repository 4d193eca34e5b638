"""What tests of the relay road need on a stage: the sandbox's relay, runs of a road, and who got what."""

from acceptance_stage import Stage, record

from millstream.app.house import open_house
from millstream.app.submit import submit_driver
from millstream.communication.model import Mode, Policy, RoadChoice, Unclear
from millstream.config import load


async def with_relay(
    stage: Stage, port: int, *users: str, api: tuple[str, ...] = (), read: bool = True, **relay: object
) -> None:
    """Configure lanes of the relay, and of the API where asked; the sandbox's authority is trusted."""
    await stage.post("relay", {"open": True, "needs_tls": True})
    async with stage.session.get(f"{stage.sandbox_url}/sandbox/v1/relay/ca") as reply:
        pem = await reply.read()
    authority = stage.folder / "relay-ca.pem"
    authority.write_bytes(pem)
    settings = {
        "host": "localhost",
        "port": port,
        "certificates": str(authority),
        "helo": "bank.example",
        "users": {"default": list(users)},
        "unclear": "hold",
        "again_after_seconds": 1,
        "reply_seconds": 3,
        "per_lane": 4,
    }
    stage.configure(
        senders={"name": "Example Bank", "pools": {"default": list(api)}},
        mailbox={"shared": list(users)} if read else {"read": False},  # where bounces come home
        relay=settings | relay,
    )


async def submit_by(
    stage: Stage, count: int, *, road: RoadChoice = RoadChoice.RELAY, unclear: Unclear = Unclear.HOLD
) -> list[str]:
    """Submit so many small communications by this road; answers the addresses that must each get one."""
    records = [record(number) for number in range(count)]
    path = stage.driver(*records)
    async with open_house(load(stage.config_file)) as house:
        policy = Policy(road=road, unclear=unclear)
        run = await house.runs.open_run("october", pool="default", mode=Mode.DRAFT, policy=policy, source="")
        receipt = await submit_driver(house, run, path)
    assert receipt.new == count, receipt
    return [each["recipient"]["address"] for each in records]


async def is_settled(stage: Stage) -> bool:
    """Whether nothing moves any more without a person."""
    found = await stage.rows(
        "SELECT count(*) FROM delivery WHERE disposition IN ('queued', 'drafted', 'sending') "
        "OR (disposition = 'uncertain' AND due_at IS NOT NULL)"
    )
    return found == [{"count": 0}]


async def waiting(stage: Stage) -> set[str]:
    """Addresses whose message waits for a person."""
    return {row["address"] for row in await stage.rows("SELECT address FROM delivery WHERE disposition = 'uncertain'")}


async def nothing_missing_under_hold(stage: Stage, addresses: list[str]) -> None:
    """Who has none waits for a person, and nobody has two."""
    arrived, held = await stage.arrived(), await waiting(stage)
    assert set(arrived.values()) <= {1}
    assert arrived.keys() | held == set(addresses)
    accepted = await stage.rows("SELECT address FROM delivery WHERE disposition = 'accepted'")
    assert {row["address"] for row in accepted} <= arrived.keys()


async def every_second_copy_is_listed(stage: Stage, addresses: list[str]) -> tuple[set[str], set[str]]:
    """Everybody has one; who has more is listed, with the reply that was lost before. Answers both sets."""
    arrived = await stage.arrived()
    assert arrived.keys() == set(addresses)
    twice = {address for address, copies in arrived.items() if copies > 1}
    rows = await stage.rows(
        "SELECT d.address, d.repeats, array_agg(a.outcome ORDER BY a.number) AS outcomes, "
        "count(*) FILTER (WHERE a.kind = 'send' AND a.effect = 'unknown') AS lost "
        "FROM delivery d JOIN attempt a ON a.delivery_id = d.id WHERE d.repeats > 0 GROUP BY d.id"
    )
    listed = {row["address"] for row in rows}
    assert twice <= listed
    for row in rows:
        assert row["lost"] >= row["repeats"], row
        assert arrived[row["address"]] <= row["repeats"] + 1, row
        assert row["outcomes"].index("reply_lost") < row["outcomes"].index("again"), row
    return twice, listed


async def one_message_id_each(stage: Stage) -> None:
    """Every delivery went out under one Message-ID, however often it was sent."""
    rows = await stage.rows("SELECT token, rfc822_id FROM delivery WHERE disposition = 'accepted'")
    assert len({row["rfc822_id"] for row in rows}) == len(rows)


__all__ = [
    "every_second_copy_is_listed",
    "is_settled",
    "nothing_missing_under_hold",
    "one_message_id_each",
    "submit_by",
    "waiting",
    "with_relay",
]
