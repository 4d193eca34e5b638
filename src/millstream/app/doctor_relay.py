"""Checks the relay: what is set, what it says of itself, and whether bounces come back to us. No mail is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from millstream.app.finding import Finding
from millstream.app.reading import mailboxes
from millstream.app.relay import KEY_FILE, bounce_secret, relay_options
from millstream.app.roads import FOLLOWS, relay_on
from millstream.communication.model import Unclear
from millstream.config import ConfigError, Settings
from millstream.gmail.errors import GmailError
from millstream.gmail.relay import Facts, Relay, RelayOptions

_LEAST_DAYS: Final = 14
"""Of a certificate, before somebody should hear of its end."""
_WANTED: Final = {
    "PIPELINING": "without it each message costs four round trips in place of two",
    "8BITMIME": "without it messages with 8-bit content are held",
}
Connect = Callable[[RelayOptions], Relay]


async def examine_relay(settings: Settings, connect: Connect) -> AsyncIterator[Finding]:
    """Every check of the relay road; nothing where there is no relay."""
    if not relay_on(settings):
        return
    yield _unclear(settings)
    try:
        options = relay_options(settings)
    except GmailError as error:
        yield Finding("relay login", ok=False, detail=str(error))
        options = None
    if options is not None:
        yield _greeting(settings, options)
        async with aclosing(_spoken(settings, options, connect)) as findings:
            async for finding in findings:
                yield finding
    yield _secret(settings)
    yield _bounces(settings)
    yield _replies(settings)
    yield _days(settings)
    if settings.review.amp or settings.review.markup:
        detail = (
            "Gmail shows AMP and one-click parts only of senders that are registered with Google, with SPF, DKIM and "
            "DMARC aligned to the From domain; this cannot be looked up from here"
        )
        yield Finding("relay amp and markup", ok=True, detail=detail)


def _unclear(settings: Settings) -> Finding:
    """What is decided about a lost reply. Unset the configuration is refused, so here it is only shown."""
    word = settings.relay.unclear
    if word is None:
        return Finding("relay unclear", ok=False, detail='set relay.unclear to "hold" or "again"')
    first = "the sender's mailbox is asked first; then " if settings.relay.sent_copies else ""
    return Finding("relay unclear", ok=True, detail=f"{word}: {first}{FOLLOWS[Unclear(word)]}")


def _greeting(settings: Settings, options: RelayOptions) -> Finding:
    """Google answers 421 to a name that is none of the organisation's."""
    domains = {user.rpartition("@")[2].lower() for user in settings.relay.all_users}
    name = options.helo.lower()
    ours = any(name == domain or name.endswith(f".{domain}") for domain in domains)
    if "." not in name:
        detail = f"EHLO says {options.helo!r}, which Google answers with 421; set relay.helo to a domain of yours"
        return Finding("relay greeting", ok=False, detail=detail)
    if not ours:
        detail = f"EHLO says {options.helo}, which is none of the users' domains ({', '.join(sorted(domains))}); "
        return Finding("relay greeting", ok=False, detail=f"{detail}set relay.helo to one of them")
    return Finding("relay greeting", ok=True, detail=f"EHLO says {options.helo}")


async def _spoken(settings: Settings, options: RelayOptions, connect: Connect) -> AsyncGenerator[Finding, None]:
    """What only the relay itself can say."""
    check, relay = f"relay {options.host}:{options.port}", connect(options)
    try:
        facts = await relay.probe()
    except GmailError as error:
        yield Finding(check, ok=False, detail=str(error))
        return
    finally:
        await relay.close()
    login = f"logged in as {options.login.user}" if options.login else "knows us by our address (not proven by this)"
    yield Finding(check, ok=True, detail=f"{facts.tls}, {login}")
    yield _certificate(facts)
    yield _extensions(settings, facts)


