"""`millstream run submit`: bring a driver in."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from millstream.app.house import open_house
from millstream.app.roads import FOLLOWS, lacking, relay_users
from millstream.app.submit import submit_driver
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.communication.errors import NoRoad
from millstream.communication.model import Mode, Policy, Road, RoadChoice, Run, Unclear, share_of
from millstream.config import Settings
from millstream.intake.driver import lines_of
from millstream.intake.submit import Receipt


def submit(  # noqa: PLR0913  a parameter an option
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="A driver: JSON lines, see docs/reference/driver.md."
        ),
    ],
    *,
    key: Annotated[str | None, typer.Option(help="The run's key; without it the file's name.")] = None,
    pool: Annotated[str, typer.Option(help="The pool of sender mailboxes that carries it.")] = "default",
    mode: Annotated[Mode | None, typer.Option(help="How it leaves; without it delivery.mode decides.")] = None,
    unsubscribe: Annotated[str | None, typer.Option(help="Add List-Unsubscribe with this URL.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Protect PDFs by a rule, for example '{customer.birth_date:%d%m%Y}'.")
    ] = None,
    bounce_limit: Annotated[
        str | None,
        typer.Option(
            help="Pause the run when more of it bounces for good, for example 5%, or none; without it "
            "suppression.bounce_limit decides."
        ),
    ] = None,
    road: Annotated[
        RoadChoice | None,
        typer.Option(help="By what it leaves; without it delivery.road decides. auto: each message by relay.rules."),
    ] = None,
    unclear: Annotated[
        Unclear | None,
        typer.Option(
            help="What follows a lost reply of the relay: hold for a person, or send again under the same Message-ID; "
            "without it relay.unclear decides."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Bring a driver in as a run. The same again changes nothing and says so; a broken line harms only itself.

    Exit code 1 where a line was rejected or is in conflict; the others are in.
    """
    name = key or file.stem
    share = _share(bounce_limit)
    policy = Policy(unsubscribe=unsubscribe, password=password, bounce_limit=share, road=road, unclear=unclear)

    async def submitted() -> tuple[Receipt, Run]:
        settings = work.settings()
        _check_pool(settings, pool, policy)
        async with open_house(settings) as house:
            run = await house.runs.open_run(
                name,
                pool=pool,
                mode=mode or Mode(settings.delivery.mode),
                policy=policy,
                source=file.name,
                expected=await asyncio.to_thread(lines_of, file),
            )
            return await submit_driver(house, run, file), run

    receipt, run = work.run(submitted, goes_on="what was committed stays, and the same submit again brings the rest")
    if json:
        told = {"roads": sorted(run.roads), "unclear": run.policy.unclear} if Road.RELAY in run.roads else {}
        frame.answer_json({"run": name, **told, **dataclasses.asdict(receipt)})
    else:
        _tell(receipt, run)
    if receipt.rejected or receipt.conflicts:
        raise typer.Exit(frame.FAILED)


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return share_of(text)
    except ValueError as error:
        frame.fail(f"--bounce-limit: {error}", frame.WRONG)


def _check_pool(settings: Settings, pool: str, policy: Policy) -> None:
    """A run of a pool without mailboxes would wait for ever."""
    try:
        missing = lacking(settings, pool, policy)
    except NoRoad as error:
        frame.fail(str(error), frame.WRONG)
    if missing:
        frame.fail(missing, frame.WRONG)
    if not any(settings.senders.pools.values()) and not relay_users(settings):
        frame.warn("no sender mailboxes are set, so nothing will leave yet; set senders.pools")


def _tell(receipt: Receipt, run: Run) -> None:
    key = run.key
    frame.say(
        f"run {key}: {receipt.lines:,} lines, {receipt.new:,} new ({receipt.held:,} of them held), "
        f"{receipt.unchanged:,} unchanged, {receipt.rejected:,} rejected, {receipt.conflicts:,} in conflict, "
        f"{receipt.seconds:.1f} s"
    )
    if receipt.new == 0 and receipt.unchanged == receipt.lines:
        frame.say("nothing changed: everything was in already")
    if run.policy.unclear is not None:
        frame.say(f"it may leave by the relay: {FOLLOWS[run.policy.unclear]}")
    if receipt.suppressed:
        frame.say(f"held because nothing is sent to their address any more: {receipt.suppressed:,}")
    if receipt.held:
        frame.say(f"`millstream run show {key}` says what is held and why")
    for problem in receipt.problems:
        frame.say(f"  {problem}")
