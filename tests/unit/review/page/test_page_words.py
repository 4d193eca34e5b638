"""What answer pages say: the same sentences in each language, with the same places to fill."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from millstream.web.review_words import LANGUAGES, language_asked, language_of, moment, words_of

AT = datetime(2026, 12, 1, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_everything(language: str) -> None:
    english, words = words_of("en"), words_of(language)
    assert list(words) == list(english)
    for name, sentence in words.items():
        assert sentence.strip()
        assert sorted(re.findall(r"{\w+}", sentence)) == sorted(re.findall(r"{\w+}", english[name])), name


@pytest.mark.parametrize(
    ("locale", "time_zone", "said"),
    [
        ("en-GB", "Europe/Berlin", "1 Dec 2026, 17:30 CET"),
        ("de_DE", "Europe/Berlin", "01.12.2026, 17:30 CET"),
        ("xx-YY", "Mars/Olympus", "Dec 1, 2026, 4:30 PM UTC"),
        ("", "", "Dec 1, 2026, 4:30 PM UTC"),
        ("../../etc", "../../etc/passwd", "Dec 1, 2026, 4:30 PM UTC"),
    ],
)
def test_times_are_told_as_people_of_a_place_read_them(locale: str, time_zone: str, said: str) -> None:
    assert moment(AT, locale, time_zone).replace("\u202f", " ") == said


def test_languages_nobody_speaks_here_become_english() -> None:
    assert [language_of(each) for each in ("de-AT", "pt-BR", "", "EN_us")] == ["de", "en", "en", "en"]
    assert language_asked("pt, it-CH;q=0.9, en") == "it"
    assert language_asked("x" * 100_000) == "en"
