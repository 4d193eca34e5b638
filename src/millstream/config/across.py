"""What settings of different sections have to do with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millstream.config.settings import Settings


def check_across(settings: Settings) -> None:
    """Look at sections that depend on each other.

    Raises:
        ValueError: what is wrong and what to do, with the keys in full.
    """
    _road(settings)
    _review(settings)
    _bounces(settings)


def _road(settings: Settings) -> None:
    road = settings.delivery.road
    if road != "api" and settings.relay.host is None:
        raise ValueError(f'delivery.road = "{road}" needs a relay: set relay.host, relay.users and relay.unclear')
    if road == "relay_then_api" and not any(settings.senders.pools.values()):
        raise ValueError('delivery.road = "relay_then_api" needs mailboxes of the API as well: set senders.pools')


def _review(settings: Settings) -> None:
    """Gmail takes neither part from its own API (developers.google.com/workspace/gmail/ampemail, read 2026-11)."""
    review, relay = settings.review, settings.relay
    for name in ("amp", "markup"):
        if getattr(review, name) and (relay.host is None or not relay.users.get(review.pool)):
            raise ValueError(
                f"review.{name} leaves by the relay only: set relay.host, and users for the pool that asks: "
                f'relay.users = {{ {review.pool} = ["..."] }}; or leave review.{name} off'
            )


def _bounces(settings: Settings) -> None:
    """Somebody reads where bounces go."""
    relay, mailbox = settings.relay, settings.mailbox
    if relay.host is None or not mailbox.read:
        return
    read = {each.lower() for pool in settings.senders.pools.values() for each in pool}
    read |= {each.lower() for each in (*mailbox.shared, *mailbox.request)}
    if relay.bounce_address is not None:
        if relay.bounce_address.lower() not in read and not mailbox.shared:
            raise ValueError(
                f"nobody reads relay.bounce_address, {relay.bounce_address}: name it in mailbox.shared, or the mailbox "
                "that a catch-all or routing rule brings its mail to; or switch mailbox.read off"
            )
        return
    unread = [each for each in relay.all_users if each.lower() not in read]
    if unread:
        raise ValueError(
            f"nobody reads the bounces of relay.users {', '.join(unread)}: name them in mailbox.shared, set "
            "relay.bounce_address, or switch mailbox.read off"
        )
