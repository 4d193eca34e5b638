"""The whole logic of reviews: what follows when something happens to one. Pure; `desk` makes it durable.

An answer counts only from a waiting seat of the current round, stage and hash. A decision ends its round, empties the
agenda, and is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from millstream.review.model import (
    HELD,
    Answered,
    Cancelled,
    Consequence,
    Content,
    DecidedElsewhere,
    Due,
    Happening,
    How,
    NewContent,
    Overruled,
    Reassigned,
    Refusal,
    Review,
    SeatState,
    State,
    Subject,
    Undeliverable,
    Verdict,
)
from millstream.review.moves import Moves, told_of
from millstream.review.panel import Panel
from millstream.review.policy import Policy

Outcome = tuple[Review, tuple[Consequence, ...]] | Refusal


def start(
    policy: Policy, subject: Subject, content: Content, *, who: Panel, author: Sequence[str] = (), now: datetime
) -> tuple[Review, tuple[Consequence, ...]]:
    """Put a question to the people of a policy's first stage."""
    fresh = Review(None, policy.name, subject, content, author=tuple(dict.fromkeys(author)))
    moves = Moves(fresh, policy, who, now)
    about = {"policy": policy.name, "author": list(fresh.author), "papers": content.hashes}
    moves.note("opened", round=1, hash=content.hash, **about)
    moves.enter(0)
    return moves.outcome()


def step(review: Review, happening: Happening, policy: Policy, *, who: Panel, now: datetime) -> Outcome:
    """Let something happen to a review; a refusal, where it does not count.

    `policy` is the one of the round that runs, and with new content the one of the round that begins. Nothing changes
    where nothing follows: the same review and no consequences.
    """
    moves = Moves(review, policy, who, now)
    refusal: Refusal | None = None
    match happening:
        case Answered():
            refusal = _answered(moves, happening)
        case Due():
            moves.due()
        case NewContent():
            refusal = _new_content(moves, happening)
        case Reassigned():
            refusal = _reassigned(moves, happening)
        case Overruled():
            refusal = _overruled(moves, happening)
        case Cancelled():
            refusal = _cancelled(moves, happening)
        case Undeliverable():
            refusal = _undeliverable(moves, happening)
        case DecidedElsewhere():
            refusal = _decided_elsewhere(moves, happening)
    return refusal or moves.outcome()


def _answered(moves: Moves, said: Answered) -> Refusal | None:
    address = moves.canonical(said.address)
    refusal = (
        _not_this_round(moves.review, said)
        or _no_voice(moves, address)
        or _wrong_way(moves.policy, said.how)
        or _lacks_reason(moves, said.verdict, said.text)
    )
    seat = moves.seat_of(address)
    if refusal is None and seat is not None:
        moves.answer(seat, said)
    return refusal


def _not_this_round(review: Review, said: Answered) -> Refusal | None:
    if said.round != review.round:
        return Refusal("old_round", {"round": review.round, "answered_round": said.round, **told_of(review)})
    if review.state is not State.OPEN:
        return _ended(review)
    if said.hash != review.content.hash:
        return Refusal("stale_hash", {"hash": review.content.hash})
    return None


def _no_voice(moves: Moves, address: str) -> Refusal | None:
    review, seat = moves.review, moves.seat_of(address)
    if address in moves.makers():
        return Refusal("own_work", {"address": address})
    if seat is None:
        elsewhere = any(each.round == review.round and each.address == address for each in review.seats)
        return Refusal("other_stage" if elsewhere else "not_asked", {"address": address, "stage": review.stage})
    if seat.answered is not None:
        was = seat.answered
        return Refusal("answered", {"verdict": was.verdict, "at": was.at.isoformat(), "how": was.how})
    return None if seat.state is SeatState.WAITING else Refusal("closed", {"address": address, "seat": seat.state})


def _wrong_way(policy: Policy, how: How) -> Refusal | None:
    if how is How.MAIL and not policy.rules.by_mail:
        return Refusal("not_allowed", {"needs": "page"})
    if how is How.ONE_CLICK and not policy.rules.one_click:
        return Refusal("not_allowed", {"needs": "click"})
    return None


def _new_content(moves: Moves, new: NewContent) -> Refusal | None:
    review = moves.review
    if review.state not in {State.OPEN, State.CHANGES}:
        return _ended(review)
    if new.content.hash == review.content.hash:
        return None
    author = tuple(dict.fromkeys((*review.author, *new.author)))
    moves.begin_round(new.content, author)
    return None


