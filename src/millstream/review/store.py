"""The tables of reviews: read as values, written as what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiosql
import orjson

from millstream.review.agenda import in_order
from millstream.review.model import (
    Answer,
    Ask,
    Climb,
    Consequence,
    Content,
    Decided,
    Decision,
    How,
    Overruled,
    Raise,
    Remind,
    Review,
    Seat,
    SeatState,
    State,
    Subject,
    SubjectKind,
    Tell,
    Timer,
    Verdict,
)
from millstream.review.policy import Policy
from millstream.storage.pool import Connection

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Stored:
    """A review as the store has it, with the policy of its round."""

    review: Review
    policy: Policy
    step_state: str


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one review."""

    before: Review | None
    after: Review
    """Its `id` is that of the row."""
    follows: Sequence[Consequence]
    policy: Policy
    """Of the round that runs now."""
    settled: bool = False
    """The policy is a new one, and is stored with the review."""
    overruled: Overruled | None = None


async def read(conn: Connection, ids: Sequence[int]) -> list[Stored]:
    """Reviews by number; unknown ones are left out."""
    return [_stored(row) async for row in queries.read_reviews(conn, ids=list(ids))]


async def write(conn: Connection, changes: Sequence[Change], *, now: datetime) -> list[Review]:
    """Make changes durable with what is told to whom; answers the reviews with the numbers of their new seats.

    One statement for all of them. Each review is locked by this transaction.
    """
    records: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("reviews", "ended", "begun", "seats", "answers", "decisions", "events", "mails")
    }
    for change in changes:
        _collect(change, records)
    values = {name: dumps(rows) for name, rows in records.items()}
    ids = {
        (row["review_id"], row["round"], row["stage"], row["address"]): row["id"]
        async for row in queries.write(conn, now=now, **values)
    }
    return [_with_ids(change.after, ids) for change in changes]


def _collect(change: Change, records: dict[str, list[dict[str, Any]]]) -> None:
    before, after = change.before, change.after
    decision = next((each.decision for each in change.follows if isinstance(each, Decided)), None)
    records["reviews"].append(_row(change, decision))
    ended_by = _end(after, decision)
    if before is None or after.round > before.round:
        content = {"number": after.round, "hash": after.content.hash, "content": after.content.to_json()}
        records["begun"].append({"review_id": after.id, **content, "ended_by": ended_by})
        if before is not None:
            records["ended"].append({"review_id": after.id, "number": before.round, "ended_by": "superseded"})
    elif ended_by is not None:
        records["ended"].append({"review_id": after.id, "number": after.round, "ended_by": ended_by})
    known = {(seat.round, seat.stage, seat.address): seat for seat in (before.seats if before else ())}
    for seat in after.seats:
        old = known.get((seat.round, seat.stage, seat.address))
        if seat != old:
            records["seats"].append({"n": len(records["seats"]), "review_id": after.id, **_seat_row(seat)})
        if seat.answered and (old is None or old.answered is None):
            records["answers"].append(_answer_row(after, seat.answered, seat=seat))
    if change.overruled is not None and decision is not None:
        given = Answer(decision.by, decision.verdict, decision.text, decision.how, decision.at, decision.evidence)
        records["answers"].append(_answer_row(after, given))
    if decision is not None:
        records["decisions"].append(_decision_row(after, decision))
    records["events"] += [event_row(after, each) for each in change.follows if isinstance(each, Raise)]
    for mail in _mails(change):
        records["mails"].append({"n": len(records["mails"]) + 1, "review_id": after.id, **mail})


def _row(change: Change, decision: Decision | None) -> dict[str, Any]:
    after = change.after
    step_state = None
    if decision is not None:
        step_state = "none" if decision.how is How.EXSTREAM else "due"
    elif after.state is State.OPEN:
        step_state = "none"
    return {
        "id": after.id,
        "state": after.state,
        "round": after.round,
        "stage": after.stage,
        "hash": after.content.hash,
        "author": list(after.author),
        "asked_at": after.asked_at,
        "deadline": after.deadline,
        "overdue": after.overdue,
        "agenda": [{"at": timer.at, "what": timer.what, "n": timer.n} for timer in after.agenda],
        "due_at": after.due_at,
        "version": after.version,
        "terms": terms_of(change.policy) if change.settled else None,
        "step_state": step_state,
        "decided": decision is not None,
    }


def _end(review: Review, decision: Decision | None) -> str | None:
    if decision is not None:
        return f"{decision.verdict} by {decision.by}"
    return None if review.state is State.OPEN else str(review.state)


def _seat_row(seat: Seat) -> dict[str, Any]:
    names = ("round", "stage", "rung", "address", "name", "locale", "instead_of", "state", "version")
    return {name: getattr(seat, name) for name in names}


def _answer_row(review: Review, answer: Answer, *, seat: Seat | None = None) -> dict[str, Any]:
    return {
        "review_id": review.id,
        "round": review.round if seat is None else seat.round,
        "seat_id": None if seat is None else seat.id,
        "address": answer.address,
        "verdict": answer.verdict,
        "words": answer.text,
        "how": answer.how,
        "evidence": dict(answer.evidence),
        "sighting": sighting_of(answer.evidence),
    }


