"""`millstream run plan`: when so many communications will be done."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.quota import Fleet, Forecast, forecast


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What is to be forecast."""

    count: int
    pool: str
    mailboxes: int | None
    mean_kb: float
    latency_ms: float


def plan(
    count: Annotated[int, typer.Argument(help="How many communications.", min=1)],
    *,
    pool: Annotated[str, typer.Option(help="The pool of sender mailboxes.")] = "default",
    mailboxes: Annotated[
        int | None, typer.Option(help="Suppose so many mailboxes; those not in use are new.", min=1)
    ] = None,
    mean_kb: Annotated[float, typer.Option(help="Mean size of a message on the wire, in KB.", min=0.1)] = 100.0,
    latency_ms: Annotated[float, typer.Option(help="Gmail's mean answer time, in milliseconds.", min=0)] = 300.0,
    json: Json = False,
) -> None:
    """Forecast when so many communications will be done, and which limit decides."""
    question = Question(count, pool, mailboxes, mean_kb, latency_ms)
    told = work.in_house(lambda house: _foretold(house, question))
    if json:
        frame.answer_json(dataclasses.asdict(told))
    else:
        _tell(told)


async def _foretold(house: House, asked: Question) -> Forecast:
    settings, now = house.settings, datetime.now(UTC)
    await house.lanes.register(settings.senders.pools)
    rows = [row for row in await house.lanes.lanes() if row["pool"] == asked.pool]
    number = asked.mailboxes or len(rows)
    if not number:
        frame.fail(
            f"pool {asked.pool!r} has no mailboxes; set senders.pools, or suppose some by --mailboxes", frame.WRONG
        )
    ages = [settings.limits.ages_days.get(row["mailbox"], 0) + _age(row["first_sent_at"], now) for row in rows]
    fleet = Fleet(
        mailboxes=number,
        limits=settings.limits.limits(),
        ages=tuple([*ages, *[0] * number][:number]),  # who has never sent is new
        spent_today=tuple(row["sent_today"] for row in rows[:number]),
        mean_bytes=int(asked.mean_kb * 1000),
        mode=settings.delivery.mode,
        latency_seconds=asked.latency_ms / 1000,
        concurrency=settings.delivery.concurrency,
    )
    return forecast(fleet, asked.count, now)


def _tell(told: Forecast) -> None:
    frame.say(f"{told.count:,} communications are done {told.finish:%Y-%m-%d %H:%M} UTC, in {_duration(told.duration)}")
    frame.say(f"deciding: {told.sentence}")
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
