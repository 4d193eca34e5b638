"""Opens what every command needs: the database (embedded by default), the document store, the rooms' stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from millstream.app.roads import road_defaults, router
from millstream.communication.store import RunStore
from millstream.config import Settings
from millstream.delivery.store import LaneStore
from millstream.mailbox.store import MailboxStore
from millstream.storage.embedded import embedded
from millstream.storage.migrate import migrate
from millstream.storage.objects import DocumentStore, open_store
from millstream.storage.pool import Pool, open_pool


@dataclass(frozen=True, slots=True)
class House:
    """What is open."""

    settings: Settings
    database_url: str
    pool: Pool
    runs: RunStore
    lanes: LaneStore
    mailboxes: MailboxStore
    documents: DocumentStore


@asynccontextmanager
async def open_house(settings: Settings, *, migrated: bool = True) -> AsyncIterator[House]:
    """Open the house for one command or one worker; with `migrated` the schema is brought up to date first.

    Raises:
        StorageError: the database or the document store cannot be opened; the text says what to do.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url
        if url is None:
            url = await stack.enter_async_context(embedded(settings.database_folder))
        if migrated:
            await migrate(url)
        pool = await open_pool(url, maximum=settings.database.connections)
        stack.push_async_callback(pool.close)
        yield House(
            settings=settings,
            database_url=url,
            pool=pool,
            runs=RunStore(pool, settle=road_defaults(settings), route=router(settings)),
            lanes=LaneStore(pool, patience=settings.database.patience_seconds),
            mailboxes=MailboxStore(pool, patience=settings.database.patience_seconds),
            documents=open_store(settings.documents_url),
        )
