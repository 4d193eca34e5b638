"""Options that belong together, taken by a command as one value.

Typer reads a command's options from its signature, an option a parameter. `grouped` gives it a signature in which each
parameter that is a dataclass stands for that dataclass's fields.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses of options. Each field needs a default and Typer's annotation."""
    taken = inspect.signature(command, eval_str=True).parameters
    groups = {name: _group(each) for name, each in taken.items() if is_dataclass(each.annotation)}
    shown = [option for each in taken.values() for option in _options(each)]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        command(**given)

    called.__signature__ = inspect.Signature(shown, return_annotation=None)  # type: ignore[attr-defined]  # typer reads it
    called.__annotations__ = {each.name: each.annotation for each in shown} | {"return": None}
    return called


def _group(parameter: inspect.Parameter) -> type[Any]:
    group: type[Any] = parameter.annotation
    return group


def _options(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    group = parameter.annotation
    if not is_dataclass(group):
        yield parameter
        return
    kinds = get_type_hints(group, include_extras=True)
    for each in fields(group):
        default = inspect.Parameter.empty if each.default is MISSING else each.default
        yield inspect.Parameter(each.name, parameter.kind, default=default, annotation=kinds[each.name])
