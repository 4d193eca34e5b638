"""`millstream run plan`: when so many communications will be done, by each road."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from millstream.app import roads
from millstream.app.house import House
from millstream.app.roads import ASKED_FIRST, FOLLOWS, GUARANTEES
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.communication.model import Road, RoadChoice, Unclear
from millstream.delivery.model import lane_address
from millstream.quota import Comparison, Fleet, Forecast, Mix, RelayFleet, compare

_ROWS = {
    RoadChoice.API: "api",
    RoadChoice.RELAY: "relay",
    RoadChoice.RELAY_THEN_API: "relay",
    RoadChoice.BOTH: "mix",
    RoadChoice.AUTO: "mix",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What is to be forecast."""

    count: int
    pool: str
    mailboxes: int | None
    mean_kb: float
    latency_ms: float
    road: RoadChoice | None = None
    relay_users: int | None = None
    unregistered: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """The forecast, and what belongs to a decision about roads."""

    road: RoadChoice
    compared: Comparison
    unclear: Unclear | None
    sent_copies: bool

    @property
    def chosen(self) -> Forecast | Mix | None:
        """By the road that the run would take."""
        found: Forecast | Mix | None = getattr(self.compared, _ROWS[self.road])
        return found


def plan(  # noqa: PLR0913  a parameter an option
    count: Annotated[int, typer.Argument(help="How many communications.", min=1)],
    *,
    pool: Annotated[str, typer.Option(help="The pool of sender mailboxes.")] = "default",
    mailboxes: Annotated[
        int | None, typer.Option(help="Suppose so many mailboxes; those not in use are new.", min=1)
    ] = None,
    road: Annotated[
        RoadChoice | None, typer.Option(help="By what it leaves; without it delivery.road decides.")
    ] = None,
    relay_users: Annotated[int | None, typer.Option(help="Suppose so many users of the relay.", min=1)] = None,
    unregistered: Annotated[
        bool, typer.Option("--unregistered", help="Suppose that bounces go to an address that is no user of Google's.")
    ] = False,
    mean_kb: Annotated[float, typer.Option(help="Mean size of a message on the wire, in KB.", min=0.1)] = 100.0,
    latency_ms: Annotated[
        float, typer.Option(help="Mean time of one answer of Gmail's, or of the relay's, in milliseconds.", min=0)
    ] = 300.0,
    json: Json = False,
) -> None:
    """Forecast when so many communications will be done by each road, and which limit decides.

    With a relay it compares the API, the relay and both at once, and says what each promises.
    """
    question = Question(count, pool, mailboxes, mean_kb, latency_ms, road, relay_users, unregistered)
    told = work.in_house(lambda house: _foretold(house, question))
    if json:
        frame.answer_json(_facts(told))
    else:
        _tell(told)


async def _foretold(house: House, asked: Question) -> Told:
    settings, now = house.settings, datetime.now(UTC)
    await house.lanes.register(settings.senders.pools, relay=roads.relay_users(settings))
    rows = {row["mailbox"]: row for row in await house.lanes.lanes() if row["pool"] == asked.pool}
    api = _api(house, asked, rows, now)
    relay = _relay(house, asked, rows)
    road = asked.road or RoadChoice(settings.delivery.road)
    if road in (RoadChoice.API, RoadChoice.BOTH, RoadChoice.AUTO) and api is None:
        frame.fail(
            f"pool {asked.pool!r} has no mailboxes; set senders.pools, or suppose some by --mailboxes", frame.WRONG
        )
    if road is not RoadChoice.API and relay is None:
        frame.fail(
            f"pool {asked.pool!r} has no users of the relay; set relay.users, or suppose some by --relay-users",
            frame.WRONG,
        )
    unclear = Unclear(settings.relay.unclear) if settings.relay.unclear else None
    return Told(road, compare(api, relay, asked.count, now), unclear, settings.relay.sent_copies)


def _api(house: House, asked: Question, rows: dict[str, dict[str, Any]], now: datetime) -> Fleet | None:
    settings = house.settings
    lanes = [row for name, row in rows.items() if name == lane_address(name)]
    number = asked.mailboxes or len(lanes)
    if not number:
        return None
    ages = [settings.limits.ages_days.get(row["mailbox"], 0) + _age(row["first_sent_at"], now) for row in lanes]
    return Fleet(
        mailboxes=number,
        limits=settings.limits.limits(),
        ages=tuple([*ages, *[0] * number][:number]),  # who has never sent is new
        spent_today=tuple(row["sent_today"] for row in lanes[:number]),
        mean_bytes=int(asked.mean_kb * 1000),
        mode=settings.delivery.mode,
        latency_seconds=asked.latency_ms / 1000,
        concurrency=settings.delivery.concurrency,
    )


