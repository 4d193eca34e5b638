"""Reviews, put together: policies and people from their files, the desk, and what signs the links of mails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from millstream.app.house import House
from millstream.app.keys import kept_key
from millstream.app.roads import relay_users
from millstream.communication.model import Road, Unclear
from millstream.config import Settings
from millstream.config.errors import ConfigError, Problem
from millstream.drill import Drill
from millstream.nextstep.model import Verb, Wish
from millstream.nextstep.store import StepStore
from millstream.review.desk import ReviewDesk
from millstream.review.links import FEWEST, answer_link
from millstream.review.options import Point, ReviewOptions
from millstream.review.people import People
from millstream.review.policy import PolicyBook, Site
from millstream.review.policy_load import load
from millstream.review.ports import Approvers
from millstream.review.steps import Steps
from millstream.review.wishes import StepWish
from millstream.storage.pool import Connection

KEY_FILE: Final = "review.key"


def reviews_on(settings: Settings) -> bool:
    """Whether anything is reviewed here."""
    return bool(settings.review.policies)


def review_road(settings: Settings) -> Road:
    """By what questions leave: by the relay where it has users for the pool that asks."""
    return Road.RELAY if relay_users(settings).get(settings.review.pool) else Road.API


def review_options(settings: Settings) -> ReviewOptions:
    """How questions are put to people."""
    review = settings.review
    return ReviewOptions(
        pool=review.pool,
        base_url=review.base_url.rstrip("/") if review.base_url else None,
        languages=review.languages,
        settle=review.settle_seconds,
        watch=review.watch_seconds,
        lease=review.lease_seconds,
        most_tries=review.most_tries,
        markup=review.markup,
        amp=review.amp,
        road=review_road(settings),
        unclear=Unclear(settings.relay.unclear) if settings.relay.unclear else None,
        drill=review.drill,
    )


def review_drill(settings: Settings) -> Drill:
    """The point at which this process is to die."""
    return Drill(settings.review.drill, Point)


def policy_book(settings: Settings) -> PolicyBook:
    """The policies and who they name.

    Raises:
        BadPolicy: with everything that is wrong with the files.
        ConfigError: the pool that is to ask has no mailbox.
    """
    review = settings.review
    site = Site(
        pages=review.base_url is not None,
        sign_in=review.oidc_issuer is not None,
        markup=review.markup or review.amp,
        languages=review.languages,
    )
    book = load(review.policies, site)
    if book.policies and not settings.senders.pools.get(review.pool) and review_road(settings) is Road.API:
        advice = f"Name its mailboxes: senders.pools = {{ {review.pool} = [...] }}, or another pool in review.pool."
        raise ConfigError([Problem("the configuration", "review.pool", f"{review.pool!r} has no mailbox", advice)])
    return book


async def ask(conn: Connection, wish: StepWish) -> int | None:
    """Write a review's wish down where next steps lie."""
    return await StepStore.ask(
        conn,
        Wish(
            key=wish.key,
            verb=Verb(wish.verb),
            target=wish.target,
            subject=wish.subject,
            actor=wish.actor,
            domain=wish.domain,
            arguments=wish.arguments,
        ),
    )


def open_desk(house: House, *, approvers: Approvers | None = None) -> tuple[ReviewDesk, Steps]:
    """The desk, and what follows from its decisions.

    Raises:
        BadPolicy: policy files cannot be used.
        ConfigError: the pool that asks has no mailbox.
    """
    book, steps = policy_book(house.settings), Steps(ask)
    desk = ReviewDesk(
        book,
        People(book, approvers=approvers),
        finish=steps.finish,
        begun=steps.begun,
        drill=review_drill(house.settings),
    )
    steps.attach(desk)
    return desk, steps


def review_desk(house: House) -> ReviewDesk:
    """The only writer of reviews, with the policies as they stand now.

    Raises:
        BadPolicy, ConfigError: as `policy_book`.
    """
    return open_desk(house)[0]


def answer_links(settings: Settings) -> Callable[[str], str] | None:
    """Makes the link of a delivery's reader; None where pages have no address.

    Raises:
        ConfigError: the secret cannot be read or made.
    """
    base = settings.review.base_url
    # Also without policies: what they asked before they were taken out goes on.
    return None if base is None else answer_link(link_secret(settings), base)


def link_secret(settings: Settings) -> bytes:
    """What signs the links of mails: as set, else a file of our own that is made once.

    Raises:
        ConfigError: the file can be neither read nor made, or is none of ours.
    """
    given = settings.review.link_secret
    if given is not None:
        return given.get_secret_value().encode()
    lost = "links in mails that were sent hold by it."
    return kept_key(settings.folder / KEY_FILE, setting="review.link_secret", fewest=FEWEST, lost=lost)
