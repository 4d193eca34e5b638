"""`millstream mailbox`: mailboxes, their lanes, and what reading them brings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.reading import mailboxes
from millstream.app.roads import relay_users
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json

Address = Annotated[str, typer.Argument(help="The mailbox's address; relay:ADDRESS is its lane on the relay.")]


def list_command(*, json: Json = False) -> None:
    """Every mailbox. A sender's state, what it holds and sent in the last day, and how reading goes.

    A mailbox that sends by the relay as well has a second line, `relay:` before its address: its day there is another.
    """

    async def listed(house: House) -> list[dict[str, Any]]:
        await house.lanes.register(house.settings.senders.pools, relay=relay_users(house.settings))
        await house.mailboxes.register(mailboxes(house.settings))
        lanes = {row["mailbox"]: row for row in await house.lanes.lanes()}
        read = {row["address"]: row for row in await house.mailboxes.read()}
        return [_row(address, lanes.get(address), read.get(address)) for address in sorted({*lanes, *read})]

    columns = ("mailbox", "pool", "state", "reason", "until", "bound", "sent_today", "roles", "read_at", "trouble")
    empty = "no mailboxes; set senders.pools in millstream.toml"
    frame.answer_rows(work.in_house(listed), (*columns, "quarantined"), as_json=json, empty=empty)


def _row(address: str, lane: dict[str, Any] | None, read: dict[str, Any] | None) -> dict[str, Any]:
    """A lane and a reading of the same mailbox in one row; either may be missing."""
    told = read or {}
    return {
        **(lane or {"mailbox": address, "pool": None, "state": None}),
        "roles": ", ".join(told.get("roles", ())),
        "read_at": told.get("moved_at"),
        "trouble": told.get("trouble") or "",
        "quarantined": told.get("quarantined", 0),
        "reading": read,
    }


def pause(
    address: Address,
    *,
    why: Annotated[str, typer.Option(help="The reason; goes into the audit trail.")] = "paused by a person",
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Send nothing more from a mailbox. What it sent is still settled."""
    _set(address, "paused", reason=why, actor=actor)
    frame.answer({"mailbox": address, "state": "paused"}, f"{address} is paused", as_json=json)


def resume(address: Address, *, actor: Actor = "operator", json: Json = False) -> None:
    """Open a paused or parked mailbox again, now."""
    _set(address, "open", reason=None, actor=actor)
    frame.answer({"mailbox": address, "state": "open"}, f"{address} is open", as_json=json)


def _set(address: str, state: str, *, reason: str | None, actor: str) -> None:
    async def changed(house: House) -> None:
        await house.lanes.register(house.settings.senders.pools, relay=relay_users(house.settings))
        await house.lanes.set_state(address, state, reason=reason, actor=actor)

    work.in_house(changed)
