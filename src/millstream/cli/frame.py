"""What every command shares: its two ways of answering, its exit codes, and how its work ends.

Exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration. Answers go to standard output, errors to standard
error. Nothing here imports a room: `millstream.cli.work` does, for the commands that open the house.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import orjson
import typer
import uvloop

from millstream import harmless
from millstream.cli import table

Answer = TypeVar("Answer")
Errors = tuple[type[Exception], ...]
Json = Annotated[bool, typer.Option("--json", help="Answer with JSON, for pipes.")]
Actor = Annotated[str, typer.Option("--as", help="Who decides; goes into the audit trail.")]

FAILED = 1
WRONG = 2

_config_file: list[Path | None] = [None]


def use_config(path: Path | None) -> None:
    """Remember the file that `--config` named."""
    _config_file[0] = path


def config_file() -> Path | None:
    """The file that `--config` named."""
    return _config_file[0]


def finish(work: Callable[[], Coroutine[Any, Any, Answer]], *, wrong: Errors, failed: Errors, goes_on: str) -> Answer:
    """Run a command's work to its end, and turn the errors that are named into a line and an exit code.

    Args:
        work: what to do.
        wrong: errors of usage and configuration.
        failed: errors of the work; also inside an exception group.
        goes_on: what Ctrl-C leaves behind, as half a sentence.
    """
    try:
        return uvloop.run(work())
    except wrong as error:
        fail(str(error), WRONG)
    except failed as error:
        fail(str(error), FAILED)
    except BaseExceptionGroup as group:
        ours, rest = group.split(failed)
        if rest is not None or ours is None:
            raise
        fail("; ".join(sorted({str(error) for error in _leaves(ours)})), FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail(f"interrupted; {goes_on}", FAILED)


def fail(sentence: str, code: int) -> NoReturn:
    """Say what went wrong on standard error, and end."""
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {sentence}", err=True)
    raise typer.Exit(code)


def warn(sentence: str) -> None:
    """Something a person should know, beside the answer."""
    typer.echo(f"{typer.style('note:', fg='yellow', bold=True)} {sentence}", err=True)


def say(sentence: str) -> None:
    """A line for a person."""
    typer.echo(sentence)


def answer(facts: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """What was done: a sentence for people, the facts as a JSON object for pipes."""
    if as_json:
        answer_json(facts)
    else:
        say(sentence)


def answer_json(value: Any) -> None:
    """One JSON value on one line. Times are in UTC (RFC 3339), spans in seconds."""
    typer.echo(orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z).decode())


def answer_rows(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], *, as_json: bool, empty: str) -> None:
    """Rows as a table for people, or all of their fields as a JSON list."""
    if as_json:
        answer_json(list(rows))
    elif not rows:
        say(empty)
    else:
        shown = list(columns)
        numbers = {name for name in shown if isinstance(rows[0].get(name), int | float)}
        cells = [[cell(row.get(name)) for name in shown] for row in rows]
        for line in table.drawn([name.replace("_", " ") for name in shown], cells, [name in numbers for name in shown]):
            say(line)


def answer_fields(fields: Mapping[str, Any]) -> None:
    """One thing's fields, one a line; what is empty is left out."""
    filled = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    wide = max((len(name) for name in filled), default=0)
    for name, value in filled.items():
        say(f"{name.replace('_', ' '):<{wide}}  {cell(value)}")


def cell(value: Any) -> str:
    """A value as people read it; times in UTC."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case int() | float():
            return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
        case dict() | list() | tuple():
            return orjson.dumps(value, default=_plain).decode()
        case _:
            return harmless.text(str(value))


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
