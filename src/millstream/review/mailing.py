"""The outbox of reviews: what somebody is to be told becomes a communication like any other, once.

The communication's key is the mail's number, so whatever dies on the way, the next one finds what is there already.
From then on the lanes carry it, with all that they promise (docs/decisions/0021).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiosql

from millstream.communication.errors import CommunicationError
from millstream.communication.model import Communication, LetterHints, Mode, Policy, Recipient, Road, RoadChoice
from millstream.communication.store import REVIEW_RUNS, RunStore
from millstream.composer import ComposerError
from millstream.composer.mail import RenderedMail
from millstream.drill import Drill
from millstream.log import get_logger
from millstream.review import markup, render
from millstream.review.asked import Mail, mail_of
from millstream.review.options import Point, ReviewOptions
from millstream.review.policy import ALWAYS, Calendar
from millstream.review.ports import Clock, DocumentStore
from millstream.review.showing import Showing, Shown
from millstream.review.threads import RETRY, Place, place
from millstream.storage.errors import (
    DatabaseAway,
    DatabaseBusy,
    DatabaseFull,
    DatabaseRefused,
    StorageError,
    StoreAway,
    StoreFull,
    StoreRefused,
)
from millstream.storage.pool import Pool, transaction
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("mails.sql"), "apsycopg", mandatory_parameters=False)
log = get_logger(__name__)

TICK: Final = 0.25
TYPE: Final = "review"
STREAM: Final = "review"
RUN_POLICY: Final = Policy(bounce_limit=1.0)
"""One reviewer's address that bounces stops no other's question."""
_ON_RELAY: Final = "-relay"
"""A run's policy stays as it was opened: the month in which the road changes has two."""
_MOST: Final = 8
_LONGEST_GAP: Final = 300.0
_MOST_DOUBLINGS: Final = 16
_TEMPORARY: Final = (DatabaseAway, DatabaseBusy, DatabaseFull, DatabaseRefused, StoreAway, StoreFull, StoreRefused)
"""Nothing is wrong with the mail: an outage of an hour must not cost a question."""
_PATIENCE: Final = 120.0


