"""Generated pages are up to date; settings, commands and changes are documented."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from millstream.config import Settings
from millstream.config.load import keys, variable

_KINDS = {"breaking", "added", "changed", "fixed", "security"}


@pytest.fixture(scope="module")
def generator(root: Path) -> ModuleType:
    """docs/generate.py, which is a program and no part of the package."""
    spec = importlib.util.spec_from_file_location("generate", root / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _commands(command: Any, path: str = "millstream") -> list[tuple[str, Any]]:
    found = [(path, command)]
    for name, inner in getattr(command, "commands", {}).items():
        found += _commands(inner, f"{path} {name}")
    return found


@pytest.fixture(scope="module")
def commands() -> list[tuple[str, Any]]:
    """Every command and group by its full name."""
    from millstream.cli import app  # noqa: PLC0415  a broken command line shall fail these tests alone

    return _commands(typer.main.get_command(app))


def test_generated_pages_are_what_make_docs_would_write(generator: ModuleType) -> None:
    stale = [
        path.name
        for path, content in generator.pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    assert stale == [], "run make docs"


def _undescribed(model: type[BaseModel], before: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            if not field.annotation.__doc__:
                found.append(f"{before}{name}")
            found += _undescribed(field.annotation, f"{before}{name}.")
        elif not (field.description or "").rstrip().endswith("."):
            found.append(f"{before}{name}")
    return found


def test_every_setting_is_described_in_sentences() -> None:
    assert _undescribed(Settings) == []


def test_every_setting_stands_in_the_reference(root: Path) -> None:
    page = (root / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    assert [key for key in keys() if f"| `{key}` | `{variable(key)}` |" not in page] == []


def test_settings_named_in_the_docs_exist(texts: dict[str, str]) -> None:
    known = {variable(key) for key in keys()} | {"MILLSTREAM_CONFIG"}
    unknown = [
        f"{place}: {name}"
        for place, text in texts.items()
        if place.startswith(("docs/", "src/", "README", "examples/"))
        for name in re.findall(r"\bMILLSTREAM_[A-Z]\w*\b", text)
        if name not in known and not name.endswith("_")
    ]
    assert unknown == []


def test_every_command_and_option_has_help(commands: list[tuple[str, Any]]) -> None:
    silent = [name for name, command in commands if not (command.help or "").strip()]
    silent += [
        f"{name} {parameter.name}"
        for name, command in commands
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and not (getattr(parameter, "help", None) or "").strip()
    ]
    assert silent == []


def test_every_command_stands_in_the_reference(root: Path, commands: list[tuple[str, Any]]) -> None:
    page = (root / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    leaves = [name for name, command in commands if not hasattr(command, "commands")]
    assert [name for name in leaves if f"### {name}\n" not in page] == []


def test_changes_since_the_last_release_have_their_fragments(root: Path) -> None:
    fragments = [path for path in (root / "changelog.d").iterdir() if path.name != "README.md"]
    released = "\n## " in (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert fragments or released
    for path in fragments:
        number, kind, suffix = path.name.split(".")
        assert (number.isdigit(), kind in _KINDS, suffix) == (True, True, "md"), path.name
        assert path.read_text(encoding="utf-8").strip(), path.name


def test_links_between_documents_lead_somewhere(root: Path, texts: dict[str, str]) -> None:
    broken = []
    for place, text in texts.items():
        if not place.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (root / place).parent.joinpath(target).exists():
                broken.append(f"{place}: {target}")
    assert broken == []