def _decision_row(review: Review, decision: Decision) -> dict[str, Any]:
    names = ("round", "verdict", "by", "how", "hash", "late")
    row = {name: getattr(decision, name) for name in names}
    return {"review_id": review.id, **row, "words": decision.text, "votes": list(decision.votes)}


def event_row(review: Review, raised: Raise) -> dict[str, Any]:
    """An event for other rooms, with what they need to know of the review."""
    about = {
        "review": review.id,
        "policy": review.policy,
        "kind": review.subject.kind,
        "domain": review.subject.domain,
        "ref": review.subject.ref,
        "name": review.subject.name,
        "customer": review.content.facts.get("customer", ""),
        "type": review.content.facts.get("type", ""),
    }
    return {"kind": f"review.{raised.kind}", "subject": f"review:{review.id}", "payload": {**about, **raised.facts}}


def _mails(change: Change) -> list[dict[str, Any]]:
    bundle = change.policy.mail.bundle
    wait = bundle.within.amount * _SECONDS[bundle.within.unit] if bundle else 0.0
    found = []
    for each in change.follows:
        match each:
            case Ask(seat):
                facts: dict[str, Any] = {"instead_of": seat.instead_of} if seat.instead_of else {}
                if change.before is not None and change.after.round > change.before.round:
                    facts["replaces_round"] = change.before.round
                found.append(_mail("ask", seat, facts, wait=wait))
            case Remind(seat, n):
                found.append(_mail("remind", seat, {"n": n}))
            case Climb(seat, rung):
                found.append(_mail("climb", seat, {"rung": rung}))
            case Tell(seat, what, told):
                found.append(_mail("tell", seat, {**told, "what": what}))
            case _:
                pass
    return found


def _mail(kind: str, seat: Seat, facts: Mapping[str, Any], *, wait: float = 0.0) -> dict[str, Any]:
    where = {"round": seat.round, "stage": seat.stage, "address": seat.address, "seat_id": seat.id}
    return {"kind": kind, **where, "facts": dict(facts), "wait": wait}


def _with_ids(review: Review, ids: Mapping[tuple[int | None, int, int, str], int]) -> Review:
    seats = tuple(
        seat if seat.id else replace(seat, id=ids[review.id, seat.round, seat.stage, seat.address])
        for seat in review.seats
    )
    return replace(review, seats=seats)


def _stored(row: Mapping[str, Any]) -> Stored:
    subject = Subject(SubjectKind(row["kind"]), row["ref"], row["domain"], row["name"], row["facts"])
    review = Review(
        row["id"],
        row["policy"],
        subject,
        Content.from_json(row["hash"], row["content"]),
        State(row["state"]),
        row["round"],
        row["stage"],
        tuple(_seat(seat) for seat in row["seats"]),
        in_order([Timer(datetime.fromisoformat(each["at"]), each["what"], each["n"]) for each in row["agenda"]]),
        asked_at=row["asked_at"],
        deadline=row["deadline"],
        overdue=row["overdue"],
        decision=_decision(row["decision"]),
        version=row["version"],
        author=tuple(row["author"]),
    )
    return Stored(review, _policy(row["terms"]), row["step_state"])


@lru_cache(maxsize=256)
def _policy(terms: str) -> Policy:
    """Thousands of reviews have the same terms, and to check them takes as long as to step."""
    return Policy.model_validate(orjson.loads(terms))


def _seat(stored: Mapping[str, Any]) -> Seat:
    given = stored["answer"]
    answer = None
    if given is not None:
        at = datetime.fromisoformat(given["at"])
        words = (given["words"], How(given["how"]), at, given["evidence"])
        answer = Answer(given["address"], Verdict(given["verdict"]), *words)
    names = ("round", "stage", "address", "name", "locale", "rung", "instead_of", "id", "version")
    return Seat(**{name: stored[name] for name in names}, state=SeatState(stored["state"]), answered=answer)


def _decision(stored: Mapping[str, Any] | None) -> Decision | None:
    if stored is None:
        return None
    return Decision(
        Verdict(stored["verdict"]),
        stored["by"],
        How(stored["how"]),
        datetime.fromisoformat(stored["at"]),
        stored["words"],
        stored["round"],
        stored["hash"],
        stored["late"],
        tuple(stored["votes"]),
    )


def terms_of(policy: Policy) -> dict[str, Any]:
    """A policy in its stored form."""
    return policy.model_dump(mode="json", by_alias=True)


def sighting_of(evidence: Mapping[str, str]) -> int | None:
    """The number of the sighted message that an answer came by."""
    given = str(evidence.get("sighting") or "")
    return int(given) if given.isascii() and given.isdigit() else None


def dumps(value: Any) -> str:
    """JSON that a column can hold: people write what no column can."""
    try:
        found = orjson.dumps(value)
    except orjson.JSONEncodeError:  # half a character, or a mapping that is no dictionary
        found = b""
    if not found or b"\\u0000" in found:
        found = orjson.dumps(_legible(value))
    return found.decode()


def legible(text: str) -> str:
    """Words of others, without what a text column cannot hold."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _legible(value: Any) -> Any:
    if type(value) is str:
        return legible(value)
    if isinstance(value, Mapping):
        return {legible(str(name)): _legible(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_legible(each) for each in value]
    return value
