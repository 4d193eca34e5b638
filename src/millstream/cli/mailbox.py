"""`millstream mailbox`: the sender mailboxes and their lanes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


def list_command(*, json: Json = False) -> None:
    """Every sender mailbox. Its state, what it holds, what it sent in the last day."""

    async def listed(house: House) -> list[dict[str, Any]]:
        await house.lanes.register(house.settings.senders.pools)
        return await house.lanes.lanes()

    columns = ("mailbox", "pool", "state", "reason", "until", "resume_at", "bound", "sent_today", "holder")
    empty = "no sender mailboxes; set senders.pools in millstream.toml"
    frame.answer_rows(work.in_house(listed), columns, as_json=json, empty=empty)


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
        await house.lanes.register(house.settings.senders.pools)
        await house.lanes.set_state(address, state, reason=reason, actor=actor)

    work.in_house(changed)
