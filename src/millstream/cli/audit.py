"""`millstream audit`: prove the record."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from millstream.app.house import House
from millstream.audit import chain
from millstream.cli import frame, work
from millstream.cli.frame import Json


def verify(
    *,
    head: Annotated[
        str | None, typer.Option(help="A hash kept from an earlier call; the chain must still pass through it.")
    ] = None,
    json: Json = False,
) -> None:
    """Recompute the chain and compare it with what is stored.

    Exit code 1 where an entry does not follow from the one before. Keep the printed head elsewhere: with `--head` the
    next call also proves that nothing before it was cut off.
    """

    async def verified(house: House) -> chain.Verdict:
        return await chain.verify(house.pool, must_hold=head)

    verdict = work.in_house(verified)
    if json:
        frame.answer_json({**dataclasses.asdict(verdict), "intact": verdict.intact})
    elif verdict.intact:
        frame.say(f"{verdict.entries:,} entries, each following from the one before; the chain ends at {verdict.head}")
    else:
        frame.say(f"broken: entry {verdict.broken_at} does not follow from the one before; compare with a backup")
    if not verdict.intact:
        raise typer.Exit(frame.FAILED)
