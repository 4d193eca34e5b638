"""`millstream demo`: real statements leave through forty mailboxes, and what arrived is counted."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.live import Live

from millstream import log
from millstream.app import demo_reviews, demo_road
from millstream.app.demo import KEY_FILE, Arrived, Cast, Process, Sandbox, stage, write_driver, write_settings
from millstream.app.demo_doors import Incoming, by_door
from millstream.app.demo_road import Way
from millstream.app.house import House, open_house
from millstream.app.roads import relay_users
from millstream.app.storm import Storm
from millstream.cli import frame, work
from millstream.cli.demo_screen import Scene, draw, line, summary
from millstream.cli.frame import Json
from millstream.communication.model import RoadChoice, Unclear
from millstream.config import load
from millstream.intake.consignment import Door
from millstream.work import events

_ALL = 2_357
_LOOK_EVERY = 0.5
_NOTICES_WITHIN = 2.0
"""Seconds after the last send until which the sandbox's notice that it was not sent has come: it takes 0.3."""
_SAY_EVERY = 5.0
"""Seconds between lines where there is no terminal to draw on."""
_GIVE_UP_AFTER = 1_200.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    customers: int
    storm: bool
    seed: int
    door: Door
    stay: bool
    as_json: bool
    reviews: bool = True
    way: Way = field(default_factory=Way)


@dataclass(slots=True)
class Play:
    """The demo while it runs."""

    house: House
    sandbox: Sandbox
    folder: Path
    cast: Cast
    addresses: list[str]
    incoming: Incoming
    workers: list[Process] = field(default_factory=list)
    storm: Storm | None = None
    began: float = field(default_factory=time.monotonic)
    done_after: float | None = None


def demo(  # noqa: PLR0913  a command has this many options
    *,
    customers: Annotated[int, typer.Option(min=1, max=_ALL, help="How many customers.")] = 500,
    everyone: Annotated[bool, typer.Option("--all", help=f"All {_ALL:,} customers.")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="The same in a storm: see docs/explanation.")] = False,
    seed: Annotated[int, typer.Option(help="The storm's seed; the same seed blows the same.")] = 1,
    intake: Annotated[
        Door, typer.Option(help="The door by which statements come from the Exstream sandbox; driver: without it.")
    ] = Door.PULL,
    road: Annotated[RoadChoice, typer.Option(help="By what statements leave.")] = RoadChoice.API,
    unclear: Annotated[
        Unclear | None,
        typer.Option(help="What follows a lost reply of the relay; must be said where the road may be the relay."),
    ] = None,
    reviews: Annotated[bool, typer.Option(help="Whether people are asked about a template and two letters.")] = True,
    leave: Annotated[bool, typer.Option("--exit", help="End at once instead of staying up to be looked at.")] = False,
    json: Json = False,
) -> None:
    """Compose real statements, deliver them through a Gmail sandbox, and count what arrived."""
    log.set_up("error")
    way = Way(road, unclear)
    if way.by_relay and unclear is None:
        frame.fail(
            f"--road {road} needs --unclear: a reply of the relay can be lost. hold lets a person decide about such a "
            "message; again sends it again under the same Message-ID, which most recipients drop, and some see twice",
            frame.WRONG,
        )
    number = _ALL if everyone else customers
    wish = Wish(number, faults, seed, intake, stay=not leave, as_json=json, reviews=reviews, way=way)
    outcome = work.run(lambda: _perform(wish), goes_on="the demo's folder is gone")
    twice = outcome["unlisted"] if way.by_relay else outcome["duplicates"]
    open_ones = outcome["held"] + (outcome["uncertain"] if unclear is Unclear.HOLD else 0)
    if twice or outcome["missing"] > open_ones:
        raise typer.Exit(frame.FAILED)


