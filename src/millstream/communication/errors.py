"""What can go wrong when communications come in.

CommunicationError
├── UnknownRun          no run has this key
├── RunMismatch         the run exists with another pool, mode or policy
├── NoRoad              the run is to leave by a road that there is not
└── IllegalRunChange    a cancelled run does not come back
"""


class CommunicationError(Exception):
    """Base of this room's errors."""


class UnknownRun(CommunicationError):
    """No run has this key."""


class RunMismatch(CommunicationError):
    """The run exists with another pool, mode or policy."""


class NoRoad(CommunicationError):
    """The run is to leave by a road that there is not."""


class IllegalRunChange(CommunicationError):
    """A cancelled run does not come back."""
