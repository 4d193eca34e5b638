"""A tree of commands whose leaves are imported when they are called.

Help of a group needs the names and a line each, so both stand in the tree; a leaf's own help is its docstring, whose
first sentence that line is (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from millstream import lazy


@dataclass(frozen=True, slots=True)
class Leaf:
    """A command: its function as `package.module:function`, and its line in the group's help."""

    place: str
    line: str


@dataclass(frozen=True, slots=True)
class Branch:
    """Commands about one noun."""

    line: str
    commands: Mapping[str, Leaf | Branch]


class Commands(MutableMapping[str, Any]):
    """The commands of a branch by name, each made when it is asked for."""

    def __init__(self, tree: Mapping[str, Leaf | Branch]) -> None:
        self.tree = dict(tree)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _grown(name, self.tree[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self.tree[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tree)

    def __len__(self) -> int:
        return len(self.tree)


class Group(TyperGroup):
    """A group that lists its commands without importing one."""

    def __init__(self, *, tree: Mapping[str, Leaf | Branch], **given: Any) -> None:
        super().__init__(**{**given, "commands": None})
        self.commands = Commands(tree)

    def list_commands(self, _context: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own context
        """Their names, in the tree's order."""
        return list(self.commands)

    def format_commands(self, _context: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # the same
        """The section of the help that lists them."""
        tree: Mapping[str, Leaf | Branch] = self.commands.tree  # type: ignore[attr-defined]  # set above
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.line) for name, each in tree.items()])


def _grown(name: str, each: Leaf | Branch) -> Any:
    if isinstance(each, Branch):
        return Group(tree=each.commands, name=name, help=each.line, no_args_is_help=True, rich_markup_mode=None)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name)(lazy.load(each.place))
    return get_command(single)
