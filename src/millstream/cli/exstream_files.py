"""`millstream exstream compose`, `drop` and `control`: engines that run as a web service, or by files alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.cli import frame
from millstream.cli.exstream_ask import Asked, Asking, Outputs, ask, named
from millstream.cli.grouped import grouped
from millstream.nextstep.model import Verb

Switches = Annotated[
    list[str] | None, typer.Option("--switch", help="An engine switch, `NAME=value`; may be given again.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePiece:
    """The options of one composition by an engine that answers."""

    switch: Switches = None
    symbol: Annotated[str, typer.Option(help="The driver's symbolic name in the design.")] = "DRIVER"
    files: Annotated[str, typer.Option(help="Only outputs whose name fits this regular expression.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRun:
    """The options of a run of an engine that a file starts."""

    customer: Annotated[
        list[int] | None, typer.Option(min=1, help="Only this customer, by its number in the driver; may be repeated.")
    ] = None
    run_date: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day that the run is of.")] = None
    file: Annotated[
        list[str] | None, typer.Option(help="What a symbolic name stands for, `SYMBOL=path`; may be given again.")
    ] = None
    switch: Switches = None


@grouped
def compose(
    package: Annotated[str, typer.Argument(help="The package, as the engine's machine names it.")],
    driver: Annotated[Path, typer.Argument(help="The driver file.")],
    *,
    outputs: Outputs,
    piece: OnePiece,
    asking: Asking,
) -> None:
    """Have an engine that runs as a web service compose now."""
    arguments = outputs.arguments(asking) | {"driver_name": piece.symbol}
    arguments |= {"options": named(piece.switch, "--switch")} if piece.switch else {}
    arguments |= {"file_pattern": piece.files} if piece.files else {}
    asked = Asked(verb=Verb.COMPOSE_EWS, target=package, arguments=arguments, driver=driver)
    ask(asked, asking, out=outputs.out)


@grouped
def drop(
    file: Annotated[Path, typer.Argument(help="What Exstream shall read, for example a driver.")],
    *,
    name: Annotated[str, typer.Option(help="The name that its pattern looks for; the file's own otherwise.")] = "",
    asking: Asking,
) -> None:
    """Put a file into the directory that Exstream watches. The step's number is added before the name's ending."""
    ask(Asked(verb=Verb.DROP_FILE, target=_file_name(name or file.name), driver=file), asking)


@grouped
def control(
    name: Annotated[str, typer.Argument(help="The control file's name, for example statements.opt.")],
    package: Annotated[str, typer.Argument(help="The package, as the engine's machine names it.")],
    *,
    run: OneRun,
    asking: Asking,
) -> None:
    """Put an engine's control file into the directory that Exstream watches."""
    arguments: dict[str, Any] = {"package": package, "filemap": named(run.file, "--file")}
    arguments |= {"switches": {key: value or None for key, value in named(run.switch, "--switch").items()}}
    arguments |= {"customers": run.customer} if run.customer else {}
    arguments |= {"run_date": f"{run.run_date.replace(tzinfo=UTC):%Y-%m-%d}"} if run.run_date else {}
    ask(Asked(verb=Verb.CONTROL_FILE, target=_file_name(name), arguments=arguments), asking)


def _file_name(name: str) -> str:
    if name != Path(name).name:
        frame.fail(f"{name!r} is no name of a file: it goes into exstream.drop_folder itself", frame.WRONG)
    return name
