from datetime import UTC, datetime

import pytest

from millstream.gmail import errors
from millstream.gmail.errors import Call, Effect, Fault, GmailError

SEND = Call("drafts.send", "a@bank.example", write=True)
GET = Call("drafts.get", "a@bank.example")


def _tree(kind: type[GmailError]) -> list[type[GmailError]]:
    """Those of this module; the relay's have a tree and a test of their own."""
    ours = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind, *(found for child in ours for found in _tree(child))]


ALL = _tree(GmailError)
DRAWN = [*ALL, *_tree(errors.PushError)]
REFUSED = _tree(errors.Refused)


def test_the_tree_drawn_at_the_top_is_the_tree_of_the_classes() -> None:
    path: list[str] = []
    drawn = {}
    for line in errors.__doc__.splitlines():
        if "──" not in line:
            path = [line] if line.endswith("Error") else path
            continue
        depth = line.index("──") // 4 + 1
        name = line.split("── ")[1].split()[0]
        path[depth:] = [name]
        drawn[name] = path[depth - 1]
    roots = (GmailError, errors.PushError)
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in DRAWN if kind not in roots}


@pytest.mark.parametrize("kind", ALL)
def test_every_error_answers_the_three_questions_and_says_what_to_do(kind: type[GmailError]) -> None:
    error = kind(SEND, status=400, reason="why", text="words")
    assert isinstance(error.temporary, bool)
    assert isinstance(error.effect, Effect)
    assert isinstance(error.fault, Fault)
    sentence = str(error)
    for part in ("drafts.send", "a@bank.example", "400 why: words", kind.what, kind.advice):
        assert part in sentence
    assert kind.__doc__


@pytest.mark.parametrize("kind", REFUSED)
def test_what_google_refused_did_not_happen(kind: type[GmailError]) -> None:
    assert kind(SEND).effect is Effect.NO


@pytest.mark.parametrize("kind", _tree(errors.Unclear))
def test_without_an_answer_only_a_write_is_unknown(kind: type[GmailError]) -> None:
    assert kind(SEND).effect is Effect.UNKNOWN
    assert "unknown" in str(kind(SEND))
    assert kind(GET).effect is Effect.NO
    assert kind(SEND).temporary


@pytest.mark.parametrize("kind", _tree(errors.LimitReached))
def test_limits_are_temporary(kind: type[GmailError]) -> None:
    assert kind(SEND).temporary


def test_long_words_are_trimmed_and_the_time_is_told() -> None:
    error = errors.RateLimited(GET, text="w" * 1000, retry_at=datetime(2026, 9, 11, 20, tzinfo=UTC))
    assert len(error.text) == 300
    assert "Not before 2026-09-11T20:00:00+00:00" in str(error)
    assert (error.method, error.mailbox) == ("drafts.get", "a@bank.example")
