"""`millstream config`: what is set, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millstream.cli import frame
from millstream.cli.frame import Json
from millstream.config import ConfigError, load, reference, sample, shown


def show(*, json: Json = False) -> None:
    """Every setting with its value and where it came from. Secrets print as stars."""
    try:
        settings = load(frame.config_file())
    except ConfigError as error:
        frame.fail(str(error), frame.WRONG)
    rows = [{"key": each.key, "value": each.value, "origin": each.origin} for each in shown(settings)]
    frame.answer_rows(rows, ("key", "value", "origin"), as_json=json, empty="no settings")


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("millstream.toml"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    json: Json = False,
) -> None:
    """Write a commented sample configuration."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(sample())
    except FileExistsError:
        frame.fail(f"{path} exists; name another file, or add --force to write over it", frame.WRONG)
    except OSError as error:
        frame.fail(f"cannot write {path}: {error.strerror or error}; name a file in a folder of yours", frame.WRONG)
    frame.answer({"file": str(path)}, f"wrote {path}; edit it, then `millstream config show`", as_json=json)


def reference_command(*, json: Json = False) -> None:
    """Print the reference page of all settings. It is docs/reference/configuration.md."""
    frame.answer({"markdown": reference()}, reference().rstrip("\n"), as_json=json)
