"""`millstream suppression`: the addresses that nothing of a stream is sent to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.delivery.suppression import Removed, Suppressions
from millstream.mime import MimeError, parse_address
from millstream.mime.people import lower

Address = Annotated[str, typer.Argument(help="The recipient's address; upper and lower case are the same.")]
Why = Annotated[str, typer.Option(help="The reason; goes into the list and the audit trail.")]
Who = Annotated[str, typer.Option("--as", help="Who decides; goes into the audit trail.")]


def list_command(
    *,
    stream: Annotated[str | None, typer.Option(help="Only this stream's list.")] = None,
    address: Annotated[str | None, typer.Option(help="Only this address.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 100,
    json: Json = False,
) -> None:
    """Suppressed addresses, the newest first. With the stream, the reason, who and since when."""
    wanted = None if address is None else _parsed(address)

    async def listed(house: House) -> list[dict[str, Any]]:
        return await Suppressions(house.pool).list(stream=stream, address=wanted, most=most)

    columns = ("stream", "address", "reason", "at", "actor", "detail")
    frame.answer_rows(work.in_house(listed), columns, as_json=json, empty="no address is suppressed")


def add(
    address: Address,
    *,
    stream: Annotated[str, typer.Option(help="The stream, as drivers name it, for example statements.")],
    why: Why,
    actor: Who,
    json: Json = False,
) -> None:
    """Send nothing more of a stream to an address. What is queued for it is held."""
    parsed = _parsed(address)
    _named(stream=stream, why=why, actor=actor)

    async def added(house: House) -> bool:
        return await Suppressions(house.pool).add(parsed, stream=stream, why=why, actor=actor)

    new = work.in_house(added)
    sentence = f"nothing of {stream} is sent to {parsed} any more" if new else f"{parsed} was suppressed already"
    frame.answer({"address": parsed, "stream": stream, "added": new}, sentence, as_json=json)


def remove(
    address: Address,
    *,
    stream: Annotated[str | None, typer.Option(help="Only from this stream's list; without it from all.")] = None,
    why: Why,
    actor: Who,
    release: Annotated[bool, typer.Option("--release", help="Queue again what was held for it.")] = False,
    json: Json = False,
) -> None:
    """Let an address have mail again. Bounces from before do not count any more."""
    parsed = _parsed(address)
    _named(why=why, actor=actor)

    async def removed(house: House) -> Removed:
        return await Suppressions(house.pool).remove(parsed, stream=stream, why=why, actor=actor, release=release)

    done = work.in_house(removed)
    facts = {"address": parsed, "stream": stream, "removed": done.streams, "released": done.released}
    sentence = f"{parsed} is off the lists of {done.streams} streams; {done.released:,} deliveries are queued again"
    frame.answer(facts, sentence, as_json=json)


def _parsed(address: str) -> str:
    """As intake reads it, so that both are the same text; the list itself is in lower case."""
    try:
        return lower(parse_address(address).address)
    except MimeError as error:
        frame.fail(str(error), frame.WRONG)


def _named(**words: str) -> None:
    for name, word in words.items():
        if not word.strip():
            frame.fail(f"--{'as' if name == 'actor' else name} is empty; it must say something", frame.WRONG)
