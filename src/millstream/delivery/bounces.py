"""What bounces add up to: an address that nothing is sent to any more, and a run that pauses itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from millstream.communication.model import Policy
from millstream.delivery.sighted import Sighted, Told, Trail, queries, raise_event
from millstream.delivery.suppression import suppress
from millstream.log import get_logger
from millstream.mime.people import lower
from millstream.storage.pool import Connection

log = get_logger(__name__)

_TELLING = 500
_FINE = 100
"""A run's rate is looked at for each of its first bounces, then for each hundredth part more: counting costs."""


@dataclass(frozen=True, slots=True)
class BounceRules:
    """When bounces have consequences beyond their own delivery."""

    soft_bounces: int = 3
    """So many deliveries to an address that bounced in a row suppress it, whatever their reason."""
    soft_days: int = 30
    """The days within which they count."""
    limit: float = 0.05
    """The share of accepted deliveries of a run that may bounce for good; 1 is never passed."""
    limit_after: int = 50
    """A run with fewer accepted deliveries does not pause itself."""


async def suppress_for(conn: Connection, told: Told, sighted: Sighted, *, rules: BounceRules) -> bool:
    """Suppress the delivery's address in its stream where this bounce, or those in a row with it, ask for that.

    A mail server that names another address than ours speaks of one behind it (a forward, a list): that counts as a
    bounce, and is no proof that ours is dead. Answers whether the address was put on the list now.
    """
    ours = not told.recipient or lower(told.recipient) == lower(sighted.address)
    if told.kind == "bounced_hard" and told.address_is_bad and ours:
        detail = f"its mail server says that it takes no mail: {told.words}"
    else:
        row = await queries.bounces_in_a_row(conn, address=sighted.address, stream=sighted.stream, days=rules.soft_days)
        if row["bounces"] < rules.soft_bounces:
            return False
        detail = f"{row['bounces']} deliveries in a row bounced within {rules.soft_days} days, the last: {told.words}"
    return await suppress(
        conn,
        sighted.address,
        stream=sighted.stream,
        reason=told.kind,
        detail=detail[:_TELLING],
        subject=f"delivery:{told.token}",
    )


async def check_run(conn: Connection, run_id: int, *, rules: BounceRules, trail: Trail) -> None:
    """Pause an open run whose hard bounces pass its limit.

    Who resumes it knows of the bounces until then: it pauses itself again when they have doubled since, and their share
    still is above the limit.
    """
    run = await queries.bounces_of_run(conn, run_id=run_id)
    if run is None:
        return
    bounced, own = int(run["bounced"]), Policy.from_json(run["policy"]).bounce_limit
    limit = rules.limit if own is None else own
    if not bounced or bounced < 2 * run["known"] or bounced % max(1, bounced // _FINE):
        return
    most = math.floor(bounced / limit) + 1 if limit > 0 else None  # as many accepted ones keep the share in the limit
    accepted = int((await queries.accepted_up_to(conn, run_id=run_id, most=most))["accepted"])
    if accepted < rules.limit_after or bounced <= limit * accepted:
        return
    reason = (
        f"{bounced:,} of {accepted:,} accepted deliveries bounced ({bounced / accepted:.1%}); its limit is {limit:.1%}"
    )
    paused = await queries.pause_run(conn, run_id=run_id, reason=reason)
    if paused is None:
        return
    log.warning("run.paused", run=run["key"], bounced=bounced, accepted=accepted, limit=limit)
    facts = {"bounced": bounced, "accepted": accepted, "limit": limit, "reason": reason}
    trail.add("run.paused", f"run:{run['key']}", **facts)
    await raise_event(conn, "run.paused", f"run:{run['key']}", {"run": run["key"], **facts})
