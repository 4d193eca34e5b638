"""What a lane looks for in its mailbox besides its deliveries: where its history stands, and drafts that nobody knows.

Why strays are removed and never adopted: docs/decisions/0006. Who reads limit notices: docs/decisions/0012.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.delivery.holding import Holding
from millstream.delivery.transport import MOST_REPEATS
from millstream.gmail.errors import GmailError, NotFound, ScopeMissing
from millstream.gmail.model import Draft
from millstream.log import get_logger
from millstream.mime.letter import HEADER_DELIVERY

log = get_logger(__name__)


class Watch:
    """Looks into the mailbox of one holding."""

    def __init__(self, holding: Holding) -> None:
        self._lane = holding

    async def begin(self) -> None:
        """Note where the mailbox's history stands before anything is sent: evidence lies after it.

        Where that fails, the place that an earlier holding noted serves as well; only more is looked through.
        """
        try:
            profile = await self._lane.mail.profile()
        except ScopeMissing:  # `gmail.send` alone: sends, and can look at nothing
            return
        except GmailError:
            if self._lane.history_id is None:
                raise
            return
        await self._note(profile.history_id)

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

    async def _note(self, history_id: int) -> None:
        self._lane.history_id = history_id
        await self._lane.tools.store.note_history(self._lane.grip, history_id)
