"""Reading, put together: which mailboxes are read, who answers what they tell, and what runs in a worker."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from millstream.app.house import House
from millstream.app.reading_options import hint_source, push_options, reading_options
from millstream.app.relay import verp
from millstream.config import Settings
from millstream.delivery import mapping
from millstream.delivery.verp import Verp, first_token
from millstream.drill import Drill
from millstream.gmail import Gmail
from millstream.gmail.pubsub import HintSource
from millstream.mailbox.desk import Desk
from millstream.mailbox.look import Tools
from millstream.mailbox.model import Role
from millstream.mailbox.options import Point
from millstream.mailbox.watching import Hints, Watchdog, Watches
from millstream.mime import Clues
from millstream.storage.pool import Pool, single
from millstream.work.engine import Sweep

_WATCHES_EVERY = 10.0
_WATCHDOG_EVERY = 15.0


def mailboxes(settings: Settings) -> Mapping[str, frozenset[Role]]:
    """Which mailboxes are read, and why; none where reading is switched off."""
    roles: dict[str, set[Role]] = defaultdict(set)
    if settings.mailbox.read:
        for pool in settings.senders.pools.values():
            for address in pool:
                roles[address].add(Role.SENDER)
        for address in settings.mailbox.shared:
            roles[address].add(Role.SHARED)
        for address in settings.mailbox.request:
            roles[address].add(Role.REQUEST)
    return {address: frozenset(each) for address, each in roles.items()}


class Finder:
    """Asks the room that sent it which delivery a message is about."""

    def __init__(self, pool: Pool, verp: Verp | None = None) -> None:
        self._pool = pool
        self._verp = verp

    async def __call__(self, *, mailbox: str, thread_id: str, clues: Clues, at: datetime) -> mapping.Found | None:
        """The delivery, or None."""
        envelope_token = first_token(self._verp, clues.tags)
        async with single(self._pool) as conn:
            return await mapping.find(
                conn, mailbox=mailbox, thread_id=thread_id, clues=clues, at=at, envelope_token=envelope_token
            )


@dataclass(frozen=True, slots=True)
class Reading:
    """What of reading runs in one worker."""

    desk: Desk
    sweeps: tuple[Sweep, ...]
    _hints: Hints
    _source: HintSource | None

    async def run(self, stopping: asyncio.Event) -> None:
        """Read until asked to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.desk.run(stopping))
            if self._source is not None:
                follower = group.create_task(self._hints.follow(self._source, stopping))
                await stopping.wait()
                follower.cancel()


@asynccontextmanager
async def reading(house: House, gmail: Gmail) -> AsyncIterator[Reading]:
    """Reading in this process, closed in order: looks in flight are broken off, their mailboxes given back.

    Raises:
        BadCredentials: what a pull subscription needs is not set, or cannot be read.
    """
    settings = house.settings
    options, store = reading_options(settings), house.mailboxes
    await store.register(mailboxes(settings))
    tools = Tools(
        store=store,
        find=Finder(house.pool, verp(house.settings)),
        documents=house.documents,
        options=options,
        drill=Drill(options.drill, Point),
    )
    source = hint_source(settings)
    try:
        async with Desk(gmail, tools) as desk:
            sweeps = [Sweep("watchdog", _WATCHDOG_EVERY, Watchdog(store, options).look)]
            push = push_options(settings)
            if push is not None:
                sweeps.append(Sweep("watches", _WATCHES_EVERY, Watches(gmail, store, push).renew))
            yield Reading(desk, tuple(sweeps), Hints(store, wake=desk.wake), source)
    finally:
        if source is not None:
            await source.close()
