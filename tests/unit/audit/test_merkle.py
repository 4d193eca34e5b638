"""One hash for many: the tree of RFC 6962, and proofs that nothing else can have."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from millstream.audit.merkle import EMPTY, Tree, leads_to

Values = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def _by_the_book(values: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not values:
        return sha256(b"").digest()
    if len(values) == 1:
        return sha256(b"\x00" + values[0]).digest()
    k = 1
    while k * 2 < len(values):
        k *= 2
    return sha256(b"\x01" + _by_the_book(values[:k]) + _by_the_book(values[k:])).digest()


@given(Values)
def test_the_root_is_that_of_the_book(values: list[bytes]) -> None:
    assert Tree(values).root == _by_the_book(values)


def test_nothing_has_a_root_of_its_own() -> None:
    assert Tree([]).root == EMPTY == _by_the_book([])


@given(Values, st.data())
def test_every_value_leads_to_the_root_and_no_other_does(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    tree = Tree(values)
    path = tree.path(index)
    assert leads_to(values[index], index, len(values), path) == tree.root
    assert leads_to(values[index] + b"x", index, len(values), path) != tree.root
    assert leads_to(values[index], index, len(values), [*path, tree.root]) is None
    assert leads_to(values[index], len(values), len(values), path) is None
    if path:
        assert leads_to(values[index], index, len(values), path[:-1]) is None


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=40, unique=True), st.data())
def test_a_value_leads_to_the_root_from_its_own_place_alone(values: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.integers(0, len(values) - 1).filter(lambda n: n != index))
    tree = Tree(values)
    assert leads_to(values[index], other, len(values), tree.path(index)) != tree.root
