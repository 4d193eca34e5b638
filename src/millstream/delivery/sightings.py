"""What a mailbox tells us about a delivery has consequences: marks, suppression, a take-back, a paused run.

Each answer works within the transaction it is given. What was sighted is an axis of its own, and twice a
disposition changes by it: Gmail's limit notice says that an accepted message was not sent (docs/decisions/0012), and a
bounce or an answer says that one whose reply the relay lost was taken (docs/decisions/0032).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from millstream.delivery.bounces import BounceRules, check_run, suppress_for
from millstream.delivery.errors import SendUnsettled
from millstream.delivery.options import UNREACHABLE
from millstream.delivery.sighted import Sighted, Told, Trail, queries, raise_event
from millstream.log import get_logger
from millstream.storage.pool import Connection

log = get_logger(__name__)

KINDS: Final = (
    "sighting.bounced_hard",
    "sighting.bounced_soft",
    "sighting.delayed",
    "sighting.limit_notice",
    "sighting.replied",
    "sighting.auto_replied",
)
_NEED_PROOF: Final = frozenset({"bounced_hard", "bounced_soft", "delayed", "limit_notice"})
_GUESSED: Final = "recipient"


class SightingEvent(Protocol):
    """An event as `work` hands it out."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    @property
    def subject(self) -> str:
        """`delivery:<token>`."""
        ...

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the mailbox room wrote: see `Told`."""
        ...

    @property
    def at(self) -> datetime:
        """When it was written."""
        ...


@dataclass(frozen=True, slots=True)
class SightingRules:
    """What follows from what."""

    sending_park: float = 86_400.0
    """Seconds a mailbox rests after Gmail's limit notice."""
    bounces: BounceRules = field(default_factory=BounceRules)


class Sightings:
    """The delivery room's answers to what mailboxes tell."""

    def __init__(self, rules: SightingRules) -> None:
        self._rules = rules

    def listeners(self) -> dict[str, Callable[[Connection, SightingEvent], Awaitable[None]]]:
        """Kind of event to who answers it, for `work.events.Events`."""
        return dict.fromkeys(KINDS, self.answer)

    async def answer(self, conn: Connection, event: SightingEvent) -> None:
        """Do what a sighting asks for. One that is forged, or about nothing of ours, changes nothing.

        Raises:
            SendUnsettled: a limit notice came while its send is unsettled; answer it again later.
        """
        told = Told.of(event.kind, event.subject, event.payload, event.at)
        if event.kind not in KINDS or not told.token or (told.kind in _NEED_PROOF and not told.proven):
            return
        if told.kind == "limit_notice":
            # The lane before its delivery, which is the order in which a lane locks.
            await queries.lock_lane(conn, mailbox=told.mailbox)
        row = await queries.mark_sighted(conn, token=told.token, kind=told.kind)
        if row is None:
            log.warning("sighting.unknown_delivery", token=told.token, kind=told.kind, sighting=told.sighting)
            return
        trail = Trail()
        sighted = Sighted(**row)
        if sighted.fresh:
            trail.sighted(told)
        if told.kind == "limit_notice":
            await self._take_back(conn, told, trail)
        elif told.proven and told.mapped_by != _GUESSED:
            await _settle(conn, told, trail)
        if told.kind in {"bounced_hard", "bounced_soft"}:
            await self._bounced(conn, told, sighted, trail)
        await trail.write(conn)

    async def _bounced(self, conn: Connection, told: Told, sighted: Sighted, trail: Trail) -> None:
        hard, rules = told.kind == "bounced_hard", self._rules.bounces
        suppressed = await suppress_for(conn, told, sighted, rules=rules)
        if suppressed or (hard and sighted.fresh):
            facts = {**_facts(told, sighted), "suppressed": suppressed}
            await raise_event(conn, "delivery.bounced", f"delivery:{told.token}", facts)
        if hard and sighted.fresh:
            await check_run(conn, sighted.run_id, rules=rules, trail=trail)

    async def _take_back(self, conn: Connection, told: Told, trail: Trail) -> None:
        detail = f"Gmail took the message and then said that {told.mailbox} has reached its limit: it was not sent"
        taken = await queries.take_back(
            conn,
            token=told.token,
            mailbox=told.mailbox,
            thread_id=told.thread_id,
            received_at=told.received_at,
            detail=detail,
            message_id=told.message_id,
        )
        if taken is None:
            if await queries.unsettled_send(conn, token=told.token, mailbox=told.mailbox):
                raise SendUnsettled(
                    f"Gmail says that {told.mailbox} has reached its limit, while the send of delivery {told.token} is "
                    "not settled; the notice is answered again when it is"
                )
            return
        trail.add(
            "delivery.queued", f"delivery:{told.token}", was=taken["was"], by="notice", message=taken["message_id"]
        )
        parked = await queries.park_for_notice(
            conn,
            mailbox=told.mailbox,
            received_at=told.received_at,
            seconds=self._rules.sending_park,
            unreachable=list(UNREACHABLE),
        )
        if parked is not None:
            log.warning("lane.parked", mailbox=told.mailbox, reason="limit_notice", until=parked["until"])
            trail.add("lane.parked", f"lane:{told.mailbox}", reason="limit_notice", until=parked["until"])


async def _settle(conn: Connection, told: Told, trail: Trail) -> None:
    """What was bounced, put off or answered was taken: the relay's lost reply is found, and nothing is sent again."""
    settled = await queries.settle_by_sighting(
        conn, token=told.token, received_at=told.received_at, evidence=f"{told.kind}:{told.message_id}"
    )
    if settled is not None:
        log.info("delivery.settled", token=told.token, by=told.kind, sighting=told.sighting)
        trail.add(
            "delivery.accepted",
            f"delivery:{told.token}",
            was=settled["was"],
            by="sighting",
            sighting=told.sighting,
            message=settled["message_id"],
        )


def _facts(told: Told, sighted: Sighted) -> dict[str, Any]:
    """What `delivery.bounced` tells other rooms."""
    return {
        "delivery": told.token,
        "run": sighted.run,
        "communication": sighted.key,
        "customer": sighted.customer,
        "type": sighted.type,
        "stream": sighted.stream,
        "address": sighted.address,
        "mailbox": told.mailbox,
        "bounce": told.kind.removeprefix("bounced_"),
        "status": told.status,
        "diagnostic": told.diagnostic,
        "remote_mta": told.remote_mta,
        "address_is_bad": told.address_is_bad,
        "sighting": told.sighting,
        "received_at": told.received_at.isoformat(),
    }