def _reassigned(moves: Moves, handed: Reassigned) -> Refusal | None:
    if moves.review.state is not State.OPEN:
        return _ended(moves.review)
    holder, by = moves.canonical(handed.from_address), moves.canonical(handed.by)
    to = moves.who.person(handed.to_address)
    seat = moves.seat_of(holder)
    refusal = _may_not_give(moves, holder, by) or _may_not_take(moves, handed.to_address)
    if refusal is None and seat is not None and to is not None:
        moves.hand_over(seat, to, kind="reassigned", by=by)
    return refusal


def _may_not_give(moves: Moves, holder: str, by: str) -> Refusal | None:
    seat, policy = moves.seat_of(holder), moves.policy
    if seat is None:
        return Refusal("not_asked", {"address": holder})
    if seat.state not in {SeatState.WAITING, SeatState.UNREACHABLE}:
        return Refusal("answered" if seat.answered else "closed", {"address": holder, "seat": seat.state})
    if not (moves.who.may_reassign(policy, by) or (policy.people.delegate and by == holder)):
        return Refusal("not_allowed", {"by": by, "needs": "may_reassign"})
    return None


def _may_not_take(moves: Moves, address: str) -> Refusal | None:
    to = moves.who.person(address)
    if to is None:
        return Refusal("not_allowed", {"to": address, "needs": "person"})
    if to.address in moves.makers():
        return Refusal("own_work", {"address": to.address})
    if to.address in moves.barred() or moves.sits(to.address):
        return Refusal("not_allowed", {"to": to.address, "needs": "fresh"})
    return None


def _overruled(moves: Moves, said: Overruled) -> Refusal | None:
    review, by = moves.review, moves.canonical(said.by)
    same = review.decision is not None and review.decision.verdict is said.verdict
    if review.state is State.SUPERSEDED or same:  # what is so already needs no second step
        return _ended(review)
    if review.state is State.CANCELLED and review.subject.kind not in HELD:  # elsewhere it is gone, or open to others
        return _ended(review)
    if not moves.who.may_overrule(moves.policy, by):
        return Refusal("not_allowed", {"by": by, "needs": "may_overrule"})
    if by in moves.makers():
        return Refusal("own_work", {"address": by})
    if lacking := _lacks_reason(moves, said.verdict, said.text):
        return lacking
    evidence = dict(said.evidence)
    if review.decision is not None:
        evidence["overrules"] = str(review.round)
    if review.decision is not None or review.state is State.CANCELLED:
        moves.repeat_round("overruled")
    moves.note("overruled", by=by, verdict=said.verdict, how=said.how, round=moves.review.round)
    moves.decide(said.verdict, by, said.how, text=said.text, evidence=evidence)
    return None


def _cancelled(moves: Moves, taken_back: Cancelled) -> Refusal | None:
    if moves.review.state not in {State.OPEN, State.CHANGES}:
        return _ended(moves.review)
    moves.cancel(taken_back.by, taken_back.why)
    return None


def _undeliverable(moves: Moves, bounced: Undeliverable) -> Refusal | None:
    seat = moves.seat_of(moves.canonical(bounced.address)) if moves.review.state is State.OPEN else None
    if seat is None or seat not in moves.review.waiting():
        return Refusal("not_asked", {"address": bounced.address})
    moves.lose(seat, bounced.why)
    return None


def _decided_elsewhere(moves: Moves, said: DecidedElsewhere) -> Refusal | None:
    if moves.review.state not in {State.OPEN, State.CHANGES}:
        return _ended(moves.review)
    if moves.review.decision is not None:
        moves.repeat_round("decided elsewhere")
    moves.decide(said.verdict, said.by, How.EXSTREAM, text=said.why)
    return None


def _lacks_reason(moves: Moves, verdict: Verdict, text: str) -> Refusal | None:
    if verdict is Verdict.APPROVE or text.strip() or not moves.policy.rules.reason_required:
        return None
    return Refusal("not_allowed", {"needs": "reason" if verdict is Verdict.REJECT else "change"})


def _ended(review: Review) -> Refusal:
    told: dict[str, Any] = {"state": review.state, "round": review.round, **told_of(review)}
    return Refusal("decided" if review.decision else "closed", told)
