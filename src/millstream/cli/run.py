"""`millstream run`: watch runs, and stop them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.roads import FOLLOWS
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.communication.model import Road, RunState, Unclear

Key = Annotated[str, typer.Argument(help="The run's key.")]


def list_command(
    *, most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 50, json: Json = False
) -> None:
    """The newest runs and what has become of them."""

    async def listed(house: House) -> list[dict[str, Any]]:
        return await house.runs.recent(most)

    columns = (
        *("key", "state", "pool", "mode", "deliveries"),
        *("accepted", "held", "failed", "uncertain", "bounced", "rejected", "created_at", "reason"),
    )
    frame.answer_rows(work.in_house(listed), columns, as_json=json, empty="no runs yet; `millstream run submit FILE`")


def show(
    key: Key,
    *,
    most: Annotated[int, typer.Option(min=1, help="Lines at most of each list.")] = 20,
    json: Json = False,
) -> None:
    """One run: where it stands, what waits for a person, what was sent again, lines put aside."""

    async def shown(house: House) -> dict[str, Any]:
        run = await house.runs.find(key)
        progress = await house.runs.progress(run)
        return {
            "key": run.key,
            "state": run.state,
            "reason": run.reason,
            "pool": run.pool,
            "mode": run.mode,
            "roads": sorted(run.roads),
            "policy": run.policy.to_json(),
            "source": run.source,
            "deliveries": progress.total,
            "counts": progress.counts,
            "by_road": await house.runs.by_road(run),
            "sighted": await house.runs.sighted(run),
            "moving": progress.moving,
            "sent_again": await house.runs.sent_again(run, most),
            "waiting": await house.runs.waiting(run, most),
            "rejects": await house.runs.rejects(run, most),
        }

    found = work.in_house(shown)
    if json:
        frame.answer_json(found)
        return
    waiting, rejects, counts = found.pop("waiting"), found.pop("rejects"), found.pop("counts")
    sighted, roads, by_road, again = (found.pop(each) for each in ("sighted", "roads", "by_road", "sent_again"))
    frame.answer_fields({**found, "roads": ", ".join(roads), **counts, **sighted})
    if Road.RELAY in roads:
        _tell_roads(by_road, found["policy"].get("unclear"))
    if again:
        frame.say("\nsent again after a lost reply of the relay, under the same Message-ID:")
        named = ("token", "key", "address", "disposition", "repeats", "lost_at", "accepted_at", "message_id")
        frame.answer_rows(again, named, as_json=False, empty="")
    if waiting:
        frame.say("\nwaiting for a person:")
        columns = ("key", "customer", "address", "disposition", "reason", "detail")
        frame.answer_rows(waiting, columns, as_json=False, empty="")
    if rejects:
        frame.say("\nlines put aside:")
        frame.answer_rows(rejects, ("line", "key", "problem"), as_json=False, empty="")


def _tell_roads(by_road: Mapping[str, Mapping[str, int]], unclear: str | None) -> None:
    """How many took each road, and what follows a reply that is lost."""
    frame.say("")
    for road, counts in by_road.items():
        name = "either road" if road == "-" else road
        frame.say(f"{name}: {', '.join(f'{count:,} {disposition}' for disposition, count in counts.items())}")
    if unclear is not None:
        frame.say(FOLLOWS[Unclear(unclear)])


def pause(key: Key, *, actor: Actor = "operator", json: Json = False) -> None:
    """Let nothing more of a run leave. What is in flight ends."""
    _change(key, RunState.PAUSED, actor, as_json=json)


def resume(key: Key, *, actor: Actor = "operator", json: Json = False) -> None:
    """Let a paused run go on."""
    _change(key, RunState.OPEN, actor, as_json=json)


def cancel(key: Key, *, actor: Actor = "operator", json: Json = False) -> None:
    """Cancel what of a run has not left, for good."""
    _change(key, RunState.CANCELLED, actor, as_json=json)


def retry(
    key: Key,
    *,
    reason: Annotated[str, typer.Option(help="Only deliveries that failed for this reason; `run show` names it.")],
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Queue failed deliveries of a run again, after their cause was mended."""

    async def retried(house: House) -> int:
        await house.runs.find(key)
        return await house.lanes.requeue_failed(key, reason=reason, actor=actor)

    queued = work.in_house(retried)
    frame.answer({"run": key, "queued": queued}, f"{queued:,} deliveries of run {key} are queued again", as_json=json)


def _change(key: str, state: RunState, actor: str, *, as_json: bool) -> None:
    async def changed(house: House) -> str:
        return (await house.runs.change_state(key, state, actor=actor)).state.value

    now = work.in_house(changed)
    frame.answer({"run": key, "state": now}, f"run {key} is {now}", as_json=as_json)
