"""Whether answers by mail can come back: a question whose reply can never count is not asked."""

from __future__ import annotations

from millstream.app.reading import mailboxes
from millstream.config import Settings
from millstream.config.errors import ConfigError, Problem
from millstream.review.policy import PolicyBook


def asking_by_mail(book: PolicyBook) -> list[str]:
    """The policies under which a reply can count."""
    return sorted(name for name, each in book.policies.items() if each.rules.by_mail and each.rules.sign_in is not True)


def reply_places(settings: Settings) -> list[str]:
    """Where replies to questions go: without `senders.reply_to` to whoever asks."""
    senders = settings.senders
    named = senders.reply_to or senders.address
    return [named] if named else list(senders.pools.get(settings.review.pool, ()))


def deaf(settings: Settings) -> tuple[str, str] | None:
    """What is wrong with the place where replies go, and what to set; None where they are read."""
    read = {each.lower() for each in mailboxes(settings)}
    missed = [each for each in reply_places(settings) if each.lower() not in read]
    if not missed:
        return None
    said = "is" if settings.senders.reply_to else "is not set, so replies go to"
    if not settings.mailbox.read:
        return f"{said} {missed[0]}, and no mailbox is read", "Set mailbox.read."
    return f"{said} {missed[0]}, which is not read", "Name a mailbox here that is read, as one of mailbox.shared."


def check_replies(settings: Settings, book: PolicyBook) -> None:
    """Before a worker asks anybody.

    Raises:
        ConfigError: policies ask by mail, and replies would never be read.
    """
    asking, wrong = asking_by_mail(book), deaf(settings)
    if asking and wrong is not None:
        advice = f"{wrong[1]} Or let none of these policies take answers by mail (rules.by_mail): {', '.join(asking)}."
        raise ConfigError([Problem("the configuration", "senders.reply_to", wrong[0], advice)])
