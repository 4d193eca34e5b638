"""Sizes that keep the code readable: beauty shows in the tail, not in the median."""

import ast
import statistics
from pathlib import Path
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(modules: tuple[Any, ...]) -> list[tuple[str, Function]]:
    return [
        (f"{module.place}:{node.lineno} {node.name}", node)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, Function)
    ]


def _excused(modules: tuple[Any, ...], place: str, function: Function) -> bool:
    text = next(module.text for module in modules if place.startswith(f"{module.place}:"))
    return "noqa: PLR0913" in text.splitlines()[function.lineno - 1]


def _lines(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def test_no_file_has_more_than_450_lines(programs: tuple[Any, ...]) -> None:
    long = {module.place: module.text.count("\n") for module in programs if module.text.count("\n") > 450}
    assert long == {}


def test_no_function_has_more_than_80_lines(programs: tuple[Any, ...]) -> None:
    long = {place: _lines(function) for place, function in _functions(programs) if _lines(function) > 80}
    assert long == {}


def test_nine_functions_in_ten_have_at_most_30_lines(sources: tuple[Any, ...]) -> None:
    sizes = [_lines(function) for _, function in _functions(sources)]
    assert statistics.quantiles(sizes, n=10)[-1] <= 30


def test_no_function_takes_more_than_six_parameters(sources: tuple[Any, ...]) -> None:
    many = {}
    for place, function in _functions(sources):
        arguments = function.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        # The options of a command are read by a decorator, never passed by hand; others carry a reason (ruff).
        if (function.decorator_list and "/cli/" in place) or _excused(sources, place, function):
            continue
        count = len([name for name in names if name not in ("self", "cls")])
        if count > 6:
            many[place] = count
    assert many == {}


def test_folders_are_at_most_three_deep(root: Path) -> None:
    package = root / "src" / "millstream"
    deep = [
        str(path.relative_to(package)) for path in package.rglob("*.py") if len(path.relative_to(package).parts) > 4
    ]
    assert deep == []
