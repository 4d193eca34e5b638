"""`millstream mailbox`: what mailboxes told, what could not be read, and reading one anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.reading import mailboxes
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json

Address = Annotated[str, typer.Argument(help="The mailbox's address.")]


def show(
    address: Address,
    *,
    kind: Annotated[str | None, typer.Option(help="Only sightings of this kind, for example bounced_hard.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Sightings at most, the newest first.")] = 20,
    json: Json = False,
) -> None:
    """How reading a mailbox goes, and what it told. The newest sightings first."""

    async def shown(house: House) -> dict[str, Any]:
        found = await house.mailboxes.find(address)
        return {**found, "sightings": await house.mailboxes.sightings(address, kind=kind, most=most)}

    whole = work.in_house(shown)
    if json:
        frame.answer_json(whole)
        return
    sightings = whole.pop("sightings")
    frame.answer_fields(whole)
    frame.say("")
    columns = ("received_at", "kind", "proven", "subject", "mapped_by", "sender", "title", "reply")
    rows = [{**row, "reply": _short(row["reply"])} for row in sightings]
    frame.answer_rows(rows, columns, as_json=False, empty="it has told nothing yet")


def quarantine(
    address: Annotated[str | None, typer.Argument(help="Only of this mailbox.")] = None,
    *,
    clear: Annotated[
        str | None, typer.Option(help="Take this message out: a person has seen to it. Needs the mailbox and --why.")
    ] = None,
    why: Annotated[str, typer.Option(help="What was done about it; goes into the audit trail.")] = "",
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Messages that could not be read. Each with its problem and where its source is kept."""
    if clear is None:
        rows = work.in_house(lambda house: house.mailboxes.set_aside(address))
        columns = ("at", "mailbox", "message_id", "size", "problem", "source")
        frame.answer_rows(rows, columns, as_json=json, empty="nothing is in quarantine")
        return
    if address is None or not why:
        frame.fail("--clear needs the mailbox and --why", frame.WRONG)
    message_id, mailbox = clear, address

    async def cleared(house: House) -> None:
        await house.mailboxes.clear(mailbox, message_id, why=why, actor=actor)

    work.in_house(cleared)
    frame.answer({"mailbox": mailbox, "cleared": message_id}, f"message {message_id} is cleared", as_json=json)


def reread(
    address: Address,
    *,
    days: Annotated[float, typer.Option(min=0.01, help="How far back.")] = 7.0,
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """List a mailbox anew. What is recorded already is not recorded again."""
    since = datetime.now(UTC) - timedelta(days=days)

    async def started(house: House) -> None:
        await house.mailboxes.register(mailboxes(house.settings))
        await house.mailboxes.start_over(address, since=since, actor=actor)

    work.in_house(started)
    sentence = f"{address} is listed anew from {since:%Y-%m-%d %H:%M} UTC on, by the next worker that is free"
    frame.answer({"mailbox": address, "since": since}, sentence, as_json=json)


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= 60 else f"{line[:59]}…"  # noqa: PLR2004  what fits beside the other columns
