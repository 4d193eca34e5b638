"""One look into one mailbox: what it shows since the cursor is read, recorded once, and then the cursor moves.

Killed anywhere, the next look lists from the same cursor and finds what is recorded already by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from millstream.drill import Drill
from millstream.gmail.client import MailboxClient
from millstream.gmail.errors import (
    BadRequest,
    GmailError,
    HistoryExpired,
    NotFound,
    PageTokenInvalid,
    PayloadTooLarge,
    Refused,
    ScopeMissing,
    ServerError,
    TimedOut,
    Unreadable,
)
from millstream.gmail.model import Message, MessageRef
from millstream.log import get_logger
from millstream.mailbox.meter import ReadingMeter
from millstream.mailbox.model import Cursor, Kind, Lease, Outcome, Phase, SetAside, Sighting
from millstream.mailbox.options import Point, ReadingOptions
from millstream.mailbox.sight import Finder, Found, sighting_of, young_daemon
from millstream.mailbox.store import MailboxStore
from millstream.mime import MailKind, Reading, read
from millstream.storage.errors import StorageError

log = get_logger(__name__)

_CHUNK = 16
_LARGE = 1_000_000
_MOST_IDS = 2
"""Message-IDs that are searched for where nothing else maps a message."""
_NOT_OURS = frozenset({"SENT", "DRAFT", "CHAT"})
_MOST_REPEATS = 3
"""A page that comes again names the token it was asked for (lieer #24); one that never ends must not hold us."""
_AGAIN_SOON = 2.0
_OF_ONE_MESSAGE = (BadRequest, PayloadTooLarge, ServerError, TimedOut, Unreadable)
"""Failures that may be this message's alone; any other is the mailbox's or the network's."""


Result = Sighting | SetAside | GmailError | StorageError | None
"""What became of one message; None: it is too young to be judged."""


class Stored(Protocol):
    """A document at rest."""

    @property
    def sha256(self) -> str:
        """SHA-256 hex of its bytes, under which it lies."""


class Documents(Protocol):
    """Where the source of what cannot be read is kept."""

    async def put(self, content: bytes, /) -> Stored:
        """Keep it under its hash."""

    async def flush(self) -> None:
        """Return when it survives a power failure."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every look of a process works with."""

    store: MailboxStore
    find: Finder
    documents: Documents
    options: ReadingOptions
    drill: Drill
    troubles: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often a message could not be fetched, by mailbox and id."""
    headers_only: set[str] = field(default_factory=set)
    """Mailboxes whose scopes show headers and no bodies."""


class Look:
    """One look, from the lease to its outcome.

    Whatever `run` raises, what was recorded before stays.
    """

    def __init__(self, lease: Lease, mail: MailboxClient, meter: ReadingMeter, tools: Tools) -> None:
        self._lease = lease
        self._mail = mail
        self._meter = meter
        self._tools = tools
        self._options = tools.options
        self._found = 0
        self._young = False
        self.cursor = lease.cursor

    @property
    def found(self) -> int:
        """Messages that were recorded or put aside by this look."""
        return self._found

    def bill(self) -> int:
        """Units spent and not yet recorded."""
        return self._meter.bill()

    async def run(self) -> Outcome:
        """Read what is there.

        Raises:
            GmailError: the mailbox could not be read to the end.
            StorageError: the database or the document store does not take what was read.
            LeaseLost: another process reads it now.
        """
        if self.cursor.phase is Phase.DELTA:
            try:
                return await self._delta()
            except HistoryExpired as error:
                log.warning("mailbox.history_expired", mailbox=self._lease.address, error=str(error))
                await self._begin(since=self._after_expiry())
        if self.cursor.phase is Phase.NEW:
            await self._begin(since=self.cursor.since or _now() - timedelta(seconds=self._options.lookback))
        await self._snapshot()
        return await self._delta()

    # Snapshot

    async def _begin(self, *, since: datetime) -> None:
        profile = await self._mail.profile()
        self.cursor = self.cursor.begun(profile.history_id, since=since)
        await self._record([], [], cursor=self.cursor)
        self._tools.drill.passes(Point.BEFORE_SNAPSHOT)

    def _after_expiry(self) -> datetime:
        """Everything until the last complete look is recorded; a day more costs little and covers clocks."""
        moved = self._lease.moved_at
        first = _now() - timedelta(seconds=self._options.lookback)
        return min(moved - timedelta(days=1), first) if moved else self.cursor.since or first

    async def _snapshot(self) -> None:
        sent = await self._outgoing()
        token, repeats, restarts = self.cursor.page_token, 0, 0
        while True:
            try:
                page = await self._mail.list_messages(page_token=token, include_spam_trash=True)
            except PageTokenInvalid:
                restarts += 1
                if token is None or restarts > _MOST_REPEATS:
                    raise
                token, repeats = None, 0
                continue
            fresh = [ref for ref in page.items if ref.id not in sent]
            over = await self._take(fresh, since=self.cursor.since)
            repeats = repeats + 1 if page.next_page == token else 0
            token = page.next_page
            if over or token is None or repeats > _MOST_REPEATS:
                break
            self.cursor = self.cursor.paged(token)
            await self._record([], [], cursor=self.cursor)
            self._tools.drill.passes(Point.AFTER_SNAPSHOT_PAGE)
        self.cursor = self.cursor.listed()
        await self._record([], [], cursor=self.cursor)
        self._tools.drill.passes(Point.AFTER_SNAPSHOT)

    async def _outgoing(self) -> set[str]:
        """What the mailbox sent or drafts: a list names no labels, and fetching each message to see costs more."""
        found: set[str] = set()
        for label in ("SENT", "DRAFT"):
            token, repeats = None, 0
            while True:
                page = await self._mail.list_messages(label_ids=(label,), page_token=token)
                found.update(ref.id for ref in page.items)
                repeats = repeats + 1 if page.next_page == token else 0
                token = page.next_page
                if token is None or repeats > _MOST_REPEATS:
                    break
        return found

    # Delta

    async def _delta(self) -> Outcome:
        began, start = _now(), self.cursor.history_id or 0
        token: str | None = None
        repeats = restarts = 0
        while True:
            try:
                page = await self._mail.list_history(start, page_token=token)
            except PageTokenInvalid:
                restarts += 1
                if token is None or restarts > _MOST_REPEATS:
                    raise
                token, repeats = None, 0
                continue
            await self._take([ref for ref in page.added if _comes_in(ref)])
            repeats = repeats + 1 if page.next_page == token else 0
            token = page.next_page
            if token is None or repeats > _MOST_REPEATS:
                break
        if not self._young:  # what is too young to be judged is listed again
            self.cursor = self.cursor.looked(page.history_id, at=began, settle=self._options.settle)
        self._tools.drill.passes(Point.AFTER_LOOK_BEFORE_FINISH)
        return Outcome(
            lease=self._lease,
            cursor=self.cursor,
            due_in=_AGAIN_SOON if self._young else 0.0,
            reached=page.history_id,
            found=self._found,
            units=self._meter.bill(),
        )

    # Messages

    async def _take(self, refs: Sequence[MessageRef], *, since: datetime | None = None) -> bool:
        """Read and record messages. With `since`: whether a whole piece was older, so that the rest is older too."""
        by_id = {ref.id: ref for ref in refs}
        unknown = await self._tools.store.unknown(self._lease.address, list(by_id)) if by_id else []
        for start in range(0, len(unknown), _CHUNK):
            ids = unknown[start : start + _CHUNK]
            results = await self._read_all([by_id[each] for each in ids])
            sightings = [each for each in results if isinstance(each, Sighting)]
            self._tools.drill.passes(Point.AFTER_FETCH_BEFORE_RECORD)
            await self._record(sightings, [each for each in results if isinstance(each, SetAside)])
            self._tools.drill.passes(Point.AFTER_RECORD_BEFORE_CURSOR)
            problems = [each for each in results if isinstance(each, GmailError | StorageError)]
            if problems:
                raise problems[0]
            dates = [each.received_at for each in sightings if each.received_at is not None]
            if since is not None and dates and len(dates) == len(ids) and max(dates) < since:
                return True
        return False

    async def _read_all(self, refs: Sequence[MessageRef]) -> list[Result]:
        """Every message for itself: what fails is an answer like any other, and what was read is not lost."""
        gate = asyncio.Semaphore(self._options.concurrency)

        async def one(ref: MessageRef) -> Result:
            async with gate:
                try:
                    return await self._read(ref)
                except (GmailError, StorageError) as error:
                    return error

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(ref)) for ref in refs]
        return [task.result() for task in tasks]

    async def _read(self, ref: MessageRef) -> Sighting | SetAside | None:
        key, troubles = (self._lease.address, ref.id), self._tools.troubles
        try:
            message = await self._fetch(ref.id)
        except NotFound:
            return Sighting(ref.id, ref.thread_id, Kind.VANISHED, labels=ref.label_ids)
        except _OF_ONE_MESSAGE as error:
            troubles[key] = troubles.get(key, 0) + 1
            if troubles[key] < self._options.most_tries:
                raise
            problem = f"it could not be fetched {troubles.pop(key)} times: {error}"
            return SetAside(ref.id, ref.thread_id, problem)
        troubles.pop(key, None)
        return await self._sight(message)

    async def _fetch(self, message_id: str) -> Message:
        """The whole message; its headers alone where the scopes show no more (gmail.metadata)."""
        if self._lease.address not in self._tools.headers_only:
            try:
                return await self._mail.get_message(message_id, format="raw")
            except ScopeMissing:
                message = await self._mail.get_message(message_id)
                self._tools.headers_only.add(self._lease.address)
                log.warning("mailbox.headers_only", mailbox=self._lease.address)
        else:
            message = await self._mail.get_message(message_id)
        head = "".join(f"{name}: {value}\r\n" for name, value in message.headers)
        return replace(message, raw=f"{head}\r\n".encode())

    async def _sight(self, message: Message) -> Sighting | SetAside | None:
        raw = message.raw or b""
        if len(raw) > _LARGE:
            reading = await asyncio.to_thread(read, raw, authserv_ids=self._options.authserv_ids)
        else:
            reading = read(raw, authserv_ids=self._options.authserv_ids)
        if reading.kind is MailKind.UNREADABLE:
            return await self._set_aside(message, raw, reading)
        at = message.internal_date or _now()
        found = None
        if reading.kind not in {MailKind.OWN, MailKind.BULK}:
            clues = reading.clues
            found = await self._tools.find(
                mailbox=self._lease.address, thread_id=message.thread_id, clues=clues, at=at
            ) or await self._search(reading, at)
        if young_daemon(reading, found) and self._is_young(at):
            self._young = True
            return None
        return sighting_of(message, reading, found, self._lease.roles, self._lease.address)

    def _is_young(self, at: datetime) -> bool:
        return self.cursor.phase is Phase.DELTA and _now() - at < timedelta(seconds=self._options.young)

    async def _search(self, reading: Reading, at: datetime) -> Found | None:
        """Gmail gives what it sends a Message-ID that we do not know: ask the mailbox which thread it stands in."""
        for rfc822_id in reading.clues.original_message_ids[:_MOST_IDS]:
            try:
                page = await self._mail.list_messages(query=f"rfc822msgid:{rfc822_id.strip('<>')}", page_size=5)
            except Refused:  # a scope that allows no search
                return None
            for ref in page.items:
                found = await self._tools.find(
                    mailbox=self._lease.address, thread_id=ref.thread_id, clues=reading.clues, at=at
                )
                if found is not None:
                    return found
        return None

    async def _set_aside(self, message: Message, raw: bytes, reading: Reading) -> SetAside:
        source = None
        if raw:
            stored = await self._tools.documents.put(raw)
            await self._tools.documents.flush()
            source = stored.sha256
        return SetAside(message.id, message.thread_id, reading.problem, source=source, size=len(raw))

    async def _record(
        self, sightings: Sequence[Sighting], aside: Sequence[SetAside], *, cursor: Cursor | None = None
    ) -> None:
        if not sightings and not aside and cursor is None:
            return
        done = await self._tools.store.record(self._lease, sightings, aside, cursor=cursor, units=self._meter.bill())
        self._found += done.sightings + done.aside


def _comes_in(ref: MessageRef) -> bool:
    """Whether a message is one that came in; what the mailbox wrote to itself is in SENT and in INBOX."""
    return "INBOX" in ref.label_ids or not _NOT_OURS.intersection(ref.label_ids)


def _now() -> datetime:
    return datetime.now(UTC)
