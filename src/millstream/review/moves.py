"""What can be done to a review in one step of its machine: ask, count, climb, decide. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from millstream.review import agenda
from millstream.review.model import (
    DECIDED_AS,
    Answer,
    Answered,
    Ask,
    Climb,
    Consequence,
    Content,
    Decided,
    Decision,
    How,
    Note,
    Raise,
    Remind,
    Review,
    Seat,
    SeatState,
    State,
    Tell,
    Timer,
    Verdict,
)
from millstream.review.panel import Asked, Panel
from millstream.review.policy import Policy


def told_of(review: Review) -> dict[str, Any]:
    """Who decided what when, for whoever comes later; empty while nobody has."""
    decision = review.decision
    if decision is None:
        return {}
    return {
        "verdict": decision.verdict,
        "by": decision.by,
        "how": decision.how,
        "at": decision.at.isoformat(),
        "text": decision.text,
    }


class Moves:
    """A review in hand: how it stands, and what has followed so far."""

    def __init__(self, review: Review, policy: Policy, who: Panel, now: datetime) -> None:
        self.review = review
        self.policy = policy
        self.who = who
        self.now = now
        self._before = review
        self._follows: list[Consequence] = []
        self._audience: tuple[Seat, ...] = ()
        """Who heard of the decision that is about to be changed."""

    def outcome(self) -> tuple[Review, tuple[Consequence, ...]]:
        """The review as it stands now, one version on where anything changed."""
        if self.review == self._before and not self._follows:
            return self._before, ()
        return replace(self.review, version=self._before.version + 1), tuple(self._follows)

    def note(self, kind: str, **facts: Any) -> None:
        """An entry of the audit chain."""
        self._follows.append(Note(kind, facts))

    # Who is who

    def canonical(self, address: str) -> str:
        """The address a person is known by."""
        person = self.who.person(address)
        return person.address if person else address.strip().lower()

    def makers(self) -> Collection[str]:
        """Whose own work it is, where that bars them."""
        return () if self.policy.rules.own_work else self.who.makers(self.review.author)

    def barred(self) -> set[str]:
        """Who gets no seat in this stage: those who made it, and with four eyes who approved in an earlier one."""
        found = set(self.makers())
        if self.policy.rules.four_eyes:
            found |= {seat.address for seat in self._approvals(earlier=True)}
        return found

    def seat_of(self, address: str) -> Seat | None:
        """Somebody's seat in the current stage."""
        return next((seat for seat in self._stage() if seat.address == address), None)

    def sits(self, address: str) -> bool:
        """Whether somebody has, or had, a voice in the current stage."""
        seat = self.seat_of(address)
        return seat is not None and seat.state in {SeatState.WAITING, SeatState.ANSWERED, SeatState.UNREACHABLE}

    # Asking

    def enter(self, stage: int) -> None:
        """Ask the people of a stage, and begin its agenda."""
        calendar = self.who.calendar(self.policy)
        deadline, timers = agenda.plan(self.policy, calendar, at=self.now)
        self.review = replace(
            self.review, stage=stage, asked_at=self.now, deadline=deadline, overdue=False, agenda=timers
        )
        asked = self.who.stage(self.policy, stage, without=self.barred(), at=self.now)
        for person in asked:
            self._follows.append(Ask(self._seat(person)))
        self._watch_delegations(person.address for person in asked)
        if asked:
            self.note("asked", round=self.review.round, stage=stage, people=[person.address for person in asked])
        self._reach()

    def begin_round(self, content: Content, author: tuple[str, ...]) -> None:
        """Close the round, and put the same question about other content."""
        review, old = self.review, self.review.round
        left = self._close({seat.address for seat in review.waiting()})
        answered = [seat for seat in review.seats if seat.round == old and seat.state is SeatState.ANSWERED]
        told = () if review.state is State.CHANGES else (*left, *answered)
        self.note("superseded", round=old, hash=review.content.hash, by_hash=content.hash, papers=content.hashes)
        self.review = replace(
            self.review, state=State.OPEN, round=old + 1, content=content, decision=None, author=author, agenda=()
        )
        self.enter(0)
        again = {seat.address for seat in self.review.waiting()}
        # Who is asked again learns it by the new question.
        for seat in _once(told, without=again):
            self._follows.append(Tell(seat, "superseded", {"round": old, "by_round": old + 1}))

    def repeat_round(self, why: str) -> None:
        """A round without seats about the same content: a decision stands for ever, so another one needs its own."""
        review, heard = self.review, {SeatState.ANSWERED, SeatState.CLOSED}
        self._audience = tuple(seat for seat in review.seats if seat.round == review.round and seat.state in heard)
        self.note("reopened", round=review.round, why=why)
        self.review = replace(review, state=State.OPEN, round=review.round + 1, decision=None, agenda=(), overdue=False)

    def hand_over(self, seat: Seat, to: Asked, *, kind: str, by: str) -> None:
        """Give a waiting seat to somebody else, who is asked."""
        self._put(seat, state=SeatState.REPLACED)
        self._follows.append(Tell(seat, "handed_on", {"to": to.address, "name": to.name, "by": by}))
        taken = self._seat(replace(to, instead_of=seat.address), rung=seat.rung)
        self._follows.append(Ask(taken))
        self._watch_delegations([to.address])
        self.note(kind, round=seat.round, stage=seat.stage, to=to.address, by=by, **{"from": seat.address})

    def lose(self, seat: Seat, why: str) -> None:
        """Somebody's question came back."""
        self._put(seat, state=SeatState.UNREACHABLE)
        facts = {"address": seat.address, "round": seat.round, "stage": seat.stage, "error": why}
        self.note("undeliverable", **facts)
        action = "correct the address in the policies, or hand the question on with `millstream review assign`"
        self._follows.append(Raise("undeliverable", {**facts, "action": action}))
        self._reach()

    # Counting

    def answer(self, seat: Seat, said: Answered) -> None:
        """Count an answer, and see what it decides."""
        given = Answer(seat.address, said.verdict, said.text, said.how, self.now, dict(said.evidence))
        self._put(seat, state=SeatState.ANSWERED, answered=given)
        self.note("answered", stage=seat.stage, round=seat.round, hash=said.hash, **_spoken(given))
        approvals = len(self._approvals())
        if said.verdict is not Verdict.APPROVE and self.policy.rules.veto:
            self._decided_by(said.verdict, given)
        elif approvals >= self._needed():
            self._pass(given)
        elif approvals + len(self._in(SeatState.WAITING, SeatState.UNREACHABLE)) < self._needed():
            self._decided_by(self._majority(), given)
        else:
            self._reach()

    def _pass(self, given: Answer) -> None:
        if self._last_stage():
            self._decided_by(Verdict.APPROVE, given)
            return
        for seat in self._close({seat.address for seat in self._stage()}):
            self._follows.append(Tell(seat, "withdrawn", {"why": "enough have approved", "round": seat.round}))
        self.note("stage_passed", round=self.review.round, stage=self.review.stage)
        self.enter(self.review.stage + 1)

    def _needed(self) -> int:
        """How many approvals pass the stage."""
        need, stage = self.policy.stages[self.review.stage].need, self._stage()
        count = need.needed if need.kind == "some" else 1
        if need.kind == "all":
            taken_over = any(seat.state is SeatState.CLOSED for seat in stage)
            sitting = [seat for seat in stage if seat.state not in {SeatState.REPLACED, SeatState.CLOSED}]
            count = sum(taken_over or seat.rung == 0 for seat in sitting)
        if self.policy.rules.four_eyes and self._last_stage():
            count = max(count, 2 - len({seat.address for seat in self._approvals(earlier=True)}))
        return max(1, count)

    def _majority(self) -> Verdict:
        against = [seat.answered.verdict for seat in self._in(SeatState.ANSWERED) if seat.answered]
        rejecting, changing = against.count(Verdict.REJECT), against.count(Verdict.CHANGE)
        return Verdict.CHANGE if changing > rejecting else Verdict.REJECT

    def _reach(self) -> None:
        """Climb at once where those who are asked can no longer be enough."""
        if not self._short():
            return
        while self._short():
            rung = next((timer for timer in self.review.agenda if timer.what == "rung"), None)
            if rung is None:
                break
            self._drop(rung)
            self._climb(rung.n)
        stage, short = self.review.stage, self._short()
        facts = {"round": self.review.round, "stage": stage, "needed": self._needed(), "climbed": not short}
        self.note("no_quorum", **facts)
        told = "there are too few people to ask" + ("" if short else ", so the ladder was climbed at once")
        action = "name more people in the policy, or decide with `millstream review overrule`"
        self._follows.append(Raise("no_quorum", {**facts, "error": told, "action": action}))

    def _short(self) -> bool:
        return len(self._approvals()) + len(self._in(SeatState.WAITING)) < self._needed()

    # What comes by itself

    def due(self) -> None:
        """Do what the agenda has for now. Of several reminders that were missed the last one is sent."""
        due = [timer for timer in self.review.agenda if timer.at <= self.now and self.review.state is State.OPEN]
        if self._expiry() != "hold" and any(timer.what == "expire" for timer in due):
            self._decided_by_policy()
            return
        reminders = [timer for timer in due if timer.what == "remind"]
        for timer in due:
            if timer not in self.review.agenda:
                continue  # climbed at once, for want of people
            self._drop(timer)
            if timer.what == "rung":
                self._climb(timer.n)
                self._reach()
            elif timer.what == "expire":
                self._expire()
            elif timer.what == "delegate":
                self._delegate()
            elif timer is reminders[-1]:
                self._remind(timer.n)
        self._spare()

    def _spare(self) -> None:
        """Whoever is climbed to reads there all that a reminder or the deadline would tell in the same moment."""
        climbed = {each.seat.address for each in self._follows if isinstance(each, Climb)}
        self._follows = [each for each in self._follows if not _said_by_climb(each, climbed)]

    def _remind(self, n: int) -> None:
        waiting = self.review.waiting()
        self._follows += [Remind(seat, n) for seat in waiting]
        if waiting:
            self.note("reminded", n=n, round=self.review.round, people=[seat.address for seat in waiting])

    def _climb(self, n: int) -> None:
        if n > len(self.policy.ladder):
            return
        asked = self.who.rung(self.policy, n, without=self.barred(), at=self.now)
        above = {person.address for person in asked}
        if self.policy.ladder[n - 1].takes_over and above:
            others = {seat.address for seat in self._stage()} - above
            for seat in self._close(others):
                self._follows.append(Tell(seat, "withdrawn", {"why": "taken over", "round": seat.round, "rung": n}))
        for person in asked:
            there = self.seat_of(person.address)
            if not self.sits(person.address):
                self._follows.append(Climb(self._seat(person, rung=n), n))
            elif there is not None and there.state is SeatState.WAITING:
                self._follows.append(Climb(there, n))
        self._watch_delegations(above)
        self.note("climbed", rung=n, round=self.review.round, stage=self.review.stage, people=sorted(above))

    def _expire(self) -> None:
        self.review = replace(self.review, overdue=True)
        waiting = [seat.address for seat in self.review.waiting()]
        facts = {"round": self.review.round, "stage": self.review.stage, "waiting": waiting}
        self._follows += [Tell(seat, "overdue", {"round": seat.round}) for seat in self.review.waiting()]
        self.note("overdue", **facts)
        told = "nobody has decided in time"
        action = "answer it, hand it on, or decide with `millstream review overrule`"
        self._follows.append(Raise("overdue", {**facts, "error": told, "action": action}))

    def _expiry(self) -> str:
        """What the deadline does. Nothing is released that nobody could have looked at."""
        policy = self.policy.time.at_expiry
        if policy == "release" and not self._in(SeatState.WAITING, SeatState.ANSWERED):
            return "hold"
        return policy

    def _decided_by_policy(self) -> None:
        verdict = Verdict.APPROVE if self.policy.time.at_expiry == "release" else Verdict.REJECT
        self.decide(verdict, "policy", How.POLICY, text=f"nobody decided within {self.policy.time.deadline}")

    def _delegate(self) -> None:
        for seat in self.review.waiting():
            sitting = {each.address for each in self._stage() if self.sits(each.address)}
            without = self.barred() | sitting
            to = self.who.stands_in(self.policy, seat.address, without=without, at=self.now)
            if to is not None:
                self.hand_over(seat, to, kind="delegated", by=seat.address)

    def _watch_delegations(self, addresses: Iterable[str]) -> None:
        moments = self.who.changes(self.policy, set(addresses), after=self.now)
        timers = {*self.review.agenda, *(Timer(moment, "delegate") for moment in moments)}
        self.review = replace(self.review, agenda=agenda.in_order(list(timers)))

    # Ends

    def _decided_by(self, verdict: Verdict, given: Answer) -> None:
        self.decide(verdict, given.address, given.how, text=given.text, evidence=given.evidence)

    def decide(
        self, verdict: Verdict, by: str, how: How, *, text: str, evidence: Mapping[str, str] | None = None
    ) -> None:
        """End the round."""
        review = self.review
        voted = [seat.answered for seat in review.seats if seat.round == review.round and seat.answered]
        decision = Decision(
            verdict,
            by,
            how,
            self.now,
            text,
            review.round,
            review.content.hash,
            late=review.deadline is not None and how is not How.POLICY and self.now > review.deadline,
            votes=tuple(f"{answer.address}: {answer.verdict}" for answer in voted if answer.address != by),
            evidence=dict(evidence or {}),
        )
        left = self._close({seat.address for seat in review.waiting()})
        self.review = replace(self.review, state=DECIDED_AS[verdict], decision=decision, agenda=())
        self._follows.append(Decided(decision))
        answered = [s for s in review.seats if s.round == review.round and s.state is SeatState.ANSWERED]
        person = self.who.person(by)
        facts = {**told_of(self.review), "name": person.name if person else "", "round": review.round}
        for seat in _once((*self._audience, *left, *answered), without={by}):
            self._follows.append(Tell(seat, "decided", facts))
        spoken = Answer(by, verdict, text, how, self.now, decision.evidence)
        about = {"round": review.round, "hash": review.content.hash, "late": decision.late}
        self.note("decided", votes=list(decision.votes), **about, **_spoken(spoken))

    def cancel(self, by: str, why: str) -> None:
        """Take the question back."""
        for seat in self._close({seat.address for seat in self.review.waiting()}):
            self._follows.append(Tell(seat, "cancelled", {"by": by, "why": why, "round": seat.round}))
        self.review = replace(self.review, state=State.CANCELLED, agenda=())
        facts = {"by": by, "why": why, "round": self.review.round}
        self.note("cancelled", **facts)
        self._follows.append(Raise("cancelled", facts))

    # Seats

    def _stage(self) -> tuple[Seat, ...]:
        review = self.review
        return tuple(seat for seat in review.seats if (seat.round, seat.stage) == (review.round, review.stage))

    def _last_stage(self) -> bool:
        return self.review.stage >= len(self.policy.stages) - 1

    def _in(self, *states: SeatState) -> list[Seat]:
        return [seat for seat in self._stage() if seat.state in states]

    def _approvals(self, *, earlier: bool = False) -> list[Seat]:
        review = self.review
        return [
            seat
            for seat in review.seats
            if seat.round == review.round
            and (seat.stage < review.stage if earlier else seat.stage == review.stage)
            and seat.answered is not None
            and seat.answered.verdict is Verdict.APPROVE
        ]

    def _seat(self, person: Asked, *, rung: int = 0) -> Seat:
        """A seat for a person in the current stage: a new one, or the one they had before it was taken from them."""
        old = self.seat_of(person.address)
        if old is not None:
            return self._put(old, state=SeatState.WAITING, rung=rung, instead_of=person.instead_of)
        seat = Seat(
            self.review.round,
            self.review.stage,
            person.address,
            person.name,
            person.locale,
            rung=rung,
            instead_of=person.instead_of,
        )
        self.review = replace(self.review, seats=(*self.review.seats, seat))
        return seat

    def _put(self, seat: Seat, **changes: Any) -> Seat:
        changed = replace(seat, version=seat.version + 1, **changes)
        self.review = replace(self.review, seats=tuple(changed if each == seat else each for each in self.review.seats))
        return changed

    def _close(self, addresses: Collection[str]) -> list[Seat]:
        """Close the seats of these people that can still be answered; gives those that waited."""
        found = [seat for seat in self._in(SeatState.WAITING, SeatState.UNREACHABLE) if seat.address in addresses]
        closed = [(seat.state, self._put(seat, state=SeatState.CLOSED)) for seat in found]
        return [seat for was, seat in closed if was is SeatState.WAITING]

    def _drop(self, timer: Timer) -> None:
        self.review = replace(self.review, agenda=tuple(each for each in self.review.agenda if each != timer))


def _said_by_climb(follows: Consequence, climbed: Collection[str]) -> bool:
    match follows:
        case Remind(seat=seat) | Tell(seat=seat, what="overdue"):
            return seat.address in climbed
        case _:
            return False


def _once(seats: Iterable[Seat], *, without: Collection[str]) -> list[Seat]:
    """One seat for each person, the last one they had."""
    found = {seat.address: seat for seat in seats if seat.address not in without}
    return list(found.values())


def _spoken(answer: Answer) -> dict[str, Any]:
    """What the audit chain keeps of somebody's words: that they are these, and by what they are proven."""
    return {
        **{name: value for name, value in answer.evidence.items() if value},
        "address": answer.address,
        "how": answer.how,
        "verdict": answer.verdict,
        # As the store has them: no column holds a zero.
        "words": sha256(answer.text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")).hexdigest(),
    }
