"""A worker: runs the jobs of all rooms until it is asked to stop. Add machines by starting more of them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from millstream.app.answers import listeners
from millstream.app.house import House, open_house
from millstream.app.intake import coming_in
from millstream.app.memory import calm_collector
from millstream.app.options import delivery_options, gmail_options, token_source_where_needed
from millstream.app.reading import mailboxes, reading
from millstream.app.relay import relay_options, relay_rules, relay_users, verp
from millstream.app.reviewing import reviewing
from millstream.app.steps import exstream_side
from millstream.audit.blocks import TICK as BLOCKS_TICK
from millstream.audit.blocks import Blocks
from millstream.communication.model import Road
from millstream.config import Settings
from millstream.delivery.board import RunBoard
from millstream.delivery.holding import Tools
from millstream.delivery.lane import Lane
from millstream.delivery.ledger import Ledger
from millstream.delivery.model import lane_road
from millstream.delivery.options import DeliveryOptions, Point
from millstream.delivery.organisation import Organisation
from millstream.drill import Drill
from millstream.gmail import Gmail
from millstream.gmail.relay.transport import SmtpRelay
from millstream.intake.consignment import Kind
from millstream.intake.smtp import open_messages
from millstream.log import get_logger
from millstream.storage.errors import DatabaseError
from millstream.storage.pool import transaction
from millstream.work.engine import Engine, EngineOptions, Sweep
from millstream.work.events import Events

log = get_logger(__name__)

LANE_JOB = "delivery.lane"
_BOARD_EVERY = 0.4
"""A pause must act within a second."""
_DUE_EVERY = 0.5
_CANCEL_EVERY = 0.5
_DAY_EVERY = 30.0
_EVENTS_EVERY = 0.25
_SPILL_EVERY = 2.0
_FORGET_EVERY = 600.0
_LAST_PATIENCE = 10.0
"""How long a worker that was asked to stop waits for a database that is away: what it knows is settled by evidence."""


async def run_worker(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM; what is in flight then ends in order.

    Raises:
        StorageError: the database cannot be opened, or did not come back in time.
        GmailError: the credentials cannot be read.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    async with open_house(settings) as house:
        await house.lanes.register(settings.senders.pools, relay=relay_users(settings), retire=True)
        await work(house, stopping)


async def work(house: House, stopping: asyncio.Event) -> None:
    """Take in, run lanes, read mailboxes, ask Exstream and answer events here until `stopping` is set."""
    messages = {Kind.MESSAGE: open_messages(house.settings.intake.subject, house.settings.intake.text)}
    async with (
        lane_tools(house, stopping) as tools,
        reading(house, tools.gmail) as reads,
        coming_in(house, messages) as doors,
        exstream_side(house) as exstream,
        reviewing(house, tools.gmail) as reviews,
    ):
        options = tools.options
        engine_options = EngineOptions(
            concurrency=house.settings.worker.lanes,
            heartbeat=options.heartbeat,
            stalled_after=options.stalled_after,
        )

        async def lane(mailbox: str) -> None:
            await Lane.run_once(mailbox, tools)

        calm_collector()
        async with Engine(house.database_url, engine_options) as engine:
            engine.job(LANE_JOB, lane)

            board = tools.board
            assert isinstance(board, RunBoard)  # noqa: S101  lane_tools makes it

            async def defer_due() -> None:
                due = await house.lanes.due(stalled_after=options.stalled_after)
                if not board.project_open:  # the day of the API's units; the relay costs none
                    due = [each for each in due if lane_road(each) is Road.RELAY]
                # Together: a lane that starts a second later has lost a second of its rate.
                await asyncio.gather(
                    *(engine.defer(LANE_JOB, lock=f"lane:{mailbox}", mailbox=mailbox) for mailbox in due)
                )

            answers = listeners(house.settings, *reviews.listeners)
            log.info("worker.started", lanes=house.settings.worker.lanes)
            sweeps = [
                Sweep("runs", _BOARD_EVERY, board.refresh),
                Sweep("due", _DUE_EVERY, defer_due),
                Sweep("project_day", _DAY_EVERY, board.count_day),
                Sweep("cancel", _CANCEL_EVERY, house.lanes.cancel_queued),
                Sweep("audit_blocks", BLOCKS_TICK, Blocks(house.pool).seal_due),
                Sweep("events", _EVENTS_EVERY, Events(house.pool, answers).answer_due),
                *reads.sweeps,
                *doors,
                *exstream,
                *reviews.sweeps,
                *_relay_sweeps(house, tools),
            ]
            beside = [asyncio.create_task(_stop_waiting(house, stopping)), asyncio.create_task(reads.run(stopping))]
            try:
                await engine.run(stopping, sweeps)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
        log.info("worker.stopped")


def _relay_sweeps(house: House, tools: Tools) -> list[Sweep]:
    """What the relay road needs beside its lanes."""
    if tools.organisation is None:
        return []
    return [
        Sweep("spill", _SPILL_EVERY, house.lanes.spill),
        Sweep("relay_grants", _FORGET_EVERY, tools.organisation.forget),
    ]


async def _stop_waiting(house: House, stopping: asyncio.Event) -> None:
    """Once the worker was asked to stop: close the pool of a database that stays away, so that nobody waits for it."""
    await stopping.wait()
    away_since: float | None = None
    clock = asyncio.get_running_loop().time
    while away_since is None or clock() - away_since < _LAST_PATIENCE:
        try:
            async with transaction(house.pool, patience=1.0) as connection:
                await connection.execute("SELECT 1")
            away_since = None
        except DatabaseError:
            away_since = away_since or clock()
        await asyncio.sleep(0.5)
    log.warning("worker.database_away", waited=_LAST_PATIENCE)
    await house.pool.close()


@asynccontextmanager
async def lane_tools(house: House, stopping: asyncio.Event) -> AsyncIterator[Tools]:
    """What the lanes of one process share: the group-commit writer, the connection to Gmail, the board of runs."""
    settings = house.settings
    options = replace(delivery_options(settings), relay=relay_rules(settings))
    board = RunBoard(house.lanes, options.limits)
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(
            Ledger(
                house.pool,
                gap=settings.delivery.commit_gap_ms / 1000,
                give_up_after=settings.database.patience_seconds,
            )
        )
        reads = bool(mailboxes(settings)) or settings.relay.sent_copies
        tokens = token_source_where_needed(settings, needed=reads or any(settings.senders.pools.values()))
        gmail = await stack.enter_async_context(Gmail(gmail_options(settings), tokens))
        relay, organisation = await _relay(stack, house, options)
        await board.refresh()
        yield Tools(
            store=house.lanes,
            ledger=ledger,
            gmail=gmail,
            documents=house.documents,
            board=board,
            options=options,
            drill=Drill(options.drill, Point),
            stopping=stopping.is_set,
            relay=relay,
            organisation=organisation,
            verp=verp(settings),
            slots=asyncio.Semaphore(settings.relay.connections),
        )


async def _relay(
    stack: AsyncExitStack, house: House, options: DeliveryOptions
) -> tuple[SmtpRelay | None, Organisation | None]:
    """The relay's connections and the organisation's permissions, which end in order with this process."""
    wanted = relay_options(house.settings)
    if wanted is None:
        return None, None
    patience = house.settings.database.patience_seconds
    organisation = Organisation(house.pool, options.limits, patience=patience, wait=options.stalled_after / 2)
    stack.push_async_callback(organisation.give_back)
    relay = SmtpRelay(wanted)
    stack.push_async_callback(relay.close)
    return relay, organisation
