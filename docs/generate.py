"""Writes the generated pages of docs/reference; `make docs`. A test compares them with what this would write."""

from pathlib import Path
from typing import Any

import typer.main

from millstream import config
from millstream.cli import app

FOLDER = Path(__file__).parent / "reference"

# Typer adds these by itself.
OF_EVERY_COMMAND = {"--help", "--install-completion", "--show-completion"}

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


def described(command: Any, path: list[str]) -> list[str]:
    """One part for a command, and for a group those of its commands."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        parts = [f"## {' '.join(path)}\n\n{text(command.help)}\n", *table(command, path)]
        for name in sorted(inner, key=lambda name: (hasattr(inner[name], "commands"), name)):
            parts += described(inner[name], [*path, name])
        return parts
    context = command.context_class(command, info_name=path[-1])
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    return [f"### {' '.join(path)}\n\n{text(command.help)}\n\n```\n{usage}\n```\n", *table(command, path)]


def table(command: Any, path: list[str]) -> list[str]:
    """The arguments and options that people may use, apart from --help."""
    context = command.context_class(command, info_name=path[-1])
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and not OF_EVERY_COMMAND.intersection(parameter.opts):
            rows.append(f"| `{record[0]}` | {text(record[1])} |")
    return ["\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n"] if rows else []


def text(help_text: str | None) -> str:
    """A help text in one paragraph, safe in a table."""
    return " ".join((help_text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    for path, content in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
