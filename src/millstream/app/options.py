"""Settings become the values that rooms ask for."""

from __future__ import annotations

from millstream.app.review import answer_links
from millstream.composer import ComposerLater
from millstream.config import Settings
from millstream.delivery.bounces import BounceRules
from millstream.delivery.options import DeliveryOptions, Sender
from millstream.delivery.sightings import SightingRules
from millstream.gmail import (
    DIRECT_SCOPES,
    DRAFT_SCOPES,
    GmailOptions,
    ServiceAccountKey,
    ServiceAccountTokens,
    StaticTokens,
    TokenSource,
)
from millstream.gmail.authorized_user import AuthorizedUserTokens, OAuthClient, TokenFolder
from millstream.gmail.errors import BadCredentials, Call
from millstream.gmail.impersonation import ImpersonatedTokens, machine_tokens


def gmail_options(settings: Settings) -> GmailOptions:
    """Where Google is and how long it is waited for."""
    gmail = settings.gmail
    return GmailOptions(
        endpoint=gmail.endpoint,
        token_url=gmail.token_url,
        auth_url=gmail.auth_url,
        iam_endpoint=gmail.iam_endpoint,
        pubsub_endpoint=settings.push.endpoint,
        certs_url=settings.push.certs_url,
        connect_seconds=gmail.connect_seconds,
        call_seconds=gmail.call_seconds,
        upload_seconds=gmail.upload_seconds,
        connections=gmail.connections,
        proxy=gmail.proxy,
        certificates=gmail.certificates,
    )


def scopes(settings: Settings) -> tuple[str, ...]:
    """What to ask for: what is set, else what the mode needs."""
    return settings.gmail.scopes or (DRAFT_SCOPES if settings.delivery.mode == "draft" else DIRECT_SCOPES)


def oauth_client(settings: Settings) -> OAuthClient:
    """The application that mailboxes are connected to.

    Raises:
        BadCredentials: neither a client file nor an id and a secret are set.
    """
    gmail = settings.gmail
    if gmail.client_file is not None:
        return OAuthClient.from_file(gmail.client_file)
    if gmail.client_id is None or gmail.client_secret is None:
        raise _lacking("gmail.client_file, or gmail.client_id and gmail.client_secret")
    return OAuthClient(gmail.client_id, gmail.client_secret.get_secret_value())


def token_source(settings: Settings) -> TokenSource:
    """Where access tokens come from.

    Raises:
        BadCredentials: what this kind of auth needs is not set, or cannot be read.
    """
    gmail, options = settings.gmail, gmail_options(settings)
    match gmail.auth:
        case "static":
            return StaticTokens(gmail.static_token.get_secret_value() if gmail.static_token else "")
        case "authorized_user":
            return AuthorizedUserTokens(oauth_client(settings), TokenFolder(settings.token_folder), options)
        case "impersonated":
            return ImpersonatedTokens(
                gmail.service_account or "", machine_tokens(options, gmail.identity_file), options, scopes(settings)
            )
        case _:
            if gmail.key_file is None:
                raise _lacking("gmail.key_file, the service account's key")
            return ServiceAccountTokens(ServiceAccountKey.from_file(gmail.key_file), options, scopes(settings))


class NoTokens:
    """Stands for the tokens of an installation that needs none: what it lacks is told where one is asked for."""

    def __init__(self, lacking: BadCredentials) -> None:
        self._lacking = lacking

    async def token(self, mailbox: str) -> str:
        """There is none.

        Raises:
            BadCredentials: always.
        """
        raise BadCredentials(Call("token", mailbox), text=self._lacking.text)

    def invalidate(self, mailbox: str, token: str | None = None) -> None:
        """There is none."""

    async def close(self) -> None:
        """Nothing is open."""


def token_source_where_needed(settings: Settings, *, needed: bool) -> TokenSource:
    """Where access tokens come from; who sends by the relay alone and reads nothing needs no key of Google's.

    Raises:
        BadCredentials: they are needed, and what this kind of auth needs is not set or cannot be read.
    """
    try:
        return token_source(settings)
    except BadCredentials as lacking:
        if needed:
            raise
        return NoTokens(lacking)


def delivery_options(settings: Settings) -> DeliveryOptions:
    """How lanes behave."""
    delivery, senders = settings.delivery, settings.senders
    return DeliveryOptions(
        limits=settings.limits.limits(),
        sender=Sender(senders.name, senders.address, senders.reply_to),
        concurrency=delivery.concurrency,
        claim=delivery.claim,
        slice=delivery.slice_seconds,
        linger=delivery.linger_seconds,
        heartbeat=delivery.heartbeat_seconds,
        stalled_after=delivery.stalled_after_seconds,
        probe_floor=delivery.probe_floor_seconds,
        probe_for=delivery.probe_for_seconds,
        stray_grace=delivery.stray_grace_seconds,
        recheck=delivery.recheck_seconds,
        sending_park=delivery.sending_park_seconds,
        most_tries=delivery.most_tries,
        for_reading=settings.mailbox.project_share if settings.mailbox.read else 0.0,
        read_beside=settings.mailbox.beside_units,
        drill=delivery.drill,
        warm=settings.limits.ages_days,
        answer_link=answer_links(settings),
    )


def sighting_rules(settings: Settings) -> SightingRules:
    """What follows from what mailboxes tell us about deliveries."""
    suppression = settings.suppression
    return SightingRules(
        sending_park=settings.delivery.sending_park_seconds,
        bounces=BounceRules(
            soft_bounces=suppression.soft_bounces,
            soft_days=suppression.soft_days,
            limit=suppression.bounce_limit,
            limit_after=suppression.bounce_limit_after,
        ),
    )


def composer(settings: Settings) -> ComposerLater:
    """The embedded composer with the tenant's templates before the shipped ones."""
    return ComposerLater(settings.composer.templates)


def _lacking(what: str) -> BadCredentials:
    return BadCredentials(Call("token", "-"), text=f"{what} is not set; see docs/reference/configuration.md")
