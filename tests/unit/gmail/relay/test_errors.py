"""The tree of the relay's errors, and the three questions."""

import pytest

from millstream.gmail.errors import Call, Effect, Fault
from millstream.gmail.relay import errors
from millstream.gmail.relay.errors import RelayError

SEND = Call("smtp.send", "statements@bank.example", write=True)


def _tree(kind: type[RelayError]) -> list[type[RelayError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]


ALL = _tree(RelayError)


def test_the_tree_drawn_at_the_top_is_the_tree_of_the_classes():
    path = ["RelayError"]
    drawn = {}
    for line in errors.__doc__.splitlines():
        if "──" in line:
            depth = line.index("──") // 4 + 1
            name = line.split("── ")[1].split()[0]
            path[depth:] = [name]
            drawn[name] = path[depth - 1]
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in ALL if kind is not RelayError}


@pytest.mark.parametrize("kind", ALL)
def test_every_error_answers_the_three_questions_and_says_what_to_do(kind):
    error = kind(SEND, status=450, reason="4.2.1", text="words")
    assert isinstance(error.temporary, bool)
    assert isinstance(error.fault, Fault)
    assert error.effect is (Effect.UNKNOWN if issubclass(kind, errors.AfterDot) else Effect.NO)
    for part in ("smtp.send", "statements@bank.example", "450 4.2.1: words", kind.what, kind.advice):
        assert part in str(error)
    assert kind.__doc__
