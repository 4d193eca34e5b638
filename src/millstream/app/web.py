"""The web server, put together: where pushes and communications come in, and whose are believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from millstream.app.house import House
from millstream.app.intake import reception, spool
from millstream.app.options import gmail_options
from millstream.app.reading_options import expected_push
from millstream.app.roads import lacking, relay_users
from millstream.communication.errors import NoRoad
from millstream.communication.model import Mode, Policy
from millstream.config import Settings
from millstream.gmail.push_token import GoogleKeys, PushTokens
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.http import FactNames, HttpDoor, HttpOptions
from millstream.mailbox.watching import Hints
from millstream.storage.errors import DatabaseError
from millstream.storage.pool import transaction

_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class PushDoor:
    """What the push endpoint is made of."""

    hints: Hints
    tokens: PushTokens


async def reachable(house: House) -> bool:
    """Whether the database answers soon."""
    try:
        async with asyncio.timeout(_PATIENCE), transaction(house.pool, patience=_PATIENCE) as conn:
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
        yield PushDoor(Hints(house.mailboxes, wake=lambda: None), tokens)
    finally:
        await tokens.close()


def http_door(house: House) -> HttpDoor | None:
    """The door for runs and communications; None where no caller has a token."""
    settings = house.settings
    if not settings.intake_http.tokens:
        return None
    asked = ConsignmentStore(house.pool, patience=_PATIENCE)  # whoever asks may ask again
    return HttpDoor(http_options(settings), reception(house), spool(settings), asked)


def http_options(settings: Settings) -> HttpOptions:
    """How the HTTP door behaves."""
    http, intake = settings.intake_http, settings.intake
    by_road = (settings.senders.pools, relay_users(settings))
    pools = frozenset(name for pools in by_road for name, mailboxes in pools.items() if mailboxes)
    return HttpOptions(
        tokens={name: secret.get_secret_value() for name, secret in http.tokens.items()},
        most_bytes=http.most_bytes,
        most_record_bytes=http.most_record_bytes,
        most_held_bytes=http.most_held_bytes,
        most_files=http.most_files,
        read_seconds=http.read_seconds,
        wait_seconds=http.wait_seconds,
        pool=intake.pool,
        pools=pools or None,  # without any mailbox nothing leaves yet, and everything may come in
        unfit=partial(_unfit, settings),
        mode=Mode(settings.delivery.mode),
        type=intake.type,
        stream=intake.stream,
        locale=intake.locale,
        subject=intake.subject,
        text=intake.text,
        names=_names(settings),
    )


def _unfit(settings: Settings, pool: str, policy: Policy) -> str | None:
    try:
        return lacking(settings, pool, policy)
    except NoRoad as error:
        return str(error)


def _names(settings: Settings) -> FactNames:
    """Our own words first, then those of Exstream's data."""
    ours, keys = FactNames(), settings.intake_keys
    return FactNames(
        recipient=(*ours.recipient, *keys.recipient),
        name=(*ours.name, *keys.name),
        customer=(*ours.customer, *keys.customer),
        type=(*ours.type, *keys.type),
        subject=(*ours.subject, *keys.subject),
        key=(*ours.key, *keys.key),
        locale=(*ours.locale, *keys.locale),
        stream=(*ours.stream, *keys.stream),
    )
