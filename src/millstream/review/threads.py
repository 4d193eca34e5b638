"""One conversation for a review and a person, at both ends.

Gmail keeps a letter in a thread where it names the thread, answers a letter of it (References) and has its subject; the
reader's mail program goes by References. All three come from the mails before it, so it waits until they have left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from millstream.communication.model import LetterHints

MOST_REFERENCES: Final = 20
PATIENCE: Final = timedelta(hours=1)
"""How long a mail waits for the ones before it to leave; then it begins a thread of its own."""
ID_PATIENCE: Final = timedelta(minutes=2)
"""How long after a mail has left its Message-ID is waited for: what a process had in hand when it died is taken up
again after half a minute (`papers`), and without it the reader's thread splits."""
RETRY: Final = 1.0
_RE: Final = "Re: "
_UNSEEN = frozenset({"bounced_hard"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a conversation a mail stands."""

    subject: str | None = None
    """That of the conversation; None: this mail begins it."""
    hints: LetterHints = field(default_factory=LetterHints)
    asked: bool = False
    """Whether its reader was sent anything before."""


def place(
    earlier: Sequence[Mapping[str, Any]], *, now: datetime, since: datetime | None = None, by_relay: bool = False
) -> Place | None:
    """Where a mail goes, by the mails before it, the newest first; None: wait, one of them is on its way.

    `since` is when this process began: while none ran nobody waited, and what lay still then comes first. With
    `by_relay` it leaves there, and no mailbox is the one that must carry it.
    """

    def waited(at: datetime) -> timedelta:
        return now - (at if since is None else max(at, since))

    for mail in earlier:
        if waited(mail["created_at"]) < PATIENCE and (mail["due"] or mail["moving"]):
            return None
    left = [mail for mail in earlier if mail["disposition"] == "accepted" and _UNSEEN.isdisjoint(mail["sighted"] or ())]
    asked = any(mail["token"] for mail in earlier)
    if not left:
        return Place(asked=asked)
    newest = left[0]
    if newest["rfc822_id"] is None and newest["paper_due"] and waited(newest["accepted_at"]) < ID_PATIENCE:
        return None
    # By the relay there is no thread to name: References and the subject carry the conversation.
    relayed = newest["mailbox"].startswith("relay:")
    thread, mailbox = (None, None) if relayed or by_relay else (newest["thread_id"], newest["mailbox"])
    references = tuple(f"<{mail['rfc822_id']}>" for mail in reversed(left) if mail["rfc822_id"])[-MOST_REFERENCES:]
    return Place(
        subject=_RE + newest["subject"].removeprefix(_RE),
        hints=LetterHints(references=references, thread_id=thread, only_from=mailbox),
        asked=asked,
    )
