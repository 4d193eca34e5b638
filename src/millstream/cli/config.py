"""`millstream config`: what is set, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.config import Settings, reference, sample, shown

app = typer.Typer(help="The configuration.", no_args_is_help=True)


@app.command("show")
def show(*, json: Json = False) -> None:
    """Every setting with its value and where it came from; secrets print as stars."""

    async def work() -> Settings:
        return frame.settings()

    rows = [{"key": each.key, "value": each.value, "origin": each.origin} for each in shown(frame.run(work))]
    frame.answer_rows(rows, ("key", "value", "origin"), as_json=json, empty="no settings")


@app.command("init")
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("millstream.toml"),
    *,
    force: Annotated[bool, typer.Option(help="Write over an existing file.")] = False,
) -> None:
    """Write a commented sample configuration."""
    if path.exists() and not force:
        frame.fail(f"{path} exists; --force writes over it", frame.WRONG)
    path.write_text(sample(), encoding="utf-8")
    frame.say(f"wrote {path}; edit it, then `millstream config show`")


@app.command("reference")
def reference_command() -> None:
    """Print the reference page of all settings, as docs/reference/configuration.md has it."""
    typer.echo(reference(), nl=False)
