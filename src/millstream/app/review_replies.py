"""Whether answers by mail can come back: a question whose reply can never count is not asked."""

from __future__ import annotations

from millstream.app.reading import mailboxes
from millstream.config import Settings
from millstream.config.errors import ConfigError, Problem
from millstream.review.policy import PolicyBook


def asking_by_mail(book: PolicyBook) -> list[str]:
    """The policies under which a reply can count."""
    return sorted(name for name, each in book.policies.items() if each.rules.by_mail and each.rules.sign_in is not True)


def deaf(settings: Settings) -> tuple[str, str] | None:
    """What is wrong with the place where replies come to, and what to set; None where they are read."""
    address = settings.senders.reply_to
    if address is None:
        return "is not set, so no answer by mail can be known", "Name a mailbox that is read."
    if not settings.mailbox.read:
        return f"is {address}, and no mailbox is read", "Set mailbox.read, and name it in mailbox.shared."
    if address.lower() not in {each.lower() for each in mailboxes(settings)}:
        return f"is {address}, which is not read", "Name it in mailbox.shared, or set another one here."
    return None


def check_replies(settings: Settings, book: PolicyBook) -> None:
    """Before a worker asks anybody.

    Raises:
        ConfigError: policies ask by mail, and replies would never be read.
    """
    asking, wrong = asking_by_mail(book), deaf(settings)
    if asking and wrong is not None:
        advice = f"{wrong[1]} Or let none of these policies take answers by mail (rules.by_mail): {', '.join(asking)}."
        raise ConfigError([Problem("the configuration", "senders.reply_to", wrong[0], advice)])
