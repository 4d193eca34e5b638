"""The limits as one value: read from limits.toml, changed by the configuration, asked by everything that sends."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from millstream.quota.errors import BadLimit, BadRate, UnknownLimit, UnknownMethod, UnknownPreset
from millstream.quota.rate import Rate

DEFAULT_PRESET: Final = "google-2026"
_COST: Final = "cost."
_OFF: Final = "none"
_RATES: Final = frozenset(
    {
        "units_per_minute_user",
        "units_per_minute_project",
        "units_per_day_project",
        "messages_per_day",
        "recipients_per_day",
        "upload_bytes_per_day",
        "relay_messages_per_day",
        "relay_recipients_per_user_day",
        "relay_recipients_per_period",
        "relay_recipients_per_day",
    }
)
_SIZE = re.compile(r"\s*([0-9]+(?:_[0-9]+)*)\s*(|B|kB|KiB|MB|MiB)\s*")
_SIZE_UNITS: Final = {"": 1, "B": 1, "kB": 1_000, "KiB": 1_024, "MB": 1_000_000, "MiB": 1_048_576}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one limit comes from, for documentation and for `doctor`."""

    name: str
    value: str
    unit: str
    source: str
    read: str
    certainty: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be sent, how fast and how big. None means: not limited.

    Rates in units count per minute or day; ``messages_per_day``, ``recipients_per_day`` and
    ``upload_bytes_per_day`` hold for one mailbox over a rolling 24 hours. ``warm_up`` is the message budget
    of a mailbox by its age in days. ``costs`` are quota units by Gmail method name (``drafts.create``).

    Those of the SMTP relay begin with ``relay_``: messages and recipients of one registered user over 24 hours,
    recipients of the whole organisation over a period and over 24 hours, recipients of one transaction.
    """

    preset_name: str
    units_per_minute_user: Rate | None
    units_per_minute_project: Rate | None
    units_per_day_project: Rate | None
    messages_per_day: Rate | None
    recipients_per_day: Rate | None
    upload_bytes_per_day: Rate | None
    max_upload_bytes: int
    max_message_bytes: int
    concurrency: int
    relay_messages_per_day: Rate | None
    relay_recipients_per_user_day: Rate | None
    relay_recipients_per_period: Rate | None
    relay_recipients_per_day: Rate | None
    relay_recipients_per_transaction: int
    warm_up: tuple[int, ...]
    costs: Mapping[str, int]

    @classmethod
    def preset(cls, name: str = DEFAULT_PRESET, overrides: Mapping[str, str] | None = None) -> "Limits":
        """A preset of limits.toml with single limits replaced, for example ``{"units_per_minute_user": "3_000/min"}``.

        Rates are written like "2_000/day", sizes like "18 MB" or "18_000_000", warm_up like "500, 1_000",
        costs as ``cost.messages.get``; "none" switches a rate or the warm-up off.

        Raises:
            UnknownPreset, UnknownLimit: with the names there are.
            BadLimit: a value that the limit cannot take.
        """
        rows = _rows(name)
        values = {limit: _value(limit, row["value"]) for limit, row in rows.items() if limit != "cost"}
        costs = dict(rows["cost"]["methods"])
        for limit, text in (overrides or {}).items():
            if limit.startswith(_COST) and limit.removeprefix(_COST) in costs:
                costs[limit.removeprefix(_COST)] = _count(limit, text, least=0)
            elif limit in values:
                values[limit] = _value(limit, text)
            else:
                raise UnknownLimit(limit, values)
        return cls(preset_name=name, costs=MappingProxyType(costs), **values)

    def cost(self, method: str) -> int:
        """The quota units of one call of a Gmail method.

        Raises:
            UnknownMethod: with the methods there are.
        """
        try:
            return self.costs[method]
        except KeyError as problem:
            raise UnknownMethod(method, self.costs) from problem

    def cost_of_delivery(self, mode: str) -> int:
        """The units of one delivery: draft and send in mode "draft", send alone in mode "direct"."""
        if mode == "draft":
            return self.cost("drafts.create") + self.cost("drafts.send")
        return self.cost("messages.send")

    def as_text(self) -> dict[str, str]:
        """Every limit by name in the form that an override takes."""
        skipped = {"preset_name", "costs"}
        return {field.name: _text(getattr(self, field.name)) for field in fields(self) if field.name not in skipped}


def presets() -> Mapping[str, str]:
    """The names of the presets, each with its sentence."""
    return {name: table["title"] for name, table in _data().items()}


def provenance(name: str = DEFAULT_PRESET) -> tuple[Provenance, ...]:
    """Every limit of a preset with its source, the methods' costs last.

    Raises:
        UnknownPreset: with the names there are.
    """
    rows = dict(_rows(name))
    cost = rows.pop("cost")
    methods = {f"{_COST}{method}": cost | {"value": units} for method, units in cost["methods"].items()}
    return tuple(
        Provenance(limit, _text(_value(limit, row["value"])), row["unit"], row["source"], row["read"], row["certainty"])
        for limit, row in (rows | methods).items()
    )


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(files("millstream.quota").joinpath("limits.toml").read_text(encoding="utf-8"))


def _rows(name: str) -> dict[str, Any]:
    """The preset's tables, those of its base beneath them."""
    data = _data()
    if name not in data:
        raise UnknownPreset(name, data)
    own = {limit: row for limit, row in data[name].items() if isinstance(row, dict)}
    if "base" not in data[name]:
        return own
    base = _rows(data[name]["base"])
    if "cost" in own:
        own["cost"] = own["cost"] | {"methods": base["cost"]["methods"] | own["cost"]["methods"]}
    return base | own


def _value(limit: str, given: Any) -> Any:
    """A limit's value from the form it has in limits.toml or in an override."""
    text = given if isinstance(given, str) else None
    if limit in _RATES:
        return None if given == _OFF else _rate(limit, str(given))
    if limit == "warm_up":
        return _warm_up(limit, text) if text is not None else tuple(given)
    return _count(limit, text, least=1) if text is not None else int(given)


def _rate(limit: str, text: str) -> Rate:
    try:
        return Rate.parse(text)
    except BadRate as problem:
        raise BadLimit(limit, text, str(problem)) from problem


def _warm_up(limit: str, text: str) -> tuple[int, ...]:
    if text.strip() in ("", _OFF):
        return ()
    return tuple(_count(limit, part, least=1) for part in text.split(","))


def _count(limit: str, text: str, *, least: int) -> int:
    match = _SIZE.fullmatch(text)
    count = int(match[1]) * _SIZE_UNITS[match[2]] if match else -1
    if count < least:
        raise BadLimit(limit, text, f'write a whole number from {least}, like "18_000_000" or "18 MB".')
    return count


def _text(value: Any) -> str:
    if value is None or value == ():
        return _OFF
    if isinstance(value, tuple):
        return ", ".join(f"{count:_}" for count in value)
    return f"{value:_}" if isinstance(value, int) else str(value)
