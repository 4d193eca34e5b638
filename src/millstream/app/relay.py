"""The relay road at the edge: settings become what rooms ask for."""

from __future__ import annotations

from typing import Final

from millstream.app.keys import kept_key
from millstream.app.options import token_source
from millstream.app.roads import relay_on, relay_users, road_defaults, road_rules, router
from millstream.config import Settings
from millstream.delivery.options import RelayRules
from millstream.delivery.verp import Verp
from millstream.gmail.relay import Login, Relay, RelayOptions
from millstream.gmail.relay.transport import SmtpRelay

__all__ = [
    "KEY_FILE",
    "bounce_secret",
    "open_relay",
    "relay_on",
    "relay_options",
    "relay_rules",
    "relay_users",
    "road_defaults",
    "road_rules",
    "router",
    "verp",
]

KEY_FILE: Final = "relay.key"
FEWEST: Final = 32


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


def open_relay(options: RelayOptions) -> Relay:
    """The relay over the network; no connection is made yet."""
    return SmtpRelay(options)


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


def bounce_secret(settings: Settings) -> bytes:
    """What signs the tokens of bounces: as set, else a file of our own that is made once.

    Raises:
        ConfigError: the file can be neither read nor made, or is none of ours.
    """
    given = settings.relay.bounce_secret
    if given is not None:
        return given.get_secret_value().encode()
    lost = "bounces of what was sent are known by it."
    return kept_key(settings.folder / KEY_FILE, setting="relay.bounce_secret", fewest=FEWEST, lost=lost)


def verp(settings: Settings) -> Verp | None:
    """Makes the envelope senders of what leaves by the relay, and knows its own; None where there is no relay.

    Raises:
        ConfigError: the secret can be neither read nor made.
    """
    return Verp(bounce_secret(settings), settings.relay.bounce_address) if relay_on(settings) else None
