"""`millstream review`: answering, and what else can be done to a question."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.review import policy_book, review_desk
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.cli.review import Number, shelf
from millstream.review.agenda import midnight
from millstream.review.errors import NotCounted
from millstream.review.model import (
    HELD,
    Answered,
    Cancelled,
    Happening,
    How,
    Overruled,
    Reassigned,
    Refusal,
    Review,
    Verdict,
)
from millstream.storage.pool import transaction

Said = Annotated[Verdict, typer.Argument(help="approve, reject, or change to ask for changes.")]
Words = Annotated[str, typer.Option("--text", help="The reason, or what shall change.")]
PersonAs = Annotated[str, typer.Option("--as", help="Whose answer it is, by address; goes into the audit trail.")]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day; without it now.")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day; without it until ended.")]

_WHY: Mapping[str, str] = {
    "decided": "it is decided",
    "old_round": "the content has changed since",
    "not_asked": "this person is not asked",
    "answered": "this person has answered already",
    "own_work": "it is this person's own work",
    "other_stage": "this person is asked in another stage",
    "stale_hash": "the content is not what was shown",
    "not_allowed": "this is needed",
    "closed": "it is no longer open",
}
_NEEDS: Mapping[str, str] = {
    "reason": "a reason",
    "change": "what to change",
    "page": "the page: answers by mail do not count",
    "click": "the page: one click does not count",
    "person": "a person of the policies",
    "fresh": "somebody who has no voice here yet",
    "may_reassign": "the seat's holder, or one of may_reassign",
    "may_overrule": "one of may_overrule",
}
"""What a refusal says is needed, by the words of `review.machine`; mails have them in `texts.<language>.toml`."""


def answer(number: Number, verdict: Said, *, person: PersonAs, text: Words = "", json: Json = False) -> None:
    """Answer for a person who is asked. It counts as their own answer on the current content."""

    async def answered(house: House) -> dict[str, Any]:
        desk = review_desk(house)
        async with transaction(house.pool) as conn:
            review = await desk.find(conn, number)
            said = Answered(person, verdict, text, How.COMMAND, review.round, review.content.hash, {"actor": person})
            applied = await desk.apply(conn, number, said)
        return _counted(number, applied.review, applied.refusal)

    _told(work.in_house(answered), json=json)


def overrule(number: Number, verdict: Said, *, person: PersonAs, text: Words = "", json: Json = False) -> None:
    """Decide alone, as somebody whom the policy names. Possible until what follows has begun, and after `cancel`."""
    said = Overruled(person, verdict, text, How.COMMAND, {"actor": person})
    _told(work.in_house(_happens(number, said)), json=json)


def assign(
    number: Number,
    *,
    giver: Annotated[str, typer.Option("--from", help="Whose question it is, by address.")],
    to: Annotated[str, typer.Option(help="Who is asked instead.")],
    actor: Annotated[str | None, typer.Option("--as", help="Who hands it on; without it its holder.")] = None,
    json: Json = False,
) -> None:
    """Hand a person's question to somebody else. By its holder, or by whoever the policy names."""
    done = work.in_house(_happens(number, Reassigned(giver, to, actor or giver)))
    frame.answer(done, f"review {number} asks {to} instead of {giver}", as_json=json)


def cancel(
    number: Number,
    *,
    why: Annotated[str, typer.Option(help="The reason; those who are asked are told.")],
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Take a question back. What it holds stays held until somebody who may overrules it: `review overrule`."""
    done = work.in_house(_happens(number, Cancelled(actor, why)))
    held = done["kind"] in HELD
    advice = f"; what it holds stays held until `millstream review overrule {number}`" if held else ""
    frame.answer(done, f"review {number} is cancelled{advice}", as_json=json)


def delegate(  # noqa: PLR0913  the facts of a delegation
    giver: Annotated[str, typer.Argument(metavar="FROM", help="Who is away, by address.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="Who answers instead.")],
    *,
    since: Since = None,
    until: Until = None,
    policy: Annotated[str | None, typer.Option(help="For this policy alone.")] = None,
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Let somebody answer for somebody else for a while. Questions that wait move when it begins."""

    async def made(house: House) -> dict[str, Any]:
        begins = _day(house, policy, since) or datetime.now(UTC)
        ends = _day(house, policy, until, after=1)
        async with transaction(house.pool) as conn:
            kept = await shelf(house).delegate(conn, giver, to, since=begins, until=ends, policy=policy, actor=actor)
        return {"delegation": kept, "from": giver, "to": to, "policy": policy, "since": begins, "until": ends}

    done = work.in_house(made)
    frame.answer(done, f"delegation {done['delegation']}: {to} answers for {giver}", as_json=json)


def undelegate(
    number: Annotated[int, typer.Argument(help="The delegation's number.")],
    *,
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Let a delegation hold no more. Questions that moved stay where they are."""

    async def ended(house: House) -> None:
        async with transaction(house.pool) as conn:
            await shelf(house).end_delegation(conn, number, actor=actor)

    work.in_house(ended)
    frame.answer({"delegation": number}, f"delegation {number} has ended", as_json=json)


def delegations(*, json: Json = False) -> None:
    """Who answers for whom now or later. Those made by command, and those of the policy files."""
    named = ("id", "address", "to_address", "policy", "since", "until", "actor")

    async def listed(house: House) -> list[dict[str, Any]]:
        async with transaction(house.pool) as conn:
            made = await shelf(house).delegations(conn)
        rows = [{name: row[name] for name in named} for row in made]
        for each in policy_book(house.settings).delegations:
            told = (None, each.from_, each.to, each.policy, each.since, each.until, "policy file")
            rows.append(dict(zip(named, told, strict=True)))
        return rows

    frame.answer_rows(work.in_house(listed), named, as_json=json, empty="nobody answers for anybody else")


def _happens(number: int, happening: Happening) -> Any:
    async def applied(house: House) -> dict[str, Any]:
        async with transaction(house.pool) as conn:
            done = await review_desk(house).apply(conn, number, happening)
        return _counted(number, done.review, done.refusal)

    return applied


def _counted(number: int, review: Review, refusal: Refusal | None) -> dict[str, Any]:
    """What stands now. A refusal is kept by the desk, and so it is raised after its transaction."""
    if refusal is not None:
        told = refusal.told
        needs = f": {_NEEDS.get(told['needs'], told['needs'])}" if "needs" in told else ""
        by = f", {told['verdict']} by {told['by']} at {told['at']}" if {"verdict", "by", "at"} <= set(told) else ""
        raise NotCounted(f"review {number} stands as it was: {_WHY[refusal.why]}{needs}{by}", refusal)
    decision = review.decision
    return {
        "review": number,
        "kind": review.subject.kind,
        "state": review.state,
        "round": review.round,
        "waiting": [seat.address for seat in review.waiting()],
        "decision": None
        if decision is None
        else {"verdict": decision.verdict, "by": decision.by, "at": decision.at, "how": decision.how},
    }


def _told(done: Mapping[str, Any], *, json: bool) -> None:
    waits = f"; it waits for {', '.join(done['waiting'])}" if done["waiting"] else ""
    frame.answer(done, f"review {done['review']} is {done['state']}{waits}", as_json=json)


def _day(house: House, policy: str | None, day: datetime | None, *, after: int = 0) -> datetime | None:
    """The beginning of a day, or of the one so many days after, where the policy's people work."""
    if day is None:
        return None
    book = policy_book(house.settings)
    named = book.policies.get(policy) if policy else None
    calendar = book.calendars.get(named.time.calendar) if named else None
    return midnight(calendar, date(day.year, day.month, day.day) + timedelta(days=after))
