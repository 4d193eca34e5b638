"""What a caller counts around each call."""

from typing import Any, Protocol


class Meter(Protocol):
    """Asked before each HTTP call and told after it; the place of rates, units and concurrency.

    The method names are Gmail's own, as in the limits file: ``drafts.create``, ``messages.get`` …
    """

    async def acquire(self, method: str) -> Any:
        """Wait until the method may be called and return a ticket for it."""

    def release(self, ticket: Any) -> None:
        """Say that the call of this ticket is over: answered, failed or cancelled."""


class NoMeter:
    """Counts nothing and lets everything through."""

    async def acquire(self, method: str) -> None:
        """Let the call through at once."""

    def release(self, ticket: None) -> None:
        """Nothing was counted."""
