"""`millstream rules`: compliance rules, checked and tried before they hold anything."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from millstream.app.gate import Tried, try_rules
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.review.errors import BadRulePack
from millstream.review.rules.pack import Packs, load_packs

File = Annotated[Path, typer.Argument(help="A rule pack: TOML, see docs/reference/rules.md.")]


def check(
    files: Annotated[list[Path], typer.Argument(help="Rule packs: TOML, see docs/reference/rules.md.")],
    *,
    json: Json = False,
) -> None:
    """Say what is wrong with rule packs, or what is in them.

    Exit code 2 where one cannot be used.
    """
    packs = _loaded(files)
    rows = [
        {
            "pack": file.pack.name,
            "rule": rule.name,
            "kind": rule.kind,
            "types": ", ".join(rule.types or file.pack.types) or "all",
            "jurisdictions": ", ".join(rule.jurisdictions or file.pack.jurisdictions) or "all",
            "severity": rule.severity,
            "policy": file.pack.policy,
        }
        for file in packs.files
        for rule in file.rule
    ]
    frame.answer_rows(rows, rows[0] if rows else (), as_json=json, empty="no rules")


def try_command(
    file: File,
    driver: Annotated[Path, typer.Argument(help="A driver: what its lines make is looked at, and nothing is kept.")],
    *,
    line: Annotated[int | None, typer.Option(help="Only this line.", min=1)] = None,
    password: Annotated[
        str | None, typer.Option(help="The rule of the PDFs' passwords, as for `run submit --password`.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what rules find in the communications of a driver.

    Exit code 1 where something would be held.
    """
    packs = _loaded([file])

    async def tried() -> list[Tried]:
        return list(try_rules(work.settings(), packs, driver, line=line, password=password))

    found = work.run(tried, goes_on="nothing was kept")
    if line is not None and not found:
        frame.fail(f"{driver} has no line {line} with a record", frame.FAILED)
    if json:
        frame.answer_json([{**dataclasses.asdict(each), "holds": each.holds} for each in found])
    else:
        _tell(found)
    if any(each.holds or each.problem for each in found):
        raise typer.Exit(frame.FAILED)


def _loaded(files: list[Path]) -> Packs:
    try:
        return load_packs(files)
    except BadRulePack as error:
        frame.fail(str(error), frame.WRONG)


def _tell(found: list[Tried]) -> None:
    for each in found:
        if each.problem:
            frame.say(f"line {each.line} {each.key}: {each.problem}")
        for finding in each.findings:
            frame.say(
                f"line {each.line} {each.key}: {finding.severity}: {finding.rule}, {finding.place}: {finding.text}"
            )
    held = sum(each.holds for each in found)
    frame.say(f"{len(found):,} looked at, {held:,} would be held")
