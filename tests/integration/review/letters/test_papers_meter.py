"""Fetching what was sent is announced to the lane of the same mailbox before it is done."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from letters_desk import R1, LettersDesk

from millstream.app.house import House
from millstream.app.reviewing import metered
from millstream.config import Settings
from millstream.gmail.errors import NotFound
from millstream.mailbox.store import MailboxStore


async def test_a_lane_hears_of_what_is_fetched_from_its_mailbox(desk: LettersDesk) -> None:
    settings = Settings()
    quick = settings.delivery.model_copy(update={"heartbeat_seconds": 0.1})
    settings = settings.model_copy(update={"delivery": quick})
    house: Any = SimpleNamespace(settings=settings, mailboxes=MailboxStore(desk.pool, patience=10.0))
    mailbox = metered(cast("House", house), desk.gmail)(R1)
    with pytest.raises(NotFound):
        await mailbox.get_message("18f0000000000000", "raw")
    cost = settings.limits.limits().cost("messages.get")
    assert await desk.rows("SELECT mailbox, units, ahead FROM reading") == [
        {"mailbox": R1, "units": cost, "ahead": True}
    ]
