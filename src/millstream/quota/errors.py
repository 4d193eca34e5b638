"""What can be wrong with a limit.

QuotaError
├── BadRate                  a text that is no rate like "2_000/day"
├── BadLimit                 an override's value that its limit cannot take
├── UnknownPreset            a preset that limits.toml does not hold
├── UnknownLimit             an override for a limit that does not exist
├── UnknownMethod            a Gmail method without a cost
├── NeverFits                a cost above the whole rate: waiting would never end
└── NeverDone                a run that its senders would not finish in ten years
"""

from collections.abc import Iterable


class QuotaError(ValueError):
    """A limit or a question to it makes no sense; the text says which and what to write instead."""


class BadRate(QuotaError):
    """A text that is no rate."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(
            f"{text!r} is not a rate. Write an amount and a period, "
            'like "2_000/day", "6_000/min", "200/s" or "500/10min".'
        )


class BadLimit(QuotaError):
    """A value that its limit cannot take."""

    def __init__(self, name: str, value: str, why: str) -> None:
        self.name = name
        self.value = value
        super().__init__(f"the limit {name} cannot be {value!r}: {why}")


class UnknownPreset(QuotaError):
    """A preset that does not exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(f"there is no preset of limits named {name!r}; the presets are {', '.join(known)}.")


class UnknownLimit(QuotaError):
    """An override for a limit that does not exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(
            f"there is no limit named {name!r}; the limits are {', '.join(known)}, "
            "and cost.<method> for what a method costs."
        )


class UnknownMethod(QuotaError):
    """A Gmail method whose cost is not known."""

    def __init__(self, method: str, known: Iterable[str]) -> None:
        self.method = method
        super().__init__(f"the cost of the method {method!r} is not known; known are {', '.join(known)}.")


class NeverFits(QuotaError):
    """A cost above the whole rate: waiting for it would never end."""

    def __init__(self, cost: int, rate: object) -> None:
        self.cost = cost
        super().__init__(f"a cost of {cost} never fits into {rate}; raise the rate or share it among fewer.")


class NeverDone(QuotaError):
    """A run that its senders would not finish in ten years."""

    def __init__(self, count: int, why: str) -> None:
        self.count = count
        self.why = why
        super().__init__(
            f"{count:,} messages would not be sent within ten years: {why}. Add mailboxes or raise the limit."
        )
