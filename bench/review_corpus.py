"""How written answers are read: how many wrongly, and how many of the clear ones decide.

The corpus is that of the tests (tests/corpus/answers), read with all languages and with the answer's own alone. An
answer is wrong where it decides something else than a person would take it for, or anything where it is not clear.
"""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millstream.review.model import Understood
from millstream.review.reading import understand
from millstream.review.words import LANGUAGES
from process import BenchFailed
from stage import emit, say

_FOLDER = Path(__file__).parent.parent / "tests" / "corpus" / "answers"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    rounds: int = 5
    """How often the corpus is read for the time of one answer."""


async def measure(plan: Plan) -> None:
    """One line."""
    answers = _corpus()
    if not answers:
        raise BenchFailed(f"no answers lie in {_FOLDER}")
    say(f"review.corpus: {len(answers)} answers")
    wrong = clear = decided = 0
    for language, answer in answers:
        is_clear = answer.get("clear", answer["expect"] != "unclear" or "cases" in answer)
        for languages in (LANGUAGES, (language,)):
            outcome = _outcome(answer, understand(answer["text"], languages))
            wrong += outcome == "wrong"
            clear += is_clear
            decided += is_clear and outcome == "right"
    started = time.process_time()
    for _ in range(plan.rounds):
        for _, answer in answers:
            understand(answer["text"], LANGUAGES)
    spent = time.process_time() - started
    emit(
        {
            "name": "review.corpus",
            "answers": len(answers),
            "wrong": wrong,
            "decided_fraction": round(decided / clear, 4),
            "us_each": round(spent / plan.rounds / len(answers) * 1e6),
        }
    )


def _corpus() -> list[tuple[str, dict[str, Any]]]:
    return [
        (path.stem[:2], answer)
        for path in sorted(_FOLDER.glob("*.toml"))
        for answer in tomllib.loads(path.read_text(encoding="utf-8"))["answer"]
    ]


def _outcome(answer: dict[str, Any], understood: Understood) -> str:
    if understood.verdict is None and not understood.cases:
        return "silent"
    if "cases" in answer:
        said = [[number, verdict.value] for number, verdict, _ in understood.cases]
        return "right" if said == [list(each) for each in answer["cases"]] else "wrong"
    return "right" if understood.verdict and understood.verdict.value == answer["expect"] else "wrong"
