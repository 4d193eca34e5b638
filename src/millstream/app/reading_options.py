"""Settings become what reading asks for: its rules, its push, the source of hints, whose push is believed."""

from __future__ import annotations

from millstream.app.options import gmail_options
from millstream.config import Settings
from millstream.gmail import StaticTokens
from millstream.gmail.pubsub import HintSource, account_tokens
from millstream.gmail.pubsub import hint_source as open_source
from millstream.gmail.push_token import Expected
from millstream.gmail.tokens import TokenSource
from millstream.mailbox.options import PushOptions, ReadingOptions


def push_options(settings: Settings) -> PushOptions | None:
    """Where Gmail puts its hints; None where there is polling alone."""
    return PushOptions(settings.push.topic) if settings.push.topic else None


def reading_options(settings: Settings) -> ReadingOptions:
    """How mailboxes are read."""
    mailbox = settings.mailbox
    return ReadingOptions(
        limits=settings.limits.limits(),
        authserv_ids=mailbox.authserv_ids,
        poll=mailbox.poll_seconds,
        poll_sending=mailbox.poll_sending_seconds,
        poll_slowest=mailbox.poll_slowest_seconds,
        poll_units_per_day=mailbox.poll_units_per_day,
        lookback=mailbox.lookback_days * 86_400,
        settle=mailbox.settle_seconds,
        beside=mailbox.beside_units,
        heard_after=settings.delivery.heartbeat_seconds + 1.0,
        share=mailbox.share,
        project_share=mailbox.project_share,
        concurrency=mailbox.concurrency,
        mailboxes=mailbox.at_once,
        lease=mailbox.lease_seconds,
        recheck=settings.delivery.recheck_seconds,
        stalled_after=mailbox.stalled_after_seconds,
        push=push_options(settings),
        drill=mailbox.drill,
    )


def hint_source(settings: Settings) -> HintSource | None:
    """Where hints are pulled; None where no subscription is set.

    Raises:
        BadCredentials: what the account of the subscription needs cannot be read.
    """
    push = settings.push
    if push.subscription is None:
        return None
    return open_source(push.subscription, _hint_tokens(settings), gmail_options(settings), via=push.transport)


def _hint_tokens(settings: Settings) -> TokenSource:
    """Hints are pulled as the account itself, never as a mailbox."""
    gmail = settings.gmail
    if gmail.auth == "static":
        return StaticTokens(gmail.static_token.get_secret_value() if gmail.static_token else "")
    return account_tokens(
        gmail_options(settings),
        key_file=gmail.key_file if gmail.auth == "service_account" else None,
        service_account=gmail.service_account if gmail.auth == "impersonated" else None,
        identity_file=gmail.identity_file,
    )


def expected_push(settings: Settings) -> Expected | None:
    """Whose push is believed; None where none is."""
    push = settings.push
    if push.audience is None or push.service_account is None:
        return None
    return Expected(push.audience, push.service_account)
