"""What is put where Exstream watches: a driver, or an engine's control file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePath
from typing import Any

from millstream.exstream import drop
from millstream.exstream.engine import ControlFile, customer_list, run_date
from millstream.nextstep.errors import BadWish
from millstream.nextstep.model import Found, NextStep
from millstream.nextstep.verbs import Plain, Tools, given, wanted


class DropFile(Plain):
    """Put a driver into a watched directory, whole at once, under a name that is this step's alone."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Put it there."""
        return await self._put(step, tools, await self._content(step, tools))

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """The file lies there, or where Exstream puts what it took."""
        name = name_of(step)
        place = await asyncio.to_thread(drop.lies, _folder(tools), tools.drop_done_folder, name)
        if place is not None:
            return Found("yes", "file_found", f"{place} is there", {"file": str(place)})
        if tools.drop_done_folder is None:
            told = (
                f"{name} is not in {_folder(tools)}; without exstream.drop_done_folder nobody sees whether it was taken"
            )
            return Found("unknown", "file_missing", told)
        return Found("no", "file_missing", f"{name} is neither in {_folder(tools)} nor in {tools.drop_done_folder}")

    async def _put(self, step: NextStep, tools: Tools, content: bytes) -> dict[str, Any]:
        path = await asyncio.to_thread(drop.drop, _folder(tools), name_of(step), content)
        return {"file": str(path), "size": len(content)}

    async def _content(self, step: NextStep, tools: Tools) -> bytes:
        if step.wish.content is not None:
            return await tools.documents.get(step.wish.content)
        text: str = wanted(step, "driver")
        return text.encode()


class WriteControlFile(DropFile):
    """Put a control file there: what an engine that is started by its files is to run."""

    async def _content(self, step: NextStep, tools: Tools) -> bytes:  # noqa: ARG002  the same shape as its parent's
        switches = {str(name): value for name, value in given(step, "switches", {}).items()}
        if numbers := given(step, "customers", []):
            switches["CUSTOMERLIST"] = customer_list(_numbers(step, numbers))
        if day := given(step, "run_date", ""):
            switches["RUNDATE"] = run_date(_day(step, day))
        filemap = tuple((str(name), str(file)) for name, file in given(step, "filemap", {}).items())
        pairs = tuple((name, None if value is None else str(value)) for name, value in switches.items())
        try:
            return ControlFile(wanted(step, "package"), filemap, pairs).content()
        except ValueError as error:
            raise BadWish(f"step {step.id}: {error}") from error


def name_of(step: NextStep) -> str:
    """The file's name with the step's number before its ending: patterns look at beginnings and endings."""
    path = PurePath(step.wish.target)
    if path.name != step.wish.target or path.name in {"", ".", ".."} or "\x00" in path.name:
        raise BadWish(f"step {step.id}: {step.wish.target!r} is no name of a file")
    return f"{path.stem}.step-{step.id}{path.suffix}"


def _folder(tools: Tools) -> Path:
    if tools.drop_folder is None:
        raise BadWish("exstream.drop_folder is not set: there is no directory that Exstream watches")
    return tools.drop_folder


def _numbers(step: NextStep, numbers: list[Any]) -> list[int]:
    if not all(type(each) is int and each > 0 for each in numbers):
        raise BadWish(f"step {step.id}: customers are numbers from 1")
    return numbers


def _day(step: NextStep, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadWish(f"step {step.id}: run_date {text!r} is no date like 2026-11-25") from error
