"""The web server, put together: where pushes come in, and whose are believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from millstream.app.house import House
from millstream.app.options import gmail_options
from millstream.app.reading_options import expected_push
from millstream.gmail.push_token import GoogleKeys, PushTokens
from millstream.mailbox.watching import Hints
from millstream.storage.errors import DatabaseError
from millstream.storage.pool import transaction

_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class PushDoor:
    """What the push endpoint is made of."""

    hints: Hints
    tokens: PushTokens
    house: House

    async def reachable(self) -> bool:
        """Whether the database answers soon."""
        try:
            async with asyncio.timeout(_PATIENCE), transaction(self.house.pool, patience=_PATIENCE) as conn:
                await conn.execute("SELECT 1")
        except (DatabaseError, TimeoutError):
            return False
        return True


@asynccontextmanager
async def push_door(house: House) -> AsyncIterator[PushDoor | None]:
    """The door for pushes; None where the settings name nobody whose push is believed."""
    expected = expected_push(house.settings)
    if expected is None:
        yield None
        return
    tokens = PushTokens(expected, GoogleKeys(gmail_options(house.settings)))
    try:
        # Workers are other processes: they find what is due by themselves.
        yield PushDoor(Hints(house.mailboxes, wake=lambda: None), tokens, house)
    finally:
        await tokens.close()
