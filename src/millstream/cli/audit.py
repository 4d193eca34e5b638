"""`millstream audit`: prove the record."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from millstream.app.house import House
from millstream.audit import chain
from millstream.cli import frame
from millstream.cli.frame import Json

app = typer.Typer(help="The hash-chained record of every transition and decision.", no_args_is_help=True)


@app.command("verify")
def verify(
    *,
    head: Annotated[str | None, typer.Option(help="The hash at which the chain must end, kept from before.")] = None,
    json: Json = False,
) -> None:
    """Recompute the chain; exit code 1 where an entry does not follow from the one before."""

    async def work(house: House) -> chain.Verdict:
        return await chain.verify(house.pool, must_hold=head)

    verdict = frame.in_house(work)
    if json:
        frame.answer_json({**dataclasses.asdict(verdict), "intact": verdict.intact})
    elif verdict.intact:
        frame.say(f"{verdict.entries:,} entries, each following from the one before; the chain ends at {verdict.head}")
    else:
        frame.say(f"broken: entry {verdict.broken_at} does not follow from the one before; compare with a backup")
    if not verdict.intact:
        raise typer.Exit(frame.FAILED)
