"""`millstream review policy`: who is asked about what, checked before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.app.review import policy_book
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.config import Settings
from millstream.review.errors import BadPolicy, UnknownPolicy
from millstream.review.policy import Policy, PolicyBook


def check(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files to check in place of those of the settings.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Check policy files, and say everything that is wrong with them. Exit code 2 where something is."""

    async def checked() -> PolicyBook | BadPolicy:
        try:
            return policy_book(_with(work.settings(), files))
        except BadPolicy as error:
            return error

    book = work.run(checked)
    if isinstance(book, BadPolicy):
        if not json:
            frame.fail(str(book), frame.WRONG)
        faults = [{"file": fault.file, "key": fault.key, "wrong": fault.wrong} for fault in book.faults]
        frame.answer_json({"good": False, "faults": faults})
        raise typer.Exit(frame.WRONG)
    facts = {"good": True, "policies": sorted(book.policies), "people": sorted(book.people)}
    counted = f"{len(book.policies)} policies, {len(book.people)} people, {len(book.groups)} groups"
    frame.answer(facts, f"good: {counted}", as_json=json)


def show(
    name: Annotated[str | None, typer.Argument(help="One policy, whole; without it a line for each.")] = None,
    *,
    json: Json = False,
) -> None:
    """The policies as they stand, or one of them whole. With what is meant where a file says nothing."""

    async def shown() -> PolicyBook:
        book = policy_book(work.settings())
        if name is not None and name not in book.policies:
            known = ", ".join(sorted(book.policies)) or "there is none"
            raise UnknownPolicy(f"no policy is called {name!r}; there are: {known}")
        return book

    book = work.run(shown)
    if name is not None:
        whole = _whole(book.policies[name])
        frame.answer_json(whole) if json else frame.answer_fields(whole)
        return
    rows = [_line(policy) for policy in book.policies.values()]
    columns = ("name", "gate", "concerns", "types", "ask", "need", "deadline", "at_expiry")
    frame.answer_rows(rows, columns, as_json=json, empty="no policy is set; name files in review.policies")


def _with(settings: Settings, files: list[Path] | None) -> Settings:
    if not files:
        return settings
    return settings.model_copy(update={"review": settings.review.model_copy(update={"policies": tuple(files)})})


def _whole(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json", by_alias=True)


def _line(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "gate": policy.gate,
        "concerns": policy.concerns,
        "types": " ".join(policy.types) or "all",
        "ask": " / ".join(
            ", ".join([*stage.ask, *(["Exstream"] if stage.exstream else [])]) for stage in policy.stages
        ),
        "need": " / ".join(str(stage.need) for stage in policy.stages),
        "deadline": str(policy.time.deadline),
        "at_expiry": policy.time.at_expiry,
    }
