"""The relay road at the edge: settings become what rooms ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from millstream.app.options import token_source
from millstream.communication.model import Policy, Road, RoadChoice, Unclear
from millstream.communication.roads import DEFAULT_RULES, RoadRule
from millstream.config import Settings
from millstream.delivery.options import RelayRules
from millstream.gmail.relay import Login, RelayOptions


def relay_on(settings: Settings) -> bool:
    """Whether anything may leave by the relay."""
    return settings.relay.host is not None


def relay_options(settings: Settings) -> RelayOptions | None:
    """Where the relay is; None where there is none.

    Raises:
        BadCredentials: it wants tokens, and what they are made of is not set or cannot be read.
    """
    relay = settings.relay
    if relay.host is None:
        return None
    return RelayOptions(
        host=relay.host,
        port=relay.port,
        implicit_tls=relay.tls == "implicit",
        helo=relay.helo or relay.all_users[0].rpartition("@")[2],
        login=_login(settings),
        certificates=relay.certificates,
        connections=relay.connections,
        messages_per_connection=relay.messages_per_connection,
        idle_seconds=relay.idle_seconds,
        connect_seconds=relay.connect_seconds,
        command_seconds=relay.command_seconds,
        reply_seconds=relay.reply_seconds,
    )


def _login(settings: Settings) -> Login | None:
    relay = settings.relay
    if relay.user is None:
        return None
    if relay.password is not None:
        return Login(relay.user, password=relay.password.get_secret_value())
    tokens, user = token_source(settings), relay.user

    async def token() -> str:
        return await tokens.token(user)

    return Login(user, token=token)


def relay_rules(settings: Settings) -> RelayRules | None:
    """How deliveries by the relay behave; None where there is none."""
    relay, delivery = settings.relay, settings.delivery
    if relay.host is None:
        return None
    return RelayRules(
        sent_copies=relay.sent_copies,
        probe_floor=delivery.probe_floor_seconds,
        probe_for=delivery.probe_for_seconds,
        again_after=relay.again_after_seconds,
        most_again=relay.most_again,
        most_tries=delivery.most_tries,
        registered=relay.registered,
        per_lane=relay.per_lane,
        recheck=delivery.recheck_seconds,
        day_park=delivery.sending_park_seconds,
    )


def relay_users(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The relay's users by pool; none where there is no relay."""
    return settings.relay.users if relay_on(settings) else {}


def road_defaults(settings: Settings) -> Callable[[Policy], Policy]:
    """Fills in what a run does not say: its road, and what follows a lost reply where the relay may carry it."""
    usual = RoadChoice(settings.delivery.road)
    unclear = Unclear(settings.relay.unclear) if settings.relay.unclear else None

    def settle(policy: Policy) -> Policy:
        road = policy.road or (usual if usual is not RoadChoice.API else None)
        settled = replace(policy, road=road)
        if Road.RELAY not in settled.roads:
            return settled
        return replace(settled, unclear=policy.unclear or unclear)

    return settle


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
