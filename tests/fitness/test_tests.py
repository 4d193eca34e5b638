"""Tests are sentences about behaviour, and ask for outcomes."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any


def _tests(programs: tuple[Any, ...]) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (f"{module.place}:{node.lineno}", node)
        for module in programs
        if module.path.name.startswith("test_")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def test_the_name_of_a_test_is_a_sentence(programs: tuple[Any, ...]) -> None:
    short = [f"{place} {node.name}" for place, node in _tests(programs) if len(node.name.split("_")) < 4]
    assert short == []


def test_no_two_tests_of_a_file_have_one_name(programs: tuple[Any, ...]) -> None:
    seen: dict[tuple[str, str], str] = {}
    hidden = []
    for place, node in _tests(programs):
        key = (place.partition(":")[0], node.name)
        if key in seen:
            hidden.append(f"{place} hides {seen[key]}")
        seen[key] = place
    assert hidden == []


def test_nothing_is_mocked(programs: tuple[Any, ...]) -> None:
    found = [
        module.place
        for module in programs
        if re.search(r"^\s*(from unittest|import mock\b)", module.text, re.MULTILINE)
    ]
    assert found == []


def test_no_test_sleeps_for_a_fixed_time(programs: tuple[Any, ...]) -> None:
    found = []
    for module in programs:
        if not module.path.name.startswith("test_"):
            continue
        found += [
            f"{module.place}:{node.lineno}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "sleep"
            and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
        ]
    assert found == []


def test_test_folders_are_no_packages(root: Path) -> None:
    assert list((root / "tests").rglob("__init__.py")) == []


def test_what_tests_share_has_a_name_of_its_own(programs: tuple[Any, ...]) -> None:
    """Folders run together: of two modules with one name the second is never read."""
    helpers = [
        each.path for each in programs if each.place.startswith("tests/") and not each.path.stem.startswith("test_")
    ]
    names = [path.stem for path in helpers if path.stem != "conftest"]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    conftests = [
        f"{module.place}:{node.lineno}"
        for module in programs
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.ImportFrom) and node.module == "conftest")
        or (isinstance(node, ast.Import) and any(each.name == "conftest" for each in node.names))
    ]
    assert (twice, conftests) == ([], [])
