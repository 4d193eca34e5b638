"""`millstream audit`: prove the record."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from millstream.app.house import House
from millstream.audit import bundle, chain
from millstream.audit.errors import BadBundle
from millstream.cli import frame, work
from millstream.cli.frame import Json


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE]", help="A file that `review export` wrote; without it the chain of this house."
        ),
    ] = None,
    *,
    head: Annotated[
        str | None,
        typer.Option(help="A hash kept from an earlier call, of an entry or a block; it must still be passed through."),
    ] = None,
    json: Json = False,
) -> None:
    """Recompute the chain and compare it with what is stored, or check a bundle.

    A bundle is checked without configuration, database or network. Exit code 1 where something does not follow from
    what was before. Keep the printed hashes elsewhere: with `--head` a later call also proves that nothing before was
    cut off, and that a bundle belongs to this history.
    """
    if file is None:
        _chain(head, json=json)
    else:
        _bundle(file, head, json=json)


def _chain(head: str | None, *, json: bool) -> None:
    async def verified(house: House) -> chain.Verdict:
        return await chain.verify(house.pool, must_hold=None if head is None else head.strip().lower())

    verdict = work.in_house(verified)
    if json:
        frame.answer_json({**dataclasses.asdict(verdict), "intact": verdict.intact})
    elif verdict.broken_block is not None:
        frame.say(f"broken: block {verdict.broken_block} does not stand for its entries; compare with a backup")
    elif verdict.broken_at is not None:
        frame.say(f"broken: entry {verdict.broken_at} does not follow from the one before; compare with a backup")
    else:
        frame.say(f"{verdict.entries:,} entries, each following from the one before; the chain ends at {verdict.head}")
        if verdict.block:
            frame.say(f"{verdict.block:,} blocks, each standing for its entries; the last one is {verdict.block_hash}")
    if not verdict.intact:
        raise typer.Exit(frame.FAILED)


def _bundle(file: Path, head: str | None, *, json: bool) -> None:
    try:
        report = bundle.check(file, head=head)
    except BadBundle as error:
        report = bundle.Report((str(error),))
    if json:
        frame.answer_json({**dataclasses.asdict(report), "intact": report.intact})
    elif report.intact:
        frame.say(
            f"review {report.review}: {report.files} files and {report.entries:,} entries of the audit chain, "
            f"unchanged; its last block is {report.block} with the hash {report.hash}"
        )
        if report.compared:
            frame.say("the hash that was kept elsewhere is in its history")
        else:
            frame.warn("whose history it is, only a hash kept elsewhere proves: --head")
        for each in report.missing:
            frame.warn(f"not in it: {each}")
    else:
        for each in report.problems:
            frame.say(f"broken: {each}")
    if not report.intact:
        raise typer.Exit(frame.FAILED)
