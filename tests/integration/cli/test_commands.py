"""All commands: help, JSON, and what they cost to start."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from millstream import lazy
from millstream.cli import app
from millstream.cli.main import TREE
from millstream.cli.tree import Branch, Leaf


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    for name, each in tree.items():
        if isinstance(each, Branch):
            yield from _leaves(each.commands, (*path, name))
        else:
            yield (*path, name), each


LEAVES = dict(_leaves(TREE))
NAMES = [" ".join(path) for path in LEAVES]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_helps_with_its_own_words(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert " ".join(LEAVES[tuple(name.split())].line.split()[:4]) in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", NAMES)
def test_the_line_in_the_tree_is_the_first_sentence_of_the_help(name: str) -> None:
    leaf = LEAVES[tuple(name.split())]
    paragraph = " ".join((lazy.load(leaf.place).__doc__ or "").split("\n\n")[0].split())
    assert paragraph == leaf.line or paragraph.startswith(f"{leaf.line} ")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_can_answer_with_json(name: str) -> None:
    command: Any = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("group", ["", *(name for name, each in TREE.items() if isinstance(each, Branch))])
def test_a_group_alone_lists_its_commands_and_is_wrong_usage(group: str) -> None:
    result = CliRunner().invoke(app, group.split())
    tree = TREE[group].commands if group else TREE
    assert result.exit_code == 2
    assert all(name in result.stderr + result.stdout for name in tree)


def test_a_mistyped_command_is_told_the_right_one() -> None:
    result = CliRunner().invoke(app, ["rum", "list"])
    assert result.exit_code == 2
    assert "Did you mean 'run'?" in result.stderr


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("millstream ")


def _imported(*arguments: str, environment: dict[str, str] | None = None) -> set[str]:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr))\n"
        f"sys.argv = ['millstream', *{arguments!r}]\n"
        "from millstream.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    return set(done.stderr.split())


def test_help_imports_no_room_and_no_library_of_theirs() -> None:
    imported = _imported("--help")
    assert imported & {"aiohttp", "alembic", "psycopg", "pydantic", "rich", "sqlalchemy", "structlog", "typst"} == set()


def test_a_listing_imports_neither_gmail_nor_the_composer(environment: dict[str, str]) -> None:
    imported = _imported("run", "list", environment=environment)
    assert imported & {"aiohttp", "alembic", "procrastinate", "rich", "sqlalchemy", "structlog", "typst"} == set()
    assert "psycopg" in imported


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "millstream", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("millstream ")
