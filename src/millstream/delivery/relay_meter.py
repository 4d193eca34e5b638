"""What a lane of the relay may still send: the messages of its user's day."""

from __future__ import annotations

from collections.abc import Callable

from millstream.delivery.meter import LaneMeter
from millstream.delivery.options import DeliveryOptions
from millstream.quota import UNLIMITED, Limits, Rate
from millstream.quota.budget import Budget


class RelayMeter(LaneMeter):
    """The counting of one relay's lane.

    A message has one recipient, so the smaller of the user's two limits holds; a recipient who gets two messages counts
    twice with us and once with Google, which errs on the safe side. There is neither a warm-up nor a limit of bytes.
    """

    def __init__(self, options: DeliveryOptions, *, stopped: Callable[[], bool]) -> None:
        super().__init__(options, age_days=0, stopped=stopped)
        registered = options.relay is None or options.relay.registered
        self._messages = Budget(user_day(options.limits) if registered else None)

    def share_project(self, running: int, *, spared: int = 0) -> None:
        """Nothing of the project's rate is spent by sending here."""

    def bytes_left(self) -> int:
        """Bytes are not counted on this road."""
        return UNLIMITED

    @property
    def paced(self) -> bool:
        """A lane takes as many as it has in flight: what it would take beyond that only waits here."""
        return True

    def check(self) -> None:
        """Whether anything may be handed over now.

        Raises:
            LaneStopped, LaneResting: as `acquire`.
        """
        self._check()

    def unsent(self) -> None:
        """A message that was counted did not leave."""
        self._messages.refund(1)


def user_day(limits: Limits) -> Rate | None:
    """What one registered user may send in a day."""
    rates = [each for each in (limits.relay_messages_per_day, limits.relay_recipients_per_user_day) if each is not None]
    return min(rates, key=lambda each: each.per_day, default=None)
