"""What a lane looks for in its mailbox besides its deliveries: limit notices, and drafts that nobody knows.

Why the lane looks itself: docs/decisions/0004. Why strays are removed and never adopted: docs/decisions/0006.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from millstream.delivery.holding import Holding
from millstream.delivery.model import Attempt, Delivery, Kind
from millstream.delivery.transport import MOST_REPEATS, Gained, added_since, newest
from millstream.gmail.errors import Effect, HistoryExpired, NotFound, ScopeMissing
from millstream.gmail.model import Draft, MessageRef
from millstream.log import get_logger
from millstream.mime.daemon import DaemonKind, classify_daemon
from millstream.mime.letter import HEADER_DELIVERY

log = get_logger(__name__)


class Watch:
    """Looks into the mailbox of one holding."""

    def __init__(self, holding: Holding) -> None:
        self._lane = holding

    async def begin(self) -> None:
        """Note where the mailbox's history stands before anything is sent: evidence lies after it."""
        if self._lane.history_id is not None:
            return
        try:
            profile = await self._lane.mail.profile()
        except ScopeMissing:  # `gmail.send` alone: sends, and can look at nothing
            return
        await self._note(profile.history_id)

    async def look(self) -> None:
        """Look for limit notices in the threads of what was accepted (truth 2: a 200 is not proof)."""
        lane, now = self._lane, datetime.now(UTC)
        if lane.history_id is not None:
            gained = await self._gained(lane.history_id)
            await self._take_back(gained.messages)
            await self._note(gained.history_id)
        confirmed = lane.row.confirm_until is None or now >= lane.row.confirm_until
        gap = timedelta(seconds=lane.options.look_gap)
        if lane.row.confirm_until is not None:
            quiet = timedelta(seconds=lane.options.confirm_for) - (lane.row.confirm_until - now)
            gap = max(gap, quiet / 4)  # notices come within seconds, or within minutes: look often first
        lane.row = replace(lane.row, look_at=None if confirmed else now + gap)

    async def remove_strays(self) -> None:
        """Delete drafts with our header that no delivery stands by. Only while this lane is drafting nothing."""
        lane, found = self._lane, await self._drafts()
        known = await lane.tools.store.known_drafts(lane.grip.mailbox, list(found))
        removed = 0
        for draft_id, draft in found.items():
            removed += draft_id not in known and await self._remove(draft)
        if removed:
            log.info("lane.strays_removed", mailbox=lane.grip.mailbox, drafts=removed)
        lane.row = replace(lane.row, strays_at=None)

    async def _drafts(self) -> dict[str, Draft]:
        """Every draft of the mailbox; a page may come twice."""
        found: dict[str, Draft] = {}
        token: str | None = None
        repeats = 0
        while True:
            page = await self._lane.mail.list_drafts(token)
            found.update((draft.id, draft) for draft in page.items)
            repeats = repeats + 1 if page.next_page == token else 0
            token = page.next_page
            if token is None or repeats > MOST_REPEATS:
                return found

    async def _remove(self, draft: Draft) -> bool:
        """Whether it was ours and is gone now."""
        try:
            message = await self._lane.mail.get_message(draft.message_id, headers=(HEADER_DELIVERY,))
            if HEADER_DELIVERY not in message.headers:
                return False
            await self._lane.mail.delete_draft(draft.id)
        except NotFound:
            return False
        return True

    async def _gained(self, history_id: int) -> Gained:
        try:
            return await added_since(self._lane.mail, history_id, "INBOX")
        except HistoryExpired:
            profile = await self._lane.mail.profile()
            return Gained(tuple(await newest(self._lane.mail, "INBOX")), profile.history_id)

    async def _take_back(self, messages: Sequence[MessageRef]) -> None:
        by_thread: dict[str, list[MessageRef]] = defaultdict(list)
        for message in messages:
            by_thread[message.thread_id].append(message)
        if not by_thread:
            return
        for delivery in await self._lane.tools.store.accepted_in(self._lane.grip.mailbox, list(by_thread)):
            for message in by_thread[delivery.thread_id or ""]:
                if await self._is_limit_notice(message):
                    await self._requeue(delivery, message)
                    break

    async def _is_limit_notice(self, message: MessageRef) -> bool:
        try:
            found = await self._lane.mail.get_message(message.id, format="raw")
        except NotFound:
            return False
        return classify_daemon(found.raw or b"") is DaemonKind.LIMIT_NOTICE

    async def _requeue(self, delivery: Delivery, notice: MessageRef) -> None:
        lane, now = self._lane, datetime.now(UTC)
        until = now + timedelta(seconds=lane.options.sending_park)
        await lane.park("limit_notice", until)
        detail = f"Gmail took the message and then said that {lane.grip.mailbox} has reached its limit: it was not sent"
        after = delivery.freed(due_at=now, reason="limit_notice", detail=detail)
        await lane.record(delivery, after, Attempt(Kind.NOTICE, "limit_notice", Effect.NO, evidence=notice.id))

    async def _note(self, history_id: int) -> None:
        self._lane.history_id = history_id
        await self._lane.tools.store.note_history(self._lane.grip, history_id)
