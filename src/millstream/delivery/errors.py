"""What can go wrong while communications leave.

DeliveryError
├── IllegalTransition   a delivery was asked to move where its disposition does not lead
├── StaleEpoch          another process took the lane over; this one writes nothing and stops
├── LaneResting         the mailbox may not be called before a time
├── LaneStopped         the lane was asked to stop while it waited
├── UnknownMailbox      no lane has this address
├── UnknownDelivery     no delivery has this token, or it is not in the state that was asked for
├── NoAnswerPage        a letter offers a page for answers, and this installation has none
├── NotSuppressed       an address is on no list that it was to be taken from
└── SendUnsettled       a limit notice came before its send was settled; it is answered later
"""

from __future__ import annotations

from datetime import datetime


class DeliveryError(Exception):
    """Base of this room's errors."""


class IllegalTransition(DeliveryError):
    """A delivery was asked to move where its disposition does not lead."""


class StaleEpoch(DeliveryError):
    """Another process took the lane over; this one writes nothing and stops."""


class LaneResting(DeliveryError):
    """The mailbox may not be called before a time."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class LaneStopped(DeliveryError):
    """The lane was asked to stop while it waited."""


class UnknownMailbox(DeliveryError):
    """No lane has this address."""


class UnknownDelivery(DeliveryError):
    """No delivery has this token, or it is not in the state that was asked for."""


class NoAnswerPage(DeliveryError):
    """A letter offers a page for answers, and this installation has none."""


class NotSuppressed(DeliveryError):
    """An address is on no list that it was to be taken from."""


class SendUnsettled(DeliveryError):
    """A word on a send came before that send was settled; it is answered later."""
