"""The corpus of written answers, for the tests of their reading."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "corpus" / "answers"


@dataclass(frozen=True)
class Written:
    """An answer, and what a person would take it for."""

    language: str
    text: str
    expect: str
    clear: bool
    cases: tuple[tuple[int, str], ...] = ()


def corpus() -> list[Written]:
    """All of it, in the order of the files."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["answer"]:
            expect = entry["expect"]
            cases = tuple((number, verdict) for number, verdict in entry.get("cases", ()))
            clear = entry.get("clear", expect != "unclear" or bool(cases))
            found.append(Written(path.stem[:2], entry["text"], expect, clear, cases))
    return found
