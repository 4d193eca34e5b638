"""Limits as values, and the arithmetic of sending under them. Pure: the caller brings the clock and the ledger."""

from millstream.quota.budget import UNLIMITED, Budget, daily_budget
from millstream.quota.errors import (
    BadLimit,
    BadRate,
    NeverDone,
    NeverFits,
    QuotaError,
    UnknownLimit,
    UnknownMethod,
    UnknownPreset,
)
from millstream.quota.fleet import Fleet, Mode
from millstream.quota.forecast import DayPlan, Figure, Forecast, forecast
from millstream.quota.limits import DEFAULT_PRESET, Limits, Provenance, presets, provenance
from millstream.quota.rate import Rate, share
from millstream.quota.relay_fleet import RelayFleet
from millstream.quota.roads import Comparison, Mix, compare
from millstream.quota.window import Ticket, Window

__all__ = [
    "DEFAULT_PRESET",
    "UNLIMITED",
    "BadLimit",
    "BadRate",
    "Budget",
    "Comparison",
    "DayPlan",
    "Figure",
    "Fleet",
    "Forecast",
    "Limits",
    "Mix",
    "Mode",
    "NeverDone",
    "NeverFits",
    "Provenance",
    "QuotaError",
    "Rate",
    "RelayFleet",
    "Ticket",
    "UnknownLimit",
    "UnknownMethod",
    "UnknownPreset",
    "Window",
    "compare",
    "daily_budget",
    "forecast",
    "presets",
    "provenance",
    "share",
]