def _relay(house: House, asked: Question, rows: dict[str, dict[str, Any]]) -> RelayFleet | None:
    settings = house.settings
    lanes = [row for name, row in rows.items() if name != lane_address(name)]
    number = asked.relay_users or len(lanes)
    if not number:
        return None
    return RelayFleet(
        users=number,
        limits=settings.limits.limits(),
        registered=settings.relay.registered and not asked.unregistered,
        one_sender=settings.relay.bounce_address is not None,
        spent_today=tuple(row["sent_today"] for row in lanes[:number]),
        connections=settings.relay.connections,
        per_lane=settings.relay.per_lane,
        latency_seconds=asked.latency_ms / 1000,
    )


def _facts(told: Told) -> dict[str, Any]:
    """The chosen road's forecast, and beside it every road's."""
    chosen, compared = told.chosen, dataclasses.asdict(told.compared)
    return {
        **(dataclasses.asdict(chosen) if isinstance(chosen, Forecast) else {}),
        **compared,
        "road": told.road,
        "guarantees": _guarantees(told),
        "unclear": told.unclear if told.compared.relay or told.compared.mix else None,
    }


def _tell(told: Told) -> None:
    chosen, compared = told.chosen, told.compared
    if chosen is None:
        why = "; ".join(f"by {road}: {reason}" for road, reason in compared.never.items())
        frame.say(f"{compared.count:,} communications are not done within ten years by the road {told.road}: {why}")
    else:
        span = _duration(chosen.duration)
        frame.say(f"{compared.count:,} communications are done {chosen.finish:%Y-%m-%d %H:%M} UTC, in {span}")
        frame.say(f"deciding: {chosen.sentence}")
    if compared.relay or compared.mix or "relay" in compared.never:
        _tell_roads(told)
    if isinstance(chosen, Forecast):
        _tell_limits(chosen)


def _tell_roads(told: Told) -> None:
    compared = told.compared
    frame.say("")
    rows = [_row("api", compared.api, compared), _row("relay", compared.relay, compared)]
    rows.append(_row("mix", compared.mix, compared))
    columns = ("road", "done", "takes", "api", "relay", "deciding", "why")
    frame.answer_rows([row for row in rows if row], columns, as_json=False, empty="")
    frame.say("")
    for sentence in _guarantees(told).values():
        frame.say(f"{sentence}")
    if told.road is RoadChoice.RELAY_THEN_API:
        frame.say("what the relay's day has no room for leaves by the API beside it, so that it ends earlier")


def _guarantees(told: Told) -> dict[str, str]:
    """What each road that there is promises, and what follows a lost reply."""
    said: dict[str, str] = {}
    if told.compared.api:
        said["api"] = GUARANTEES[Road.API]
    if told.compared.relay or told.compared.mix:
        said["relay"] = GUARANTEES[Road.RELAY]
        if told.unclear is None:
            said["lost_reply"] = "what follows a lost reply is not set: relay.unclear must say it (hold or again)"
        else:
            first = f"{ASKED_FIRST}; then " if told.sent_copies else ""
            said["lost_reply"] = f"what follows a lost reply: {first}{FOLLOWS[told.unclear]}"
    return said


def _row(name: str, found: Forecast | Mix | None, compared: Comparison) -> dict[str, Any]:
    if found is None:
        return {"road": name, "why": compared.never[name]} if name in compared.never else {}
    by = {"api": compared.count if name == "api" else 0, "relay": compared.count if name == "relay" else 0}
    if isinstance(found, Mix):
        by = {"api": found.api, "relay": found.relay}
    return {
        "road": name,
        "done": f"{found.finish:%Y-%m-%d %H:%M}",
        "takes": _duration(found.duration),
        **by,
        "deciding": found.deciding or "nothing",
    }


def _tell_limits(told: Forecast) -> None:
    rows = [
        {**dataclasses.asdict(each), "alone": "never" if each.alone is None else _duration(each.alone)}
        for each in told.figures
    ]
    frame.say("")
    frame.answer_rows(rows, ("name", "value", "per_second", "per_day", "alone"), as_json=False, empty="no limits")
    if len(told.days) > 1:
        frame.say("")
        days = [dataclasses.asdict(day) for day in told.days]
        frame.answer_rows(days, ("number", "begins", "ends", "messages", "total"), as_json=False, empty="")


def _age(first_sent: datetime | None, now: datetime) -> int:
    return (now - first_sent).days if first_sent else 0


def _duration(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    parts = [(days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 s"
