"""Reviews, put together: policies and people from their files, the desk, and what signs the links of mails."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from millstream.app.house import House
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
        markup=review.markup,
        languages=review.languages,
    )
    book = load(review.policies, site)
    if book.policies and not settings.senders.pools.get(review.pool):
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
    path = settings.folder / KEY_FILE
    try:
        kept = _kept(path)
    except OSError as error:
        advice = "Set review.link_secret, or let this user write there."
        wrong = f"{path} cannot be read or made: {error.strerror or error}"
        raise ConfigError([Problem("the configuration", "review.link_secret", wrong, advice)]) from error
    if len(kept) < FEWEST:
        advice = "Set it back from a copy: links in mails that were sent hold by it. Without one, delete the file."
        wrong = f"{path} has {len(kept)} bytes; a secret has at least {FEWEST}"
        raise ConfigError([Problem("the configuration", "review.link_secret", wrong, advice)])
    return kept


def _kept(path: Path) -> bytes:
    """The secret in a file; of several processes that make it at once one wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # fails where another was first
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes().strip()