def _certificate(facts: Facts) -> Finding:
    until, left = facts.certificate_until, facts.certificate_until - datetime.now(UTC)
    ok = left >= timedelta(days=_LEAST_DAYS)
    detail = f"valid until {until:%Y-%m-%d}"
    if not ok:
        detail += f", in {left.days} days; without a valid one nothing is sent: have it renewed"
    return Finding("relay certificate", ok=ok, detail=detail)


def _extensions(settings: Settings, facts: Facts) -> Finding:
    missing = [f"{name} is missing: {why}" for name, why in _WANTED.items() if name not in facts.extensions]
    most = settings.limits.limits().max_message_bytes
    if facts.size is not None and facts.size < most:
        missing.append(f"it takes {facts.size:,} bytes a message and our limit is {most:,}; larger ones are held")
    if missing:
        return Finding("relay extensions", ok=False, detail="; ".join(missing))
    size = f"{facts.size:,} bytes" if facts.size else "no bound"
    return Finding("relay extensions", ok=True, detail=f"PIPELINING, 8BITMIME, SIZE {size}")


def _secret(settings: Settings) -> Finding:
    check = "relay bounce secret"
    try:
        bounce_secret(settings)
    except ConfigError as error:
        return Finding(check, ok=False, detail=str(error))
    if settings.relay.bounce_secret is not None:
        return Finding(check, ok=True, detail="relay.bounce_secret is set")
    detail = f"{settings.folder / KEY_FILE}; workers on other machines need the same file, or relay.bounce_secret"
    return Finding(check, ok=True, detail=detail)


def _bounces(settings: Settings) -> Finding:
    """Whether somebody reads where bounces go."""
    check, relay = "relay bounces", settings.relay
    if not settings.mailbox.read:
        detail = "mailbox.read is off: nobody reads bounces, and a lost reply has no evidence but a person's"
        return Finding(check, ok=False, detail=detail)
    read = {address.lower() for address in mailboxes(settings)}
    if relay.bounce_address is None:
        return Finding(check, ok=True, detail="each user's own mailbox takes its bounces, and is read")
    if relay.bounce_address.lower() in read:
        return Finding(check, ok=True, detail=f"{relay.bounce_address} takes them, and is read")
    shared = ", ".join(settings.mailbox.shared)
    detail = (
        f"{relay.bounce_address} is no mailbox that is read; a catch-all or a routing rule of the admin console must "
        f"bring its mail to {shared}, with X-Gm-Original-To (docs/howto/connect-the-relay.md)"
    )
    return Finding(check, ok=True, detail=detail)


def _replies(settings: Settings) -> Finding:
    """Whether somebody reads what recipients answer."""
    check, read = "relay replies", {address.lower() for address in mailboxes(settings)}
    if settings.senders.reply_to:
        return Finding(check, ok=True, detail=f"they go to {settings.senders.reply_to}")
    unread = [user for user in settings.relay.all_users if user.lower() not in read]
    if settings.senders.address is None and unread and settings.mailbox.read:
        detail = f"answers to what {', '.join(unread)} sent go there, and nobody reads it; set senders.reply_to"
        return Finding(check, ok=False, detail=detail)
    return Finding(check, ok=True, detail="they go to whoever sent")


def _days(settings: Settings) -> Finding:
    """Whose days Google counts."""
    check, relay, limits = "relay days", settings.relay, settings.limits.limits()
    day = str(limits.relay_messages_per_day or "no limit")
    if not relay.registered:
        return Finding(check, ok=True, detail=f"no user's day: {relay.bounce_address} is nobody's mailbox")
    if relay.bounce_address is not None and len(relay.all_users) > 1:
        detail = (
            f"{relay.bounce_address} is the envelope's sender of all {len(relay.all_users)} users: if it is a "
            f"registered user, its own {day} holds for all of them together. Leave relay.bounce_address away, or set "
            "relay.registered = false where it is nobody's mailbox"
        )
        return Finding(check, ok=False, detail=detail)
    return Finding(check, ok=True, detail=f"{len(relay.all_users)} users, each {day}")
