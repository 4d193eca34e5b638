"""`millstream exstream compose`, `drop` and `control`: engines that run as a web service, or by files alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.cli import frame
from millstream.cli.exstream_ask import Asked, Facts, Wait, ask, named
from millstream.cli.frame import Actor, Json
from millstream.nextstep.model import Verb

Switches = Annotated[
    list[str] | None, typer.Option("--switch", help="An engine switch, `NAME=value`; may be given again.")
]


def compose(  # noqa: PLR0913  a parameter an option
    package: Annotated[str, typer.Argument(help="The package, as the engine's machine names it.")],
    driver: Annotated[Path, typer.Argument(help="The driver file.")],
    *,
    run: Annotated[
        str | None, typer.Option(help="Take the outputs in as this run; without it they are kept only.")
    ] = None,
    fact: Facts = None,
    out: Annotated[Path | None, typer.Option(help="Put the outputs into this folder; needs --wait.")] = None,
    switch: Switches = None,
    symbol: Annotated[str, typer.Option(help="The driver's symbolic name in the design.")] = "DRIVER",
    files: Annotated[str, typer.Option(help="Only outputs whose name fits this regular expression.")] = "",
    actor: Actor = "operator",
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Have an engine that runs as a web service compose now."""
    if out is not None and wait is None:
        frame.fail("--out needs --wait: outputs are there when the step is done", frame.WRONG)
    arguments: dict[str, Any] = {"driver_name": symbol, "to": "run" if run else "documents"}
    arguments |= {"options": named(switch, "--switch")} if switch else {}
    arguments |= {"file_pattern": files} if files else {}
    arguments |= {"run": run} if run else {}
    arguments |= {"facts": named(fact, "--fact")} if fact else {}
    asked = Asked(verb=Verb.COMPOSE_EWS, target=package, actor=actor, arguments=arguments, driver=driver)
    ask(asked, wait=wait, json=json, out=out)


def drop(
    file: Annotated[Path, typer.Argument(help="What Exstream shall read, for example a driver.")],
    *,
    name: Annotated[str, typer.Option(help="The name that its pattern looks for; the file's own otherwise.")] = "",
    actor: Actor = "operator",
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Put a file into the directory that Exstream watches. The step's number is added before the name's ending."""
    asked = Asked(verb=Verb.DROP_FILE, target=_file_name(name or file.name), actor=actor, driver=file)
    ask(asked, wait=wait, json=json)


def control(  # noqa: PLR0913  a parameter an option
    name: Annotated[str, typer.Argument(help="The control file's name, for example statements.opt.")],
    package: Annotated[str, typer.Argument(help="The package, as the engine's machine names it.")],
    *,
    customer: Annotated[
        list[int] | None, typer.Option(min=1, help="Only this customer, by its number in the driver; may be repeated.")
    ] = None,
    run_date: Annotated[
        datetime | None, typer.Option("--run-date", formats=["%Y-%m-%d"], help="The day that the run is of.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", help="What a symbolic name stands for, `SYMBOL=path`.")
    ] = None,
    switch: Switches = None,
    actor: Actor = "operator",
    wait: Wait = None,
    json: Json = False,
) -> None:
    """Put an engine's control file into the directory that Exstream watches."""
    arguments: dict[str, Any] = {"package": package, "filemap": named(file, "--file")}
    arguments |= {"switches": {key: value or None for key, value in named(switch, "--switch").items()}}
    arguments |= {"customers": customer} if customer else {}
    arguments |= {"run_date": f"{run_date.replace(tzinfo=UTC):%Y-%m-%d}"} if run_date else {}
    asked = Asked(verb=Verb.CONTROL_FILE, target=_file_name(name), actor=actor, arguments=arguments)
    ask(asked, wait=wait, json=json)


def _file_name(name: str) -> str:
    if name != Path(name).name:
        frame.fail(f"{name!r} is no name of a file: it goes into exstream.drop_folder itself", frame.WRONG)
    return name
