"""The answer pages, put together: the desk, the links, and who signs people in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from millstream.app.house import House
from millstream.app.options import gmail_options
from millstream.app.review import link_secret, review_desk, review_options, review_road, reviews_on
from millstream.app.roads import relay_users
from millstream.communication.model import Road
from millstream.config import Settings
from millstream.config.errors import ConfigError, Problem
from millstream.gmail.click_token import ClickTokens
from millstream.gmail.push_token import GoogleKeys
from millstream.review.links import Links
from millstream.review.missing import owed
from millstream.review.page_desk import LedgerPages
from millstream.review.pages import Pages
from millstream.signin import BadIssuer, SignIn, SignInOptions


@dataclass(frozen=True, slots=True)
class AnswerPages:
    """What the answer pages are made of."""

    pages: Pages
    base_url: str
    sign_in: SignIn | None
    clicks: ClickTokens | None
    amp_senders: frozenset[str] = frozenset()
    """Whose mails carry forms to answer inside; nobody's where that is off."""


@asynccontextmanager
async def answer_pages(house: House) -> AsyncIterator[AnswerPages | None]:
    """The answer pages; None where nothing is reviewed or left of reviews, or pages have no address.

    Raises:
        BadPolicy, ConfigError: the settings or policies cannot be used.
    """
    base_url = review_options(house.settings).base_url
    if base_url is None or not (reviews_on(house.settings) or await owed(house.pool)):
        yield None
        return
    secret = link_secret(house.settings)
    desk = LedgerPages(house.pool, review_desk(house), house.documents)
    async with AsyncExitStack() as stack:
        sign_in = sign_in_of(house.settings, base_url, secret)
        if sign_in is not None:
            stack.push_async_callback(sign_in.close)
        clicks = None
        if house.settings.review.markup:
            clicks = ClickTokens(sender_domains(house.settings), GoogleKeys(gmail_options(house.settings)))
            stack.push_async_callback(clicks.close)
        senders = review_senders(house.settings) if house.settings.review.amp else frozenset()
        yield AnswerPages(Pages(desk, Links(secret)), base_url, sign_in, clicks, senders)


def sign_in_of(settings: Settings, base_url: str, secret: bytes) -> SignIn | None:
    """Who signs reviewers in; None where nobody does.

    Raises:
        ConfigError: the provider's address cannot be used.
    """
    review = settings.review
    if review.oidc_issuer is None or review.oidc_client_id is None or review.oidc_client_secret is None:
        return None
    options = SignInOptions(
        issuer=review.oidc_issuer,
        client=review.oidc_client_id,
        client_secret=review.oidc_client_secret.get_secret_value(),
        returns_to=f"{base_url}/review/signed-in",
        secret=secret,
        lasts=review.sign_in_minutes * 60.0,
    )
    try:
        return SignIn(options)
    except BadIssuer as error:
        advice = "Write it as https://accounts.google.com."
        raise ConfigError([Problem("the configuration", "review.oidc_issuer", str(error), advice)]) from error


def review_senders(settings: Settings) -> frozenset[str]:
    """The addresses that reviews are sent from, in lower case."""
    senders, pool = settings.senders, settings.review.pool
    by_pool = relay_users(settings) if review_road(settings) is Road.RELAY else senders.pools
    return frozenset(address.lower() for address in ([senders.address] if senders.address else by_pool.get(pool, ())))


def sender_domains(settings: Settings) -> frozenset[str]:
    """The domains that reviews are sent from."""
    return frozenset(address.rpartition("@")[2] for address in review_senders(settings))
