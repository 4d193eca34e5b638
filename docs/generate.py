"""Writes the generated pages of docs/reference; `make docs`. A test compares them with what this would write."""

from pathlib import Path

import click
import typer.main

from millstream import config
from millstream.cli import app

FOLDER = Path(__file__).parent / "reference"

INTRODUCTION = """\
# Commands

Every command takes `--json` where it answers something, and ends with 0 when done, 1 when the work failed, and 2 for
wrong usage or configuration. This page is generated from the commands by `make docs`.
"""


def pages() -> dict[Path, str]:
    """Every generated page by its file."""
    return {FOLDER / "commands.md": commands(), FOLDER / "configuration.md": config.reference()}


def commands() -> str:
    """The reference of the command line."""
    root = typer.main.get_command(app)
    return "\n".join([INTRODUCTION, *described(root, ["millstream"])]).rstrip() + "\n"


def described(command: click.Command, path: list[str]) -> list[str]:
    """One part for a command, and for a group those of its commands."""
    parts = []
    if isinstance(command, click.Group):
        if len(path) > 1:
            parts.append(f"## {' '.join(path)}\n\n{text(command.help)}\n")
        for name in sorted(command.commands):
            parts += described(command.commands[name], [*path, name])
        return parts
    context = click.Context(command, info_name=" ".join(path))
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    parts.append(f"### {' '.join(path)}\n\n{text(command.help)}\n\n```\n{usage}\n```\n")
    rows = [row for parameter in command.get_params(context) if (row := parameter_row(parameter, context))]
    if rows:
        parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n")
    return parts


def parameter_row(parameter: click.Parameter, context: click.Context) -> str | None:
    """A row for an argument or option that people may use; none for --help."""
    if "--help" in parameter.opts or getattr(parameter, "hidden", False):
        return None
    if isinstance(parameter, click.Option):
        record = parameter.get_help_record(context)
        name, meaning = record or (", ".join(parameter.opts), parameter.help or "")
    else:
        name, meaning = parameter.make_metavar(context), getattr(parameter, "help", None) or ""
    return f"| `{name}` | {text(meaning)} |".replace(" | | ", " | ")


def text(help_text: str | None) -> str:
    """A help text in one paragraph, safe in a table."""
    return " ".join((help_text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    for path, content in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
