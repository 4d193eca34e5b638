"""The cursor: what it lists from, and when it moves."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from millstream.mailbox.model import Cursor, Phase

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SETTLE = 30.0


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_snapshot_keeps_the_history_id_that_was_noted_before_it() -> None:
    cursor = Cursor().begun(100, since=NOW).paged("next").listed()
    assert cursor == Cursor(Phase.DELTA, 100)


def test_a_look_moves_the_cursor_only_when_late_records_must_have_shown() -> None:
    first = Cursor(Phase.DELTA, 100).looked(200, at=NOW, settle=SETTLE)
    assert first.history_id == 100
    assert first.looked(210, at=later(29), settle=SETTLE) == first
    assert first.looked(210, at=later(30), settle=SETTLE).history_id == 200


def test_a_mailbox_that_says_nothing_comes_to_rest() -> None:
    cursor = Cursor(Phase.DELTA, 100).looked(200, at=NOW, settle=SETTLE)
    assert not cursor.at_rest
    assert cursor.looked(200, at=later(60), settle=SETTLE).at_rest


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 50)), min_size=1, max_size=40))
def test_whatever_shows_late_is_listed_again(looks: list[tuple[float, int]]) -> None:
    """A record that Gmail counts at a look but shows up to SETTLE seconds later lies above the cursor until then."""
    cursor, at, present = Cursor(Phase.DELTA, 1), 0.0, 1
    counted: list[tuple[int, float]] = []
    for gap, grown in looks:
        at, present = at + gap, present + grown
        counted.append((present, at))
        cursor = cursor.looked(present, at=later(at), settle=SETTLE)
        late = [record for record, when in counted if at - when < SETTLE]
        assert all(record >= (cursor.history_id or 0) for record in late)
        assert cursor.history_id is not None
        assert cursor.history_id <= present