class Mailing(Statements):
    """Turns due mails of the outbox into communications."""

    def __init__(
        self,
        pool: Pool,
        documents: DocumentStore,
        options: ReviewOptions,
        *,
        calendars: Mapping[str, Calendar] | None = None,
        mode: Mode = Mode.DRAFT,
        clock: Clock | None = None,
    ) -> None:
        """Make one for a process.

        Args:
            pool: the database.
            documents: where papers and pictures lie.
            options: pool of senders, pages, lease, tries.
            calendars: of the policies; they say in which time zone a deadline is told.
            mode: how review runs leave, `direct` for tenants that grant no drafts.
            clock: what time it is; of tests.
        """
        super().__init__(pool, patience=_PATIENCE)
        self._documents = documents
        self._options = options
        self._zones = zones_of(calendars or {})
        self._mode = mode
        self._now = clock or _now
        self._since = self._now()
        self._runs = RunStore(pool, reviews=True)
        self._policy = RUN_POLICY
        if options.road is Road.RELAY:
            self._policy = replace(RUN_POLICY, road=RoadChoice.RELAY, unclear=options.unclear)
        self._offer = render.Offer(pages=options.base_url is not None, languages=options.languages)
        self._showing = Showing(documents, pages=self._offer.pages)
        self._drill = Drill(options.drill, Point)
        self._marked = options.markup and options.road is Road.RELAY
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"

    async def send_due(self) -> int:
        """Make communications of what is due; answers how many mails were looked at.

        Raises:
            DatabaseError: the database did not come back.
        """
        seen = 0
        await self._do(queries.full_bundles.sql, {})
        while True:
            values = {"holder": self._holder, "most": _MOST, "seconds": self._options.lease}
            rows = await self._all(queries.claim.sql, values)
            await asyncio.gather(*(self._send(row) for row in rows))
            seen += len(rows)
            if len(rows) < _MOST:
                return seen

    async def rendered(self, mail_id: int) -> tuple[RenderedMail, render.Extras] | None:
        """A mail as it would be written now, with its optional parts; None where there is none such."""
        row = await self._one("SELECT * FROM review_mail WHERE id = %(mail)s", {"mail": mail_id})
        if row is None:
            return None
        mail = await self._gathered(row)
        written = await asyncio.to_thread(self._written, mail, await self._shown(mail), None)
        return written, render.extras(mail, offer=self._offer, zones=self._zones)

    async def _send(self, row: Mapping[str, Any]) -> None:
        try:
            await self._send_one(row)
        except (ComposerError, CommunicationError, StorageError, ValueError, KeyError) as error:
            await self._failed(row, error)

    async def _send_one(self, row: Mapping[str, Any]) -> None:
        if row["kind"] == "ask":
            row = await self._bundled(row)
        mail = await self._gathered(row)
        by_relay = self._options.road is Road.RELAY
        earlier = await self._all(queries.earlier.sql, _of(mail))
        where = place(earlier, now=self._now(), since=self._since, by_relay=by_relay)
        if where is None:
            await self._put_off(mail.id, RETRY)
            return
        if why := _needless(mail, where):
            await self._tried(mail.id, why, None)
            return
        if mail.kind == "bundle":  # numbers stay as they are: what was settled meanwhile is a gap
            mail = replace(mail, cases=tuple(case for case in mail.cases if case.waits_for_reader))
        await self._hand_over(mail, where)

    async def _hand_over(self, mail: Mail, where: Place) -> None:
        shown = await self._shown(mail)
        written = await asyncio.to_thread(self._written, mail, shown, where.subject)
        letter = replace(where.hints, inline=tuple(each.inlined for show in shown for each in show.pictures))
        if await self._one(queries.still_mine.sql, {"mail": mail.id, "holder": self._holder}) is None:
            return
        self._drill.passes(Point.BEFORE_MAIL)
        by_relay = self._options.road is Road.RELAY
        if by_relay and self._options.amp:
            letter = replace(letter, amp=render.extras(mail, offer=self._offer, zones=self._zones).amp)
        run_key = f"{REVIEW_RUNS}{mail.created_at.astimezone(UTC):%Y-%m}{_ON_RELAY if by_relay else ''}"
        run = await self._runs.open_run(
            run_key, pool=self._options.pool, mode=self._mode, policy=self._policy, source="reviews"
        )
        communication = replace(
            _communication(mail, written, shown, letter), only_road=Road.RELAY if by_relay else None
        )
        await self._runs.add(run, [communication])
        self._drill.passes(Point.AFTER_MAIL_BEFORE_NOTE)
        found = await self._one(queries.token_of.sql, {"run": run_key, "key": communication.key})
        if found is None:
            raise KeyError(f"mail {mail.id} of a review is no delivery, though it was added to run {run_key}")
        await self._one(queries.sent.sql, {"mail": mail.id, "token": found["token"]})

    async def _bundled(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """An ask under a policy that bundles takes along what waits for the same person; answers the mail as it is."""
        [case, *_] = await self._all(queries.cases.sql, {"mail": row["id"]}) or [{}]
        bundle = ((case.get("terms") or {}).get("mail") or {}).get("bundle")
        if not bundle or row["tries"]:
            return row
        values = {"mail": row["id"], "address": row["address"], "policy": case["policy"], "most": bundle["most"]}
        async with transaction(self._pool) as conn:
            done = await (await conn.execute(queries.bundle.sql, values)).fetchone()
            if done is None or not done["turned"]:
                return row
            await conn.execute(queries.number_cases.sql, {"mail": row["id"]})
        return {**row, "kind": "bundle", "thread": f"bundle:{row['id']}"}

    async def _gathered(self, row: Mapping[str, Any]) -> Mail:
        cases = await self._all(queries.cases.sql, {"mail": row["id"]})
        if not cases:
            raise KeyError(f"mail {row['id']} names no review")
        return mail_of(row, cases)

    async def _shown(self, mail: Mail) -> list[Shown]:
        """What of the documents is to be seen, for each case."""
        if mail.kind not in {"ask", "climb", "bundle"}:
            return [Shown() for _ in mail.cases]
        words = render.words_for(mail)
        if mail.kind != "bundle":
            return [await self._showing.show(case, words) for case in mail.cases]
        shown, room = [], min(case.policy.mail.attach_below for case in mail.cases)
        for case in mail.cases:
            shown.append(await self._showing.show(case, words, room=room))
            room -= sum(document.size for document in shown[-1].attached)
        return shown

    def _written(self, mail: Mail, shown: list[Shown], subject: str | None) -> RenderedMail:
        written = render.write(mail, shown, offer=self._offer, zones=self._zones, subject=subject)
        said = render.extras(mail, offer=self._offer, zones=self._zones).markup if self._marked else None
        return written if said is None else replace(written, html=markup.embedded(written.html, said))

    async def _failed(self, row: Mapping[str, Any], error: Exception) -> None:
        """It is tried again, later each time; after so many times it is put aside, unless waiting alone can help."""
        tries = row["tries"] + 1
        again = isinstance(error, _TEMPORARY) or tries < self._options.most_tries
        log.warning("review.mail_failed", mail=row["id"], tries=tries, again=again, error=str(error))
        failure = f"{type(error).__name__}: {error}"
        if again:
            await self._tried(row["id"], failure, min(2.0 ** min(tries, _MOST_DOUBLINGS), _LONGEST_GAP))
        else:
            values = {"mail": row["id"], "failure": _legible(failure), "holder": self._holder}
            await self._do(queries.give_up.sql, values)

    async def _tried(self, mail: int, failure: str, seconds: float | None) -> None:
        values = {"mail": mail, "failure": _legible(failure), "seconds": seconds, "holder": self._holder}
        await self._do(queries.tried.sql, values)

    async def _put_off(self, mail: int, seconds: float) -> None:
        await self._do(queries.put_off.sql, {"mail": mail, "seconds": seconds, "holder": self._holder})


def _legible(failure: str) -> str:
    return failure.replace("\x00", "").encode("utf-8", "replace").decode()[:1000]


def zones_of(calendars: Mapping[str, Calendar]) -> render.Zones:
    """Time zones by calendars' names; UTC for `always` and for a calendar that is no more."""

    def zone(name: str) -> tzinfo:
        calendar = calendars.get(name)
        return UTC if name == ALWAYS or calendar is None else ZoneInfo(calendar.time_zone)

    return zone


def _needless(mail: Mail, where: Place) -> str | None:
    """Why a mail is not to be sent any more; None: it is."""
    if mail.kind in {"ask", "remind", "climb"} and not mail.cases[0].waits_for_reader:
        return "not sent: it was settled before"
    if mail.kind == "bundle" and not any(case.waits_for_reader for case in mail.cases):
        return "not sent: all of it was settled before"
    if mail.kind == "tell" and not where.asked:
        return "not sent: its reader was never asked"
    return None


def _communication(mail: Mail, written: RenderedMail, shown: list[Shown], letter: LetterHints) -> Communication:
    key = f"review/{mail.id}"
    return Communication(
        key=key,
        type=TYPE,
        customer=mail.address,
        recipient=Recipient(mail.address, mail.name),
        subject=written.subject,
        text=written.text,
        html=written.html,
        locale=render.words_for(mail).tag,
        stream=STREAM,
        source_hash=hashlib.sha256(key.encode()).hexdigest(),
        documents=tuple(document for show in shown for document in show.attached),
        source={"reviews": [case.id for case in mail.cases], "kind": mail.kind},
        letter=letter,
    )


def _of(mail: Mail) -> dict[str, Any]:
    return {"mail": mail.id, "address": mail.address, "thread": mail.thread}


def _now() -> datetime:
    return datetime.now(UTC)
