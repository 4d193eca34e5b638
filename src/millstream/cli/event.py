"""`millstream event`: what happened in one room and no other could answer."""

from __future__ import annotations

from typing import Any

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.work import events


def list_command(*, json: Json = False) -> None:
    """Events that were put aside. What answering them failed with, the newest first."""

    async def listed(house: House) -> list[dict[str, Any]]:
        return await events.put_aside(house.pool)

    columns = ("id", "at", "kind", "subject", "tries", "failure")
    frame.answer_rows(work.in_house(listed), columns, as_json=json, empty="no event was put aside")


def retry(*, json: Json = False) -> None:
    """Answer what was put aside again, after its cause was mended."""

    async def again(house: House) -> int:
        return await events.again(house.pool)

    count = work.in_house(again)
    frame.answer({"events": count}, f"{count} events are answered again by the next worker", as_json=json)
