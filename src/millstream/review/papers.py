"""The raw mails of a review, kept as evidence: what was really sent to people, and what they really answered.

Gmail replaces the Message-ID of what is sent by its API, so it is known only from the sent message itself; the
delivery's record and the next mail of the conversation get it from here. What left by the relay is nowhere to be
fetched: its lane keeps what it handed over, and says so in its attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiosql

from millstream.gmail.client import MailboxClient
from millstream.gmail.errors import GmailError, NotFound
from millstream.log import get_logger
from millstream.mime.letter import HEADER_DELIVERY
from millstream.mime.structure import read_headers
from millstream.review.ports import DocumentStore
from millstream.storage.errors import DocumentStoreError
from millstream.storage.pool import Pool
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("papers.sql"), "apsycopg", mandatory_parameters=False)
log = get_logger(__name__)

TICK: Final = 0.5
_MOST: Final = 8
_HOLD: Final = 30.0
"""Seconds after which what was taken up and not finished is taken up again."""
_PATIENCE: Final = 120.0
_MOST_TRIES: Final = 12
_LONGEST_GAP: Final = 600.0
_BY_RELAY: Final = "relay:"
_NEVER: Final = frozenset({"cancelled", "failed"})

Mailboxes = Callable[[str], MailboxClient]
"""Gmail as a mailbox sees it, by its address."""


class Papers(Statements):
    """Fetches raw messages into the document store, each once."""

    def __init__(self, pool: Pool, documents: DocumentStore, mailboxes: Mailboxes) -> None:
        super().__init__(pool, patience=_PATIENCE)
        self._documents = documents
        self._mailboxes = mailboxes

    async def collect_due(self) -> int:
        """Fetch what is due; answers how many raw messages were looked for.

        Raises:
            DatabaseError: the database did not come back.
        """
        values = {"most": _MOST, "seconds": _HOLD}
        sent = await self._all(queries.papers_due.sql, values)
        answers = await self._all(queries.answers_due.sql, values)
        await asyncio.gather(*map(self._sent, sent), *map(self._answer, answers))
        return len(sent) + len(answers)

    # What was sent

    async def _sent(self, mail: Mapping[str, Any]) -> None:
        delivery = mail["delivery"]
        if delivery is None or delivery["disposition"] in _NEVER:
            await self._do(queries.paper_never.sql, {"mail": mail["id"]})
        elif delivery["disposition"] != "accepted":
            await self._later(mail, 0.5 if delivery["moving"] else _LONGEST_GAP)
        else:
            await self._fetch_sent(mail, delivery)

    async def _fetch_sent(self, mail: Mapping[str, Any], delivery: Mapping[str, Any]) -> None:
        try:
            raw = await self._sent_raw(delivery)
            message_id = _message_id(raw, mail["token"])
            stored = await self._documents.put(raw)
        except (NotFound, _NotIt) as error:  # it was deleted, or a person settled it: nothing is there to keep
            log.warning("review.paper_gone", mail=mail["id"], error=str(error))
            await self._do(queries.paper_never.sql, {"mail": mail["id"]})
            return
        except (GmailError, DocumentStoreError) as error:
            log.info("review.paper_later", mail=mail["id"], error=str(error))
            await self._later(mail, 5.0)
            return
        await self._one(queries.paper_kept.sql, {"mail": mail["id"], "sha256": stored.sha256, "rfc822_id": message_id})

    async def _sent_raw(self, delivery: Mapping[str, Any]) -> bytes:
        """What left: Gmail's own copy, or what the lane kept where it left by the relay, which keeps none."""
        if not delivery["mailbox"].startswith(_BY_RELAY):
            return await self._raw(delivery["mailbox"], delivery["message_id"])
        if delivery["raw"] is None:
            raise _NotIt("it left by the relay, and the lane kept no copy")
        return await self._documents.get(delivery["raw"])

    async def _later(self, mail: Mapping[str, Any], seconds: float) -> None:
        await self._do(queries.paper_later.sql, {"mail": mail["id"], "seconds": seconds})

    # What was answered

    async def _answer(self, paper: Mapping[str, Any]) -> None:
        named = {"review": paper["review_id"], "mailbox": paper["mailbox"], "message": paper["message_id"]}
        try:
            stored = await self._documents.put(await self._raw(paper["mailbox"], paper["message_id"]))
        except (NotFound, _NotIt) as error:
            await self._do(queries.answer_later.sql, {**named, "failure": str(error), "seconds": None})
        except (GmailError, DocumentStoreError) as error:
            gap = None if paper["tries"] >= _MOST_TRIES else min(2.0 ** paper["tries"], _LONGEST_GAP)
            await self._do(queries.answer_later.sql, {**named, "failure": str(error), "seconds": gap})
        else:
            await self._one(queries.answer_kept.sql, {**named, "sha256": stored.sha256})

    async def _raw(self, mailbox: str, message_id: str) -> bytes:
        message = await self._mailboxes(mailbox).get_message(message_id, "raw")
        if message.raw is None:
            raise _NotIt(f"Gmail gave message {message_id} without its content")
        return message.raw


class _NotIt(Exception):
    """What was fetched is not what it should be."""


def _message_id(raw: bytes, token: str) -> str | None:
    """The Message-ID of a sent message that must be this delivery's; without its brackets."""
    headers = read_headers(raw)
    if (headers.get(HEADER_DELIVERY) or "").strip() != token:
        raise _NotIt(f"the message is not delivery {token}")
    return (headers.get("Message-ID") or "").strip().removeprefix("<").removesuffix(">") or None
