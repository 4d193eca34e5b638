"""What every command shares: its settings, its loop, its two ways of answering, and its exit codes.

Exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from millstream import log
from millstream.app.house import House, open_house
from millstream.communication.errors import CommunicationError
from millstream.config import ConfigError, ConfigUnreadable, Settings, load
from millstream.delivery.errors import DeliveryError
from millstream.gmail.errors import GmailError
from millstream.intake.errors import IntakeError
from millstream.quota import QuotaError
from millstream.storage.errors import StorageError

Answer = TypeVar("Answer")
Json = Annotated[bool, typer.Option("--json", help="Answer with JSON, for pipes.")]

FAILED = 1
WRONG = 2

WORK_ERRORS = (CommunicationError, DeliveryError, GmailError, IntakeError, StorageError)
USAGE_ERRORS = (ConfigError, ConfigUnreadable, QuotaError)

_config_file: list[Path | None] = [None]


def use_config(path: Path | None) -> None:
    """Remember the file that `--config` named."""
    _config_file[0] = path


def settings() -> Settings:
    """The settings of this call; logs go where they say."""
    loaded = load(_config_file[0])
    log.set_up(loaded.logging.level, loaded.logging.format)
    return loaded


def run(work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run a command's work to its end, and turn our errors into a line and an exit code."""
    try:
        return uvloop.run(work())
    except USAGE_ERRORS as error:
        fail(str(error), WRONG)
    except WORK_ERRORS as error:
        fail(str(error), FAILED)
    except BaseExceptionGroup as group:
        ours, rest = group.split(WORK_ERRORS)
        if rest is not None or ours is None:
            raise
        fail("; ".join(sorted({str(error) for error in _leaves(ours)})), FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail("interrupted; what was committed stays, and the same command goes on from there", FAILED)


def in_house(work: Callable[[House], Awaitable[Answer]]) -> Answer:
    """Run a command's work with the house open."""

    async def opened() -> Answer:
        async with open_house(settings()) as house:
            return await work(house)

    return run(opened)


def fail(sentence: str, code: int) -> NoReturn:
    """Say what went wrong on standard error, and end."""
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {_plain(sentence)}", soft_wrap=True)
    raise typer.Exit(code)


def say(sentence: str) -> None:
    """A line for a person."""
    Console(highlight=False).print(_plain(sentence), soft_wrap=True)


def answer_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()


def answer_rows(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], *, as_json: bool, empty: str) -> None:
    """Rows as a table for people, or all of their fields as a JSON list."""
    if as_json:
        answer_json(list(rows))
        return
    if not rows:
        say(empty)
        return
    shown = list(columns)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        numeric = isinstance(rows[0].get(column), int | float)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in shown))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table)


def answer_fields(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing's fields, one a line; or as a JSON object."""
    if as_json:
        answer_json(fields)
        return
    wide = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            say(f"{name.replace('_', ' '):<{wide}}  {_cell(value)}")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case dict() | list():
            return orjson.dumps(value, default=str).decode()
        case _:
            return _plain(str(value))


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
