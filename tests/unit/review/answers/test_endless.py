"""What somebody writes at great length costs little: the worker reads it while everything else waits."""

import time

import pytest

from millstream.review.reading import afterthought, understand

LANGUAGES = ("en", "de", "fr", "es", "it", "nl")


@pytest.mark.parametrize("piece", ["(", "👍\u200d", "e\u0301\u0301", "a.", "ok\n", "'\"", "1-", "<", "ok,"])
def test_twenty_thousand_signs_of_anything_are_read_in_a_moment(piece: str) -> None:
    understand("ok", LANGUAGES)
    text = (piece * 20_000)[:20_000]
    began = time.process_time()
    understand(text, LANGUAGES)
    afterthought(text, LANGUAGES)
    assert time.process_time() - began < 0.7


def test_an_address_is_still_somebody_elses_word() -> None:
    assert understand("approved a@b.example", LANGUAGES).verdict is None
    assert understand("approved " + "a" * 90 + "@b.example", LANGUAGES).verdict is None
