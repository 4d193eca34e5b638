"""Whatever happens in whatever order, and whatever a kill undoes: one decision a round, and nothing after the end."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from state_book import ANNA, BEN, CARL, CONTENT, LEGAL, NOW, RISK, SUBJECT, book, policy_of

from millstream.review.machine import start, step
from millstream.review.model import (
    DECIDED_AS,
    Answered,
    Ask,
    Cancelled,
    Climb,
    Consequence,
    Content,
    Decided,
    DecidedElsewhere,
    Due,
    Happening,
    How,
    NewContent,
    Note,
    Overruled,
    Reassigned,
    Refusal,
    Remind,
    SeatState,
    State,
    Undeliverable,
    Verdict,
)
from millstream.review.people import People

PEOPLE = st.sampled_from([ANNA, "a.ample@bank.example", BEN, CARL, LEGAL, RISK, "stranger@mail.example", ""])
VERDICTS = st.sampled_from(Verdict)
HASHES = st.sampled_from(["1" * 64, "2" * 64, "3" * 64])
ENDS = {State.APPROVED, State.REJECTED, State.CANCELLED}
POLICIES = st.fixed_dictionaries(
    {
        "stages": st.lists(
            st.fixed_dictionaries(
                {
                    "ask": st.sampled_from([["approvers"], ["anna", "legal"], ["ben"], ["risk", "carl", "anna"]]),
                    "need": st.sampled_from(["any", "all", "2", "3"]),
                }
            ),
            min_size=1,
            max_size=3,
        ),
        "rules": st.fixed_dictionaries({name: st.booleans() for name in ("veto", "four_eyes", "own_work")}),
        "time": st.fixed_dictionaries(
            {
                "deadline": st.sampled_from(["4h", "8h"]),
                "reminders": st.sampled_from([[], ["2h", "3h"], ["-1h"]]),
                "at_expiry": st.sampled_from(["hold", "reject", "release"]),
            }
        ),
        "ladder": st.lists(
            st.fixed_dictionaries(
                {
                    "after": st.sampled_from(["3h", "6h", "10h"]),
                    "ask": st.sampled_from([["legal"], ["risk", "anna"]]),
                    "takes_over": st.booleans(),
                }
            ),
            max_size=2,
        ),
        "people": st.just({"may_overrule": ["risk"], "may_reassign": ["legal"]}),
    }
)
DELEGATIONS = [
    {"from": "carl", "to": RISK, "since": "2026-11-24"},
    {"from": "ben", "to": "anna", "since": "2026-11-23", "until": "2026-11-23"},
]


class Reviews(RuleBasedStateMachine):
    """One review and everything that can happen to it."""

    @initialize(
        policy=POLICIES,
        author=st.sampled_from([(), ("bbold",), (ANNA,), (RISK, CARL)]),
        away=st.sampled_from([[], DELEGATIONS]),
    )
    def put(self, policy: dict[str, object], author: tuple[str, ...], away: list[dict[str, str]]) -> None:
        made = book(policy, delegations=away)
        self.who, self.now = People(made), NOW
        self.policy = self.who.settled(policy_of(made), SUBJECT)
        self.review, follows = start(self.policy, SUBJECT, CONTENT, who=self.who, author=author, now=self.now)
        self.decided: dict[int, int] = {}
        self._look(follows)

    def happens(self, happening: Happening, *, killed: bool) -> None:
        before = self.review
        outcome = step(before, happening, self.policy, who=self.who, now=self.now)
        assert outcome == step(before, happening, self.policy, who=self.who, now=self.now)
        if killed or isinstance(outcome, Refusal):
            return  # a transaction that is rolled back, or a refusal, leaves everything as it was
        self.review, follows = outcome
        if self.review is before:
            assert follows == ()
            return
        assert self.review.version == before.version + 1
        ended = before.state in ENDS and not isinstance(happening, Overruled)
        assert not ended, "something followed after the end"
        self._look(follows)
        if isinstance(happening, Answered):
            [seat] = [each for each in self.review.seats if each.answered and each not in before.seats]
            old = next(each for each in before.waiting() if each.address == seat.address)
            assert (old.round, old.stage) == (before.round, before.stage)
            assert (happening.round, happening.hash) == (before.round, before.content.hash)

    def _look(self, follows: tuple[Consequence, ...]) -> None:
        decisions = [each.decision for each in follows if isinstance(each, Decided)]
        assert len(decisions) <= 1
        for decision in decisions:
            self.decided[decision.round] = self.decided.get(decision.round, 0) + 1
            assert decision == self.review.decision
            assert decision.hash == self.review.content.hash
            assert self.review.state is DECIDED_AS[decision.verdict]
        assert len([each for each in follows if isinstance(each, Note) and each.kind == "decided"]) == len(decisions)
        for each in follows:
            if isinstance(each, Ask | Climb | Remind) and self.review.state is State.OPEN:
                assert each.seat.round == self.review.round
                assert self.policy.rules.own_work or each.seat.address not in self.who.makers(self.review.author)

    @rule(who=PEOPLE, verdict=VERDICTS, how=st.sampled_from(How), old=st.booleans(), killed=st.booleans())
    def answer(self, who: str, verdict: Verdict, how: How, *, old: bool, killed: bool) -> None:
        number = self.review.round - old
        self.happens(Answered(who, verdict, "as said", how, number, self.review.content.hash), killed=killed)

    @rule(who=PEOPLE, content_hash=HASHES)
    def answer_to_something_else(self, who: str, content_hash: str) -> None:
        said = Answered(who, Verdict.APPROVE, "", How.MAIL, self.review.round, content_hash)
        self.happens(said, killed=False)

    @rule(hours=st.floats(0, 30), killed=st.booleans())
    def time_passes(self, hours: float, *, killed: bool) -> None:
        self.now += timedelta(hours=hours)
        self.happens(Due(), killed=killed)

    @rule(content_hash=HASHES, author=st.sampled_from([(), (BEN,)]), killed=st.booleans())
    def change(self, content_hash: str, author: tuple[str, ...], *, killed: bool) -> None:
        self.happens(NewContent(Content(content_hash), author), killed=killed)

    @rule(giver=PEOPLE, to=PEOPLE, by=PEOPLE, killed=st.booleans())
    def hand_on(self, giver: str, to: str, by: str, *, killed: bool) -> None:
        self.happens(Reassigned(giver, to, by), killed=killed)

    @rule(who=PEOPLE, killed=st.booleans())
    def bounce(self, who: str, *, killed: bool) -> None:
        self.happens(Undeliverable(who, "550 no such user"), killed=killed)

    @rule(by=PEOPLE, verdict=VERDICTS, killed=st.booleans())
    def overrule(self, by: str, verdict: Verdict, *, killed: bool) -> None:
        self.happens(Overruled(by, verdict, "as I say", How.COMMAND), killed=killed)

    @rule(verdict=VERDICTS, often=st.integers(0, 5), killed=st.booleans())
    def decide_elsewhere(self, verdict: Verdict, often: int, *, killed: bool) -> None:
        if often == 0:
            self.happens(DecidedElsewhere("aample", verdict, "in Exstream"), killed=killed)

    @rule(often=st.integers(0, 9))
    def cancel(self, often: int) -> None:
        if often == 0:
            self.happens(Cancelled("operator", "taken back"), killed=False)

    @invariant()
    def holds(self) -> None:
        review = getattr(self, "review", None)
        if review is None:
            return
        assert all(count == 1 for count in self.decided.values())
        assert list(review.agenda) == sorted(review.agenda, key=lambda timer: timer.at)
        seats = [(seat.round, seat.stage, seat.address) for seat in review.seats]
        assert len(seats) == len(set(seats))
        assert all(seat.round <= review.round for seat in review.seats)
        if review.state is State.OPEN:
            assert review.decision is None
            assert review.due_at is None or review.agenda
        else:
            assert review.agenda == ()
            assert review.due_at is None
            assert not [seat for seat in review.seats if seat.state is SeatState.WAITING]
        if review.state not in {State.OPEN, State.CANCELLED}:
            assert self.decided[review.round] == 1
        if self.policy.rules.four_eyes and review.state is State.APPROVED:
            decision = review.decision
            assert decision is not None
            votes = {vote for vote in decision.votes if vote.endswith("approve")} | {decision.by}
            alone = decision.how in {How.POLICY, How.EXSTREAM} or decision.by == RISK
            assert len(votes) >= 2 or alone


Reviews.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
test_any_order_of_what_happens_decides_once = Reviews.TestCase
