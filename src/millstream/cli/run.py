"""`millstream run`: bring runs in, watch them, stop and forecast them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.app.house import House, open_house
from millstream.app.submit import submit_driver
from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.communication.model import Mode, Policy, RunState
from millstream.intake.submit import Receipt
from millstream.quota import Fleet, Forecast, forecast

app = typer.Typer(help="Runs: communications that came in together.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The run's key.")]
Actor = Annotated[str, typer.Option("--as", help="Who decides; goes into the audit trail.")]


@app.command("submit")
def submit(
    file: Annotated[Path, typer.Argument(help="A driver: JSON lines, see docs/reference/driver.md.")],
    *,
    key: Annotated[str | None, typer.Option(help="The run's key; without it the file's name.")] = None,
    pool: Annotated[str, typer.Option(help="The pool of sender mailboxes that carries it.")] = "default",
    mode: Annotated[Mode | None, typer.Option(help="draft or direct; without it delivery.mode.")] = None,
    unsubscribe: Annotated[str | None, typer.Option(help="Add List-Unsubscribe with this URL.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Protect PDFs by a rule, e.g. '{customer.birth_date:%d%m%Y}'.")
    ] = None,
    json: Json = False,
) -> None:
    """Bring a driver in as a run. The same again changes nothing and says so; a broken line harms only itself."""

    async def work() -> Receipt:
        settings = frame.settings()
        async with open_house(settings) as house:
            run = await house.runs.open_run(
                key or file.stem,
                pool=pool,
                mode=mode or Mode(settings.delivery.mode),
                policy=Policy(unsubscribe=unsubscribe, password=password),
                source=file.name,
            )
            return await submit_driver(house, run, file)

    _tell(frame.run(work), key or file.stem, as_json=json)


def _tell(receipt: Receipt, key: str, *, as_json: bool) -> None:
    if as_json:
        frame.answer_json({"run": key, **dataclasses.asdict(receipt)})
    else:
        frame.say(
            f"run {key}: {receipt.lines:,} lines, {receipt.new:,} new ({receipt.held:,} of them held), "
            f"{receipt.unchanged:,} unchanged, {receipt.rejected:,} rejected, {receipt.conflicts:,} in conflict, "
            f"{receipt.seconds:.1f} s"
        )
        if receipt.new == 0 and receipt.unchanged == receipt.lines:
            frame.say("nothing changed: everything was in already")
        for problem in receipt.problems:
            frame.say(f"  {problem}")
    if receipt.rejected or receipt.conflicts:
        raise typer.Exit(frame.FAILED)


@app.command("list")
def list_command(*, most: Annotated[int, typer.Option(min=1)] = 50, json: Json = False) -> None:
    """The newest runs and what has become of them."""

    async def work(house: House) -> list[dict[str, Any]]:
        return await house.runs.recent(most)

    columns = (
        "key", "state", "pool", "mode", "deliveries", "accepted", "held", "failed", "uncertain", "rejected", "created_at",
    )  # fmt: skip
    frame.answer_rows(frame.in_house(work), columns, as_json=json, empty="no runs yet; `millstream run submit FILE`")


@app.command("show")
def show(key: Key, *, most: Annotated[int, typer.Option(min=1, help="Lines a list.")] = 20, json: Json = False) -> None:
    """One run: where its deliveries stand, what waits for a person and why, which lines were put aside."""

    async def work(house: House) -> dict[str, Any]:
        run = await house.runs.find(key)
        progress = await house.runs.progress(run)
        return {
            "key": run.key,
            "state": run.state,
            "pool": run.pool,
            "mode": run.mode,
            "policy": run.policy.to_json(),
            "source": run.source,
            "deliveries": progress.total,
            "counts": progress.counts,
            "moving": progress.moving,
            "waiting": await house.runs.waiting(run, most),
            "rejects": await house.runs.rejects(run, most),
        }

    found = frame.in_house(work)
    if json:
        frame.answer_json(found)
        return
    waiting, rejects, counts = found.pop("waiting"), found.pop("rejects"), found.pop("counts")
    frame.answer_fields({**found, **counts}, as_json=False)
    if waiting:
        frame.say("\nwaiting for a person:")
        frame.answer_rows(waiting, ("key", "customer", "address", "reason", "detail"), as_json=False, empty="")
    if rejects:
        frame.say("\nlines put aside:")
        frame.answer_rows(rejects, ("line", "key", "problem"), as_json=False, empty="")


@app.command("pause")
def pause(key: Key, *, actor: Actor = "operator") -> None:
    """Let nothing more of a run leave; what is in flight ends."""
    _change(key, RunState.PAUSED, actor)


@app.command("resume")
def resume(key: Key, *, actor: Actor = "operator") -> None:
    """Let a paused run go on."""
    _change(key, RunState.OPEN, actor)


@app.command("cancel")
def cancel(key: Key, *, actor: Actor = "operator") -> None:
    """Cancel what of a run has not left; for good."""
    _change(key, RunState.CANCELLED, actor)


def _change(key: str, state: RunState, actor: str) -> None:
    async def work(house: House) -> str:
        return (await house.runs.change_state(key, state, actor=actor)).state.value

    frame.say(f"run {key} is {frame.in_house(work)}")


@app.command("retry")
def retry(
    key: Key,
    *,
    reason: Annotated[str, typer.Option(help="Only deliveries that failed for this reason.")],
    actor: Actor = "operator",
) -> None:
    """Queue failed deliveries of a run again, after their cause was mended."""

    async def work(house: House) -> int:
        await house.runs.find(key)
        return await house.lanes.requeue_failed(key, reason=reason, actor=actor)

    frame.say(f"{frame.in_house(work):,} deliveries of run {key} are queued again")


@app.command("plan")
def plan(
    count: Annotated[int, typer.Argument(help="How many communications.", min=1)],
    *,
    pool: Annotated[str, typer.Option(help="The pool of sender mailboxes.")] = "default",
    mailboxes: Annotated[int | None, typer.Option(help="Suppose so many mailboxes.", min=1)] = None,
    mean_kb: Annotated[float, typer.Option(help="Mean size of a message on the wire, in KB.", min=0.1)] = 100.0,
    latency_ms: Annotated[float, typer.Option(help="Gmail's mean answer time.", min=0)] = 300.0,
    json: Json = False,
) -> None:
    """Forecast when so many communications will be done, and which limit decides."""

    async def work(house: House) -> Forecast:
        await house.lanes.register(house.settings.senders.pools)
        rows = [row for row in await house.lanes.lanes() if row["pool"] == pool]
        number = mailboxes or len(rows)
        settings, now = house.settings, datetime.now(UTC)
        ages = [settings.limits.ages_days.get(row["mailbox"], 0) + _age(row["first_sent_at"], now) for row in rows]
        fleet = Fleet(
            mailboxes=number,
            limits=settings.limits.limits(),
            ages=tuple([*ages, *[0] * number][:number]),  # who has never sent is new
            spent_today=tuple(row["sent_today"] for row in rows[:number]),
            mean_bytes=int(mean_kb * 1000),
            mode=settings.delivery.mode,
            latency_seconds=latency_ms / 1000,
            concurrency=settings.delivery.concurrency,
        )
        return forecast(fleet, count, now)

    told = frame.in_house(work)
    if json:
        frame.answer_json(dataclasses.asdict(told))
        return
    frame.say(f"{count:,} communications are done {told.finish:%Y-%m-%d %H:%M} UTC, in {_duration(told.duration)}")
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
