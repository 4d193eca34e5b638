"""The project's own text, for tests that read it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file, parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        """Its path inside the project."""
        return str(self.path.relative_to(ROOT))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def sources() -> tuple[Module, ...]:
    """Every module of the package."""
    return tuple(_modules(ROOT / "src"))


@pytest.fixture(scope="session")
def programs() -> tuple[Module, ...]:
    """Every Python file of the project: package, tests, benches, generators."""
    return tuple(module for name in ("src", "tests", "bench", "docs") for module in _modules(ROOT / name))


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Every text file of the project by its path inside it."""
    found = {}
    for path in _files():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def _modules(folder: Path) -> Iterator[Module]:
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield Module(path, text, ast.parse(text, filename=str(path)))


def _files() -> Iterator[Path]:
    """What belongs to the project: no environments, no caches, no repository."""
    for top in sorted(ROOT.iterdir()):
        if top.is_file() and top.name != ".git":  # a file in a linked work tree
            yield top
        elif top.name in (".ci", "bench", "changelog.d", "docs", "examples", "src", "tests"):
            yield from (path for path in sorted(top.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
