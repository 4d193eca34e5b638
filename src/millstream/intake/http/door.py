"""The HTTP door: what is posted is durable before it is answered, and the same again is answered the same."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from millstream.intake.consignment import Accepted, Door, Offer, Receiving
from millstream.intake.errors import IntakeError, UnknownConsignment
from millstream.intake.http.callers import Callers
from millstream.intake.http.enclosing import read_enclosed
from millstream.intake.http.errors import Away, Refused, TooLarge, WrongKind
from millstream.intake.http.laying import Laying, away
from millstream.intake.http.options import HttpOptions
from millstream.intake.http.parameters import Head, RunWish, run_wish
from millstream.intake.http.reading import Brought, Held, read_communication, read_run
from millstream.intake.spool import Spool
from millstream.log import get_logger
from millstream.mime.charset import one_line
from millstream.storage.errors import DatabaseError

log = get_logger(__name__)

_CREATED = 201
_ACCEPTED = 202
_OK = 200
_CONFLICT = 409
_UNFIT = 422
_LONGEST_RUN = 200
_AGAIN_SECONDS = "2"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to reply."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Consignments(Protocol):
    """The part of `consignments.ConsignmentStore` by which callers ask for what they handed in."""

    async def find(self, number: int) -> dict[str, Any]:
        """One, as the store has it. Raises UnknownConsignment."""


class HttpDoor:
    """What answers requests, whatever brings them; the web room does."""

    def __init__(self, options: HttpOptions, receiving: Receiving, spool: Spool, consignments: Consignments) -> None:
        self.options = options
        self._callers = Callers(options.tokens)
        self._receiving = receiving
        self._spool = spool
        self._consignments = consignments
        self._held = Held(options.most_held_bytes)
        self._promising: set[asyncio.Task[Accepted]] = set()

    def caller(self, authorization: str | None) -> str:
        """Who asks. Raises Refused, before a byte of the body is read."""
        return self._callers.name(authorization)

    async def run(self, head: Head, stream: AsyncIterator[bytes]) -> Answer:
        """Take a run in.

        Raises:
            Refused: it is not taken; with the status and the reason.
        """
        wish = run_wish(head, self.options, strict=True)
        self._check_length(head)
        async with self._laying() as laying:
            brought = await self._read(read_run(stream, head, laying))
            name, offer = self._offer(head, wish, brought, "run")
            offer = replace(offer, run_key=wish.key or _cut(f"http/{head.caller}/{name}"))
            accepted = await self._promised(offer, brought, laying.release())
        return await self._answer(accepted, offer, wish)

    async def communication(self, head: Head, stream: AsyncIterator[bytes]) -> Answer:
        """Take one communication in.

        Raises:
            Refused: it is not taken; with the status and the reason.
        """
        wish = run_wish(head, self.options, strict=False)
        self._check_length(head)
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        if head.content_type.lower().startswith("multipart/"):
            async with self._laying() as laying:
                brought = await self._read(read_enclosed(stream, head, self.options, self._held, laying))
                _, offer = self._offer(head, wish, brought, "communication")
                offer = replace(offer, run_key=wish.key or _cut(f"http/{head.caller}/{today}"))
                accepted = await self._promised(offer, brought, laying.release())
        else:
            brought = await self._read(read_communication(stream, head, self.options, self._held))
            _, offer = self._offer(head, wish, brought, "communication")
            offer = replace(offer, run_key=wish.key or _cut(f"http/{head.caller}/{today}"))
            accepted = await self._promised(offer, brought, None)
        return await self._answer(accepted, offer, wish, single=True)

    async def standing(self, caller: str, number: int) -> Answer:
        """How a consignment of this caller stands; those of others are none. Raises Refused."""
        try:
            row = await self._consignments.find(number)
        except UnknownConsignment:
            row = None
        except DatabaseError as error:
            raise Away("the ledger cannot be asked now") from error
        if row is None or row["door"] != Door.HTTP or not row["key"].startswith(_own(caller)):
            raise Refused(f"there is no consignment {number} of yours", status=404)
        accepted = Accepted(
            row["id"], new=False, state=row["state"], receipt=row["receipt"], problem=row["problem"],
            run_key=row["run_key"],
        )  # fmt: skip
        return Answer(_OK, _body(accepted))

    def _laying(self) -> Laying:
        return Laying(self._spool, most_bytes=self.options.most_bytes, most_files=self.options.most_files)

    def _check_length(self, head: Head) -> None:
        packed = head.headers.get("content-encoding", "").strip().lower()
        if packed not in ("", "identity"):
            # As a page or a document its bytes would be sent as they are.
            raise WrongKind(f"a body packed with {packed[:20]} is not taken here; send it as it is")
        told = head.headers.get("content-length", "")
        if told.isdecimal() and int(told) > self.options.most_bytes:
            raise TooLarge(f"a request may have {self.options.most_bytes:,} bytes")

    async def _read(self, reading: Any) -> Brought:
        try:
            async with asyncio.timeout(self.options.read_seconds):
                brought: Brought = await reading
                return brought
        except TimeoutError:
            raise Refused("the body did not come whole in time", status=408) from None

    def _offer(self, head: Head, wish: RunWish, brought: Brought, what: str) -> tuple[str, Offer]:
        """What names it among its caller's, and the offer but for its run and its place."""
        digest = hashlib.sha256(f"{what}\n{wish.told()}\n{brought.digest}".encode()).hexdigest()
        name = head.idempotency_key or digest
        key = f"{_own(head.caller)}{name}"
        return name, Offer(
            door=Door.HTTP,
            key=key,
            digest=digest,
            kind=brought.kind,
            place="",
            size=brought.size,
            run_key="",
            pool=wish.pool,
            mode=wish.mode,
            policy=wish.policy,
            facts={"caller": head.caller},
            source=f"http {head.caller}",
        )

    async def _promised(self, offer: Offer, brought: Brought, folder: Path | None) -> Accepted:
        """Make it durable. What came whole is kept also when its caller leaves now: it may come again."""
        promise = self._kept(offer, brought, folder) if folder else self._receiving.receive(offer, brought.content)
        task = asyncio.create_task(_settling(promise))
        self._promising.add(task)
        task.add_done_callback(self._promising.discard)
        try:
            accepted = await asyncio.shield(task)
        except IntakeError as error:
            log.warning("http.not_taken", caller=offer.facts["caller"], why=str(error))
            raise away(error) from error
        if accepted.conflict:
            raise Refused(
                f"consignment {accepted.id} came in under the same Idempotency-Key with other content; "
                "give this one a key of its own",
                status=_CONFLICT,
            )
        return accepted

    async def _kept(self, offer: Offer, brought: Brought, folder: Path) -> Accepted:
        # One name for the same content under the same key: a request that is repeated because its answer was lost,
        # or because the database was, finds its own folder there, whichever of the two the ledger names.
        name = hashlib.sha256(f"{offer.key}\n{offer.digest}".encode()).hexdigest()[:40]
        kept = await asyncio.to_thread(self._spool.keep, folder, name)
        accepted = await self._receiving.receive(replace(offer, place=f"file:{kept / brought.path}"))
        if accepted.conflict or (not accepted.new and accepted.state == "taken"):
            await asyncio.to_thread(self._spool.drop, kept)
        return accepted

    async def _answer(self, accepted: Accepted, offer: Offer, wish: RunWish, *, single: bool = False) -> Answer:
        """How it stands, after waiting a while for it to be taken."""
        if accepted.state == "received" and wish.wait > 0:
            try:
                standing = await self._receiving.settled(accepted.id, within=wish.wait)
                accepted = replace(standing, new=accepted.new)
            except IntakeError as error:
                # It is ours all the same: that was promised already.
                log.warning("http.not_seen", consignment=accepted.id, why=str(error))
        if not accepted.run_key:
            accepted = replace(accepted, run_key=offer.run_key)
        headers = {"Location": f"/api/v1/consignments/{accepted.id}"}
        if not accepted.new:
            headers["Idempotency-Replayed"] = "true"
        if accepted.state == "received":
            return Answer(_ACCEPTED, _body(accepted), {**headers, "Retry-After": _AGAIN_SECONDS})
        return Answer(_status(accepted, single=single), _body(accepted), headers)


async def _settling(promise: Any) -> Accepted:
    accepted: Accepted = await promise
    return accepted


def _status(accepted: Accepted, *, single: bool) -> int:
    if accepted.state == "failed":
        return _UNFIT
    receipt = accepted.receipt or {}
    if single and receipt.get("conflicts"):
        return _CONFLICT
    return _UNFIT if single and receipt.get("rejected") else _CREATED


def _body(accepted: Accepted) -> dict[str, Any]:
    told: dict[str, Any] = {
        "consignment": accepted.id,
        "state": accepted.state,
        "run": accepted.run_key,
        "receipt": dict(accepted.receipt) if accepted.receipt is not None else None,
    }
    if accepted.problem:
        told["error"] = accepted.problem
    return told


def _own(caller: str) -> str:
    """How the keys of a caller's consignments begin; nobody else's begin so."""
    return f"{quote(caller, safe='')}/"


def _cut(run_key: str) -> str:
    """A run's key of at most 200 characters on one line."""
    if len(run_key) <= _LONGEST_RUN:
        return one_line(run_key, _LONGEST_RUN)
    return f"{run_key[:100]}/{hashlib.sha256(run_key.encode()).hexdigest()[:32]}"
