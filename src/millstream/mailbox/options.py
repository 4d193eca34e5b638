"""How mailboxes are read, as values; `app` fills them from the settings. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from millstream.quota import Limits


class Point(StrEnum):
    """The points of a look at which a process can die; for recovery drills."""

    BEFORE_SNAPSHOT = "before_snapshot"
    AFTER_FETCH_BEFORE_RECORD = "after_fetch_before_record"
    AFTER_RECORD_BEFORE_CURSOR = "after_record_before_cursor"
    AFTER_SNAPSHOT_PAGE = "after_snapshot_page"
    AFTER_SNAPSHOT = "after_snapshot"
    AFTER_LOOK_BEFORE_FINISH = "after_look_before_finish"


@dataclass(frozen=True, slots=True)
class PushOptions:
    """Where Gmail puts its hints. Push only makes a look come sooner: polling goes on."""

    topic: str
    """projects/PROJECT/topics/TOPIC; Gmail's own account must be allowed to publish to it."""
    renew: float = 86_400.0
    """Google wants a renewal within seven days and advises one a day (reference/gmail.md section 3)."""
    retry: float = 600.0
    """After a renewal that failed."""


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """The rules of reading."""

    limits: Limits
    authserv_ids: tuple[str, ...] = ("mx.google.com",)
    """Whose Authentication-Results count; a gateway in front of Gmail has another name."""
    poll: float = 15.0
    """Between two looks into a mailbox that has something to say now and then."""
    poll_sending: float = 6.0
    """While the mailbox sends, and for `sent_within` more: a limit notice comes within seconds or minutes. Looks cost
    20 units a minute then, half of `beside`."""
    sent_within: float = 300.0
    poll_slowest: float = 60.0
    """Between two looks into one that has said nothing for long."""
    poll_units_per_day: int = 8_000_000
    """What looks without a result may cost all mailboxes together: a tenth of Google's daily threshold."""
    lookback: float = 7 * 86_400.0
    """How far back a first look goes."""
    settle: float = 30.0
    """A record of history may show late (seconds were seen); the cursor follows so long after."""
    beside: int = 40
    """Units a minute that a sending lane always leaves: 60 would still let it send 54 messages of the 54.5 in Google's
    6,000. What reading takes beyond them is announced, and waits until the lane has made room."""
    heard_after: float = 3.0
    """After so long a lane has heard what was announced: its heartbeat and a second."""
    share: float = 0.2
    """The part of a mailbox's units that reading may take while its lane sends."""
    project_share: float = 0.1
    """The part of the project's units that reading of one process may take."""
    concurrency: int = 4
    """Calls in flight into one mailbox."""
    mailboxes: int = 50
    """Mailboxes that one process looks into at once."""
    lease: float = 20.0
    """After so long without a sign of life another process takes the mailbox over."""
    recheck: float = 600.0
    """When a mailbox that cannot be read (dead token, scope) is tried again by itself."""
    stalled_after: float = 900.0
    """A cursor that has not moved for so long is reported."""
    most_tries: int = 6
    """A message that could not be fetched so often is put aside."""
    young: float = 20.0
    """A mail server's message about nothing that is known is looked at again until it is so old: the ledger's row
    of the send may be a moment behind."""
    push: PushOptions | None = None
    drill: str | None = None
    """`point:n`: the process kills itself when it passes this point for the n-th time."""
