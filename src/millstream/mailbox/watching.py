"""Push: watches made and renewed, hints taken in, and the watchdog over all mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from millstream.gmail.client import Gmail
from millstream.gmail.errors import GmailError
from millstream.gmail.pubsub import Hint, HintSource
from millstream.log import get_logger
from millstream.mailbox.options import PushOptions, ReadingOptions
from millstream.mailbox.store import MailboxStore
from millstream.storage.errors import DatabaseError

log = get_logger(__name__)

_FIRST_GAP = 1.0
_LONGEST_GAP = 60.0
_OURS = ("SENT", "DRAFT")
"""Gmail tells of one change a second and drops the others: what a mailbox sends would drown the answer to it."""


class Watches:
    """Makes and renews the watch of every mailbox that is read."""

    def __init__(self, gmail: Gmail, store: MailboxStore, push: PushOptions) -> None:
        self._gmail = gmail
        self._store = store
        self._push = push

    async def renew(self) -> int:
        """Renew what is due; one mailbox that refuses stops no other. Answers how many stand now."""
        due = await self._store.watches_due()
        return sum(await asyncio.gather(*(self._renew(mailbox) for mailbox in due)))

    async def _renew(self, mailbox: str) -> bool:
        try:
            watch = await self._gmail.mailbox(mailbox).watch(self._push.topic, _OURS, "exclude")
        except GmailError as error:
            log.warning("mailbox.watch_failed", mailbox=mailbox, error=str(error))
            await self._store.watch_failed(mailbox, str(error), retry=self._push.retry)
            return False
        await self._store.watched(mailbox, until=watch.expires_at, renew=self._push.renew)
        return True


class Hints:
    """Takes hints in: durable first, acknowledged then."""

    def __init__(self, store: MailboxStore, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def hint(self, hints: Sequence[Hint]) -> int:
        """Make mailboxes due; answers how many of them are read here.

        Raises:
            DatabaseError: nothing is known to be written; the hint must come again.
        """
        named = await self._store.hint((each.mailbox, each.history_id) for each in hints)
        if named:
            self._wake()
        return named

    async def follow(self, source: HintSource, stopping: asyncio.Event) -> None:
        """Pull until asked to stop. A hint is only a hint: whatever fails here, polling goes on."""
        gap = _FIRST_GAP
        while not stopping.is_set():
            try:
                pulled = await source.pull()
                await self.hint([each.hint for each in pulled if each.hint is not None])
                if pulled:
                    await source.acknowledge([each.ack_id for each in pulled])
            except (GmailError, DatabaseError) as error:
                log.warning("mailbox.hints_away", error=str(error), again_in=gap)
                await asyncio.sleep(gap)
                gap = min(gap * 2, _LONGEST_GAP)
            else:
                gap = _FIRST_GAP


class Watchdog:
    """Says once what is wrong with a mailbox, and once that it is well again."""

    def __init__(self, store: MailboxStore, options: ReadingOptions) -> None:
        self._store = store
        self._options = options

    async def look(self) -> None:
        """Write the events that are due."""
        news = await self._store.warn(stalled_after=self._options.stalled_after, push=self._options.push is not None)
        for each in news:
            level = log.info if each["kind"] == "recovered" else log.error
            level(f"mailbox.{each['kind']}", mailbox=each["address"], facts=each["facts"])