async def _perform(wish: Wish) -> dict[str, Any]:
    console = Console(highlight=False, stderr=wish.as_json)
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    async with _play(wish) as play:
        await _deliver(play, console, interrupted)
        outcome = await _outcome(play, wish)
        if wish.reviews and not interrupted.is_set():
            outcome["reviews"] = await _reviewed(play, console)
        summary(console, outcome, _pages(play), play.addresses)
        if wish.stay and not interrupted.is_set():
            if wish.as_json:
                frame.answer_json(outcome)
            console.print("Ctrl-C ends the demo.")
            await interrupted.wait()
    if wish.as_json and not wish.stay:
        frame.answer_json(outcome)
    return outcome


@asynccontextmanager
async def _play(wish: Wish) -> AsyncIterator[Play]:
    """Everything up: sandbox, database, worker; and down again in order."""
    cast = Cast(wish.customers)
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(stage())
        _, addresses = await asyncio.to_thread(write_driver, folder, cast)
        server = Process(
            ["sandbox", "gmail", "--settings", str(_sandbox_file(folder, cast, wish.way)), "--json"],
            folder / "sandbox.log",
        )
        told = await server.start(answers=True)
        url = told["url"]
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sandbox = Sandbox(url, session)
        key_file = folder / KEY_FILE
        key_file.write_bytes(await _key(session, url))
        incoming = Incoming(wish.door, folder)
        if wish.reviews:
            incoming.shelves, incoming.pages = ("--settings", str(demo_reviews.sandbox_settings(folder))), True
        await incoming.begin(stack, session)
        sections = incoming.settings() + (demo_reviews.settings(folder, incoming.port) if wish.reviews else "")
        sections += demo_road.settings(folder, cast, wish.way, told.get("smtp_port") or 0)
        road = wish.way.road.value
        settings_file = write_settings(folder, cast, url, storm=wish.storm, more=sections, road=road)
        settings = load(settings_file)
        house = await stack.enter_async_context(open_house(settings))
        await house.lanes.register(settings.senders.pools, relay=relay_users(settings))
        await incoming.open(stack, settings_file, dies=wish.storm)
        play = Play(house, sandbox, folder, cast, addresses, incoming)
        await stack.enter_async_context(_working(play, wish))
        yield play


@asynccontextmanager
async def _working(play: Play, wish: Wish) -> AsyncIterator[None]:
    """A worker while the block runs; in a storm one that dies and is started again."""
    arguments = ["--config", str(play.folder / "millstream.toml"), "worker"]
    tasks: list[asyncio.Task[None]] = []
    if wish.storm:
        play.storm = Storm(play.sandbox, play.cast, seed=wish.seed, door=wish.door, way=wish.way)
        await play.storm.begin()
        tasks.append(asyncio.create_task(play.storm.mend_token()))
        tasks.append(asyncio.create_task(play.storm.keep_alive(arguments, play.folder / "worker.log", play.workers)))
    else:
        worker = Process(arguments, play.folder / "worker.log")
        play.workers.append(worker)
        await worker.start()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in play.workers:
            await worker.stop()


async def _deliver(play: Play, console: Console, interrupted: asyncio.Event) -> None:
    """Intake and lanes at the same time, until nothing moves any more."""
    coming = play.incoming.come_in(play.house, play.folder / "statements.jsonl", play.cast.customers)
    intake = asyncio.create_task(coming)
    said = 0.0
    try:
        with contextlib.ExitStack() as screen:
            live = screen.enter_context(Live(console=console, refresh_per_second=4)) if console.is_terminal else None
            while not interrupted.is_set() and time.monotonic() - play.began < _GIVE_UP_AFTER:
                scene = await _scene(play)
                if live is not None:
                    live.update(draw(scene))
                elif time.monotonic() - said >= _SAY_EVERY:
                    said = time.monotonic()
                    console.print(line(scene))
                if intake.done() and await _settled(play, scene):
                    break
                await asyncio.sleep(_LOOK_EVERY)
        if not interrupted.is_set():
            await intake
    finally:
        intake.cancel()
        await asyncio.gather(intake, return_exceptions=True)


