"""Which delivery a message in a mailbox is about: the strongest clue decides, and none is better than a weak one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast

import aiosql

from millstream.delivery.transport import bare_id
from millstream.storage.pool import Connection

queries = aiosql.from_path(Path(__file__).with_name("mapping.sql"), "apsycopg", mandatory_parameters=False)

How = Literal["envelope", "thread", "header", "message_id", "reply_token", "recipient"]

WINDOW: Final = timedelta(days=5)
"""How long after a send a bounce may still come that names nothing but its recipient: servers try for up to five days
(RFC 5321 §4.5.4.1)."""
_SKEW: Final = timedelta(minutes=1)
"""Google's clock stamps the message, ours the acceptance."""


class Clues(Protocol):
    """What a message says about the one that it answers."""

    @property
    def returned_token(self) -> str | None:
        """Our header, in the headers that came back."""
        ...

    @property
    def original_message_ids(self) -> Sequence[str]:
        """The Message-IDs that it reports on, answers or refers to."""
        ...

    @property
    def reply_token(self) -> str | None:
        """The plus part of the address it was sent to."""
        ...

    @property
    def recipients(self) -> Sequence[str]:
        """The addresses that failed."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A delivery, and the clue that named it."""

    token: str
    address: str
    how: How


async def find(  # noqa: PLR0913  the question has this many sides
    conn: Connection,
    *,
    mailbox: str,
    thread_id: str,
    clues: Clues,
    at: datetime,
    window: timedelta = WINDOW,
    envelope_token: str | None = None,
) -> Found | None:
    """The delivery that a message in `mailbox` is about, in one question; None where nothing names one for sure.

    Args:
        conn: asked within its own transaction.
        mailbox: where the message lies; its threads are its own.
        thread_id: Gmail's, or empty.
        clues: what the message says.
        at: when the message came, by Gmail's clock.
        window: how long before `at` a delivery may have left that only its recipient and its time speak for.
        envelope_token: of the address it came to, where that is an envelope sender of our own making (`Verp.token_of`).
    """
    row: dict[str, Any] | None = await queries.find_delivery(
        conn,
        mailbox=mailbox,
        thread_id=_legible(thread_id),
        returned_token=clues.returned_token and _legible(clues.returned_token.strip()),
        message_ids=[bare_id(_legible(each)) for each in clues.original_message_ids if bare_id(_legible(each))],
        reply_token=clues.reply_token and _legible(clues.reply_token),
        recipients=[_legible(each) for each in clues.recipients],
        at=at,
        window=window.total_seconds(),
        skew=_SKEW.total_seconds(),
        envelope_token=envelope_token,
    )
    return Found(row["token"], row["address"], cast("How", row["how"])) if row else None


def _legible(text: str) -> str:
    """Words of others, without what a text column cannot hold: no clue of ours has it."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")
