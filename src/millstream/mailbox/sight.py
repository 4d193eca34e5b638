"""A message becomes a sighting: what it is, what it is about, and whether it may have consequences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from millstream.gmail.model import Message
from millstream.mailbox.model import Kind, Role, Sighting
from millstream.mime import Clues, DeliveryStatus, MailKind, Reading, Severity
from millstream.mime.people import lower

SPAM: Final = "SPAM"
_MOST_TEXT: Final = 64_000
_MOST_FULL: Final = 256_000
_MOST_LINE: Final = 500
_BOUNCES: Final = {
    Severity.HARD: Kind.BOUNCED_HARD,
    Severity.SOFT: Kind.BOUNCED_SOFT,
    Severity.DELAYED: Kind.DELAYED,
}
_KINDS: Final = {
    MailKind.LIMIT_NOTICE: Kind.LIMIT_NOTICE,
    MailKind.AUTO_REPLY: Kind.AUTO_REPLIED,
    MailKind.OWN: Kind.OWN,
    MailKind.BULK: Kind.BULK,
}
_CARRIED: Final = frozenset({"envelope", "header"})
"""Ways that only the letter to that recipient carried."""
_STRONG: Final = frozenset({"envelope", "thread", "header", "message_id"})
"""Ways of mapping that rest on something only our own mail has."""


class Found(Protocol):
    """What a message is about."""

    @property
    def token(self) -> str:
        """The delivery's."""

    @property
    def address(self) -> str:
        """The recipient of that delivery."""

    @property
    def how(self) -> str:
        """envelope, thread, header, message_id, reply_token or recipient."""


class Finder(Protocol):
    """Finds the delivery a message is about; the room that sent it knows."""

    async def __call__(self, *, mailbox: str, thread_id: str, clues: Clues, at: datetime) -> Found | None:
        """The delivery, or None where nothing of ours fits."""


def sighting_of(
    message: Message, reading: Reading, found: Found | None, roles: Sequence[Role], mailbox: str
) -> Sighting:
    """What one message told us. Of mail that is not about us nothing is kept but that it was there."""
    kind = _kind(reading, found, roles)
    base = Sighting(
        message_id=message.id,
        thread_id=message.thread_id,
        kind=kind,
        labels=message.label_ids,
        received_at=message.internal_date,
    )
    if kind in {Kind.MAIL, Kind.BULK, Kind.OWN}:
        return base
    status = _about(reading, found)
    proven = _proven(reading, found, message)
    return Sighting(
        message_id=message.id,
        thread_id=message.thread_id,
        kind=kind,
        subject=f"delivery:{found.token}" if found else None,
        mapped_by=found.how if found else None,
        proven=proven,
        verdict=_verdict(reading),
        sender=reading.sender[:_MOST_LINE],
        title=reading.subject[:_MOST_LINE],
        rfc822_id=reading.message_id[:_MOST_LINE],
        report=[_status(each) for each in reading.report.statuses] if reading.report else None,
        reply=reading.reply.text[:_MOST_TEXT] if reading.reply else None,
        full_text=reading.reply.full_text[:_MOST_FULL] if reading.reply else None,
        attachments=[{"name": a.name, "media_type": a.media_type, "size": a.size} for a in reading.attachments],
        labels=message.label_ids,
        received_at=message.internal_date,
        facts={
            "mailbox": mailbox,
            "message_id": message.id,
            "thread_id": message.thread_id,
            "mapped_by": found.how if found else None,
            "proven": proven,
            "sender": reading.sender[:_MOST_LINE],
            # To which letter of a thread somebody answers: a thread alone does not tell (docs/decisions/0022).
            "reply_token": reading.clues.reply_token,
            "domain": reading.verdict.domain,
            "received_at": message.internal_date,
            **_failure(status, found),
        },
    )


def young_daemon(reading: Reading, found: Found | None) -> bool:
    """A mail server's message about nothing that is known: the ledger's row of the send may be a moment behind."""
    return found is None and reading.kind in {MailKind.BOUNCE, MailKind.LIMIT_NOTICE}


def _kind(reading: Reading, found: Found | None, roles: Sequence[Role]) -> Kind:
    if reading.kind is MailKind.BOUNCE:
        return _BOUNCES[reading.severity or Severity.HARD]
    if reading.kind is not MailKind.REPLY:
        return _KINDS[reading.kind]
    if found is not None:
        return Kind.REPLIED
    return Kind.REQUEST if Role.REQUEST in roles else Kind.MAIL


def _about(reading: Reading, found: Found | None) -> DeliveryStatus | None:
    """The status of the recipient that the delivery went to, else the report's first."""
    statuses = reading.report.statuses if reading.report else ()
    own = lower(found.address) if found else ""
    named = (each for each in statuses if own in {lower(each.recipient), lower(each.original)})
    return next(named, statuses[0] if statuses else None)


def _proven(reading: Reading, found: Found | None, message: Message) -> bool:
    """Whether it comes from whom it says (reference/gmail.md sections 5.3 and 6).

    A bounce is Gmail's own, or brings back what only the letter to that recipient carried: its header, or the signed
    envelope sender that it came to. A limit notice is Gmail's own and lies in the thread of what it is about. What a
    person writes needs a passed verdict.
    """
    if found is None:
        return False
    match reading.kind:
        case MailKind.BOUNCE:
            if reading.proven_daemon:
                return found.how in _STRONG
            names_it = lower(found.address) in reading.clues.recipients
            return found.how in _CARRIED and names_it and SPAM not in message.label_ids
        case MailKind.LIMIT_NOTICE:
            return reading.proven_daemon and found.how == "thread"
        case _:
            return reading.verdict.passed and SPAM not in message.label_ids


def _failure(status: DeliveryStatus | None, found: Found | None) -> dict[str, Any]:
    if status is None:
        return {}
    same = found is not None and lower(status.recipient) == lower(found.address)
    return {
        "recipient": status.recipient,
        "status": status.code,
        "diagnostic": status.diagnostic[:_MOST_LINE],
        "remote_mta": status.remote_mta[:_MOST_LINE],
        # Another address than ours failed, behind a forward: ours may be well.
        "address_is_bad": same and status.address_is_bad,
    }


def _status(status: DeliveryStatus) -> dict[str, Any]:
    return {
        "recipient": status.recipient[:_MOST_LINE],
        "action": status.action,
        "status": status.status,
        "remote_mta": status.remote_mta[:_MOST_LINE],
        "diagnostic": status.diagnostic[:_MOST_LINE],
    }


def _verdict(reading: Reading) -> dict[str, Any]:
    verdict = reading.verdict
    return {"passed": verdict.passed, "why": verdict.why}
