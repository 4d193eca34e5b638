"""`millstream review export`: the evidence of one review."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.cli.review import Number
from millstream.review.export import Export, Exported
from millstream.review.record import composing


def export(
    number: Number,
    *,
    to: Annotated[Path | None, typer.Option(help="The file; without it `review-<number>.zip` here.")] = None,
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Write everything about a review as one file that proves itself. With the record, documents, mails and hashes.

    `millstream audit verify FILE` checks it, without this installation. The same state gives the same file, and every
    export is an entry of the audit chain.
    """
    path = to or Path(f"review-{number}.zip")

    async def exported(house: House) -> Exported:
        return await Export(house.pool, house.documents, composing()).write(number, path, actor=actor)

    done = work.in_house(exported)
    told = (
        f"{path}: {done.files} files, {done.bytes:,} bytes, {done.entries:,} entries of the audit chain; "
        f"its last block is {done.block} with the hash {done.hash}"
    )
    frame.answer({"file": str(path), **dataclasses.asdict(done)}, told, as_json=json)
    for each in done.missing:
        frame.warn(f"missing: {each['what']}: {each['why']}")
