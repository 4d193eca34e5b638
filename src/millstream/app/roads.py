"""Roads at the edge: what a run means that does not say its road, and which road each of its messages takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from millstream.communication.errors import NoRoad
from millstream.communication.model import Communication, Policy, Road, RoadChoice, Run, Unclear
from millstream.communication.roads import DEFAULT_RULES, RoadFacts, RoadRule, choose
from millstream.config import Settings

_LINE_BREAKS = 78 / 57
"""Bytes on the wire for a byte of a document: base64 in lines of 76 characters and CRLF (RFC 2045, 6.8)."""
_HEADERS = 2_000

GUARANTEES: Mapping[Road, str] = {
    Road.API: "by the API a message is sent at most once: the draft is the token (mode direct: an unclear send is "
    "looked up in SENT)",
    Road.RELAY: "by the relay nothing was sent before the message's final dot, and a 250 to it is accepted; a reply "
    "that is lost between the two leaves it uncertain",
}
"""What each road promises, in a sentence."""
FOLLOWS: Mapping[Unclear, str] = {
    Unclear.HOLD: "after a lost reply a person decides about the message (`communication settle`); nothing is doubled",
    Unclear.AGAIN: "after a lost reply the message is sent again under the same Message-ID: Gmail and many others "
    "drop the second, Exchange shows both; `run show` lists each that was sent again",
}
"""What follows a lost reply of the relay, in a sentence."""
ASKED_FIRST = "the sender's mailbox is asked first, because comprehensive mail storage keeps what was sent"


def relay_on(settings: Settings) -> bool:
    """Whether anything may leave by the relay."""
    return settings.relay.host is not None


def relay_users(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The relay's users by pool; none where there is no relay."""
    return settings.relay.users if relay_on(settings) else {}


def road_defaults(settings: Settings) -> Callable[[Policy], Policy]:
    """Fills in what a run does not say: its road, and what follows a lost reply where the relay may carry it.

    The function raises NoRoad where the run asks for the relay and there is none.
    """
    usual = RoadChoice(settings.delivery.road)
    unclear = Unclear(settings.relay.unclear) if settings.relay.unclear else None
    relay = relay_on(settings)

    def settle(policy: Policy) -> Policy:
        road = policy.road or (usual if usual is not RoadChoice.API else None)
        settled = replace(policy, road=road)
        if Road.RELAY not in settled.roads:
            return settled
        if not relay:
            raise NoRoad(f"the run is to leave by the road {road}, and there is no relay: set relay.host")
        return replace(settled, unclear=policy.unclear or unclear)

    return settle


def needs(choice: RoadChoice) -> frozenset[Road]:
    """The roads that a pool must have mailboxes on, else a part of the run could wait for ever."""
    return frozenset(Road) if choice is RoadChoice.RELAY_THEN_API else choice.roads


def lacking(settings: Settings, pool: str, policy: Policy) -> str | None:
    """Why a run of this pool would wait for ever; None: it would not.

    Raises:
        NoRoad: it asks for the relay and there is none.
    """
    choice = road_defaults(settings)(policy).road or RoadChoice.API
    wanted = needs(choice)
    if Road.API in wanted and any(settings.senders.pools.values()) and not settings.senders.pools.get(pool):
        return f"pool {pool!r} has no mailboxes; senders.pools has {', '.join(settings.senders.pools)}"
    if Road.RELAY in wanted and not relay_users(settings).get(pool):
        return f"pool {pool!r} has no users of the relay; relay.users has {', '.join(relay_users(settings))}"
    return None


def road_rules(settings: Settings) -> tuple[RoadRule, ...]:
    """The rules of `delivery.road = "auto"`."""
    return (
        tuple(
            RoadRule(
                road=Road(rule.road),
                stream=rule.stream,
                type=rule.type,
                run_at_least=rule.run_at_least,
                bytes_at_least=rule.bytes_at_least,
                bytes_at_most=rule.bytes_at_most,
                sensitivity=rule.sensitivity,
            )
            for rule in settings.relay.rules
        )
        or DEFAULT_RULES
    )


def router(settings: Settings) -> Callable[[Communication, Run], Road | None]:
    """The one road of a communication in a run that has several; None: any of them."""
    rules = road_rules(settings)

    def route(communication: Communication, run: Run) -> Road | None:
        if run.policy.road is not RoadChoice.AUTO:
            return None
        facts = RoadFacts(
            stream=communication.stream,
            type=communication.type,
            run_size=run.expected,
            wire_bytes=wire_bytes(communication),
            sensitivity=communication.sensitivity,
        )
        return choose(rules, facts)

    return route


def wire_bytes(communication: Communication) -> int:
    """About how many bytes a message has as it travels: its documents in base64, its texts and headers."""
    texts = len(communication.text.encode()) + len((communication.html or "").encode())
    return _HEADERS + texts + round(sum(document.size for document in communication.documents) * _LINE_BREAKS)
