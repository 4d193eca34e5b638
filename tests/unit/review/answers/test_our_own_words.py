"""No line that our own mails hold is an answer, in any language, alone or all together."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import millstream
from millstream.review.reading import understand
from millstream.review.words import LANGUAGES

FOLDER = Path(millstream.__file__).parent / "composer" / "notices" / "review"
FILES = sorted(FOLDER.glob("texts.*.toml"))
INSERTED = ("words", "needs")
"""Words that stand inside sentences alone."""


def _lines(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict) and name not in INSERTED:
            yield from _lines(value)
        elif isinstance(value, str):
            yield value


def test_there_are_texts_of_every_language() -> None:
    assert [path.name.split(".")[1] for path in FILES] == sorted(LANGUAGES)


def test_no_line_of_our_mails_is_an_answer() -> None:
    read = [
        (path.name, line, understood)
        for path in FILES
        for line in _lines(tomllib.loads(path.read_text(encoding="utf-8")))
        for languages in (LANGUAGES, (path.name.split(".")[1],))
        if (understood := understand(line, languages)).verdict is not None or understood.cases
    ]
    assert read == []


def test_no_sentence_that_says_what_is_lacking_is_an_answer() -> None:
    for path in FILES:
        texts = tomllib.loads(path.read_text(encoding="utf-8"))
        sentences = [line for line in _lines(texts) if "{needs}" in line]
        assert sentences
        for sentence in sentences:
            for needed in texts["needs"].values():
                understood = understand(sentence.replace("{needs}", needed), LANGUAGES)
                assert (understood.verdict, understood.cases) == (None, ()), (path.name, needed)


def test_a_whole_mail_of_ours_is_no_answer() -> None:
    for path in FILES:
        lines = list(_lines(tomllib.loads(path.read_text(encoding="utf-8"))))
        for begin in range(0, len(lines), 7):
            understood = understand("\n".join(lines[begin : begin + 12]), LANGUAGES)
            assert (understood.verdict, understood.cases) == (None, ())