async def _reviewed(play: Play, console: Console) -> dict[str, int]:
    """A template and two letters are put to people; what came of it."""
    console.print("three reviewers and the legal department answer now")
    await play.sandbox.clear_faults()
    control = play.incoming.control
    assert control is not None  # noqa: S101  Incoming.begin makes it
    flow = demo_reviews.letter_flow(play.incoming.channel, play.incoming.told["domain"])
    await control.post("flows", flow)
    browser = aiohttp.CookieJar(unsafe=True)  # as browsers do, also for an address in numbers
    async with aiohttp.ClientSession(cookie_jar=browser) as session:
        people = demo_reviews.Reviewers(play.house, play.sandbox, control, session, play.folder)
        return await people.play()


async def _scene(play: Play) -> Scene:
    for worker in play.workers:
        worker.measure()
    progress = await play.house.runs.progress_of_all(but=demo_reviews.RUNS)
    return Scene(
        customers=play.cast.customers,
        composed=play.incoming.composed,
        counts=progress.counts,
        moving=progress.moving,
        lanes=await play.house.lanes.lanes(),
        seconds=play.done_after or time.monotonic() - play.began,
        kills=play.storm.kills if play.storm else None,
    )


async def _settled(play: Play, scene: Scene) -> bool:
    """Whether nothing moves, no draft is left to look for, and the mailboxes have told what they had to tell."""
    if scene.moving:
        play.done_after = None
        return False
    play.done_after = play.done_after or time.monotonic() - play.began
    if await play.house.mailboxes.not_confirmed(more=_NOTICES_WITHIN) or await events.waiting(play.house.pool):
        return False
    return all(lane["strays_at"] is None for lane in scene.lanes)


async def _outcome(play: Play, wish: Wish) -> dict[str, Any]:
    progress = await play.house.runs.progress_of_all(but=demo_reviews.RUNS)
    arrived = await Arrived.count(play.sandbox, play.addresses)
    state = await play.sandbox.get("state")
    seconds = play.done_after or time.monotonic() - play.began
    accepted = progress.of("accepted")
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    outcome: dict[str, Any] = {
        "customers": arrived.customers,
        "doors": by_door(play.incoming),
        "composed": play.incoming.composed,
        "accepted": accepted,
        "held": progress.of("held"),
        "failed": progress.of("failed"),
        "uncertain": progress.of("uncertain"),
        "queued": progress.of("queued") + progress.of("drafted") + progress.of("sending"),
        "duplicates": arrived.duplicates,
        "missing": arrived.missing,
        "drafts_left": state["drafts"],
        "seconds": round(seconds, 1),
        "per_second": round(accepted / seconds, 1),
        "peak_rss_mb": round(max([own_peak, *(worker.peak_rss_mb for worker in play.workers)]), 1),
    }
    if wish.way.by_relay:
        outcome |= await demo_road.by_road(play.house, arrived.doubled)
    if wish.storm and play.storm:
        ledger = await play.sandbox.get("ledger")
        outcome |= {"kills": play.storm.kills, "faults": ledger["faults"], "refusals": ledger["refusals"]}
    return outcome


def _pages(play: Play) -> dict[str, str]:
    """What can be looked at in a browser while the demo stays up."""
    jobs = {"Exstream's jobs": play.incoming.told["url"]} if play.incoming.told else {}
    return {"mailboxes": play.sandbox.url, **jobs}


async def _key(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(f"{url}/sandbox/v1/service-account") as reply:
        reply.raise_for_status()
        return await reply.read()


def _sandbox_file(folder: Path, cast: Cast, way: Way) -> Path:
    """The sandbox's settings: our domain and its sender mailboxes, everybody else is outside."""
    path = folder / "sandbox.toml"
    listed = ", ".join(f'"{mailbox}"' for mailbox in [*cast.mailboxes, *demo_reviews.mailboxes()])
    more = demo_road.sandbox_lines(folder, way)
    path.write_text(f"mailboxes = [{listed}]\n{more}", encoding="utf-8")
    return path
