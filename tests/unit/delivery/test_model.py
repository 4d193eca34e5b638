"""A delivery moves only where its disposition leads."""

from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from millstream.delivery.errors import IllegalTransition
from millstream.delivery.model import FINAL, TRANSITIONS, Delivery, Disposition

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
BOUND = {"drafted", "sending", "uncertain", "accepted"}


def queued() -> Delivery:
    return Delivery(1, "t", 1, Disposition.QUEUED, 0, NOW, mailbox="s@bank.example", epoch=1)


def test_every_state_has_an_exit_or_is_final() -> None:
    assert set(TRANSITIONS) == set(Disposition)
    assert {state for state, exits in TRANSITIONS.items() if not exits} == FINAL


def test_every_state_can_be_reached_from_queued() -> None:
    reached, frontier = {Disposition.QUEUED}, [Disposition.QUEUED]
    while frontier:
        fresh = TRANSITIONS[frontier.pop()] - reached
        reached |= fresh
        frontier.extend(fresh)
    assert reached == set(Disposition)


def test_an_uncertain_delivery_never_becomes_held_or_failed_or_cancelled() -> None:
    assert TRANSITIONS[Disposition.UNCERTAIN].isdisjoint(
        {Disposition.HELD, Disposition.FAILED, Disposition.CANCELLED, Disposition.SENDING}
    )


def test_a_cancelled_delivery_moves_nowhere() -> None:
    with pytest.raises(IllegalTransition, match="cancelled"):
        queued().cancelled().freed(due_at=NOW)


def test_an_accepted_delivery_can_only_be_taken_back_to_the_queue() -> None:
    accepted = queued().drafted("d", "t", history_id=1, release=True).accepted("m", "t", NOW)
    with pytest.raises(IllegalTransition):
        accepted.uncertain(since=NOW, due_at=NOW, reason="x", detail="y")
    back = accepted.freed(due_at=NOW, reason="limit_notice")
    assert (back.disposition, back.mailbox, back.message_id) == (Disposition.QUEUED, None, None)


class Moves(RuleBasedStateMachine):
    """Any order of moves keeps what the schema checks."""

    @initialize()
    def start(self) -> None:
        self.delivery = queued()

    @rule(verb=st.sampled_from(["draft", "send", "accept", "doubt", "keep", "free", "wait", "hold", "fail", "cancel"]))
    def move(self, verb: str) -> None:
        before, moves = self.delivery, self.moves()
        try:
            self.delivery = moves[verb]()
        except IllegalTransition:
            assert self.delivery is before
        else:
            assert self.delivery.version == before.version + 1

    def moves(self) -> dict:
        d = self.delivery
        return {
            "draft": lambda: d.drafted("d1", "t1", history_id=5, release=False),
            "send": d.sending,
            "accept": lambda: d.accepted("m1", "t1", NOW),
            "doubt": lambda: d.uncertain(since=NOW, due_at=NOW, reason="timed_out", detail="x"),
            "keep": lambda: d.kept(due_at=NOW, reason="rate_limited", detail="x"),
            "free": lambda: d.freed(due_at=NOW),
            "wait": d.waiting,
            "hold": lambda: d.held("bad_recipient", "x"),
            "fail": lambda: d.failed("gave_up", "x"),
            "cancel": d.cancelled,
        }

    @precondition(lambda self: self.delivery.disposition is Disposition.QUEUED and self.delivery.mailbox is None)
    @rule()
    def claimed_again(self) -> None:
        self.delivery = Delivery(1, "t", 1, Disposition.QUEUED, self.delivery.version, NOW, mailbox="r@x.test", epoch=2)

    @invariant()
    def schema_holds(self) -> None:
        d = self.delivery
        assert d.disposition not in {"held", "failed"} or d.reason
        assert d.disposition != "accepted" or d.message_id
        assert d.disposition != "drafted" or d.draft_id
        assert d.disposition != "uncertain" or d.uncertain_since
        assert (d.mailbox is None) == (d.epoch is None)


TestMoves = Moves.TestCase
