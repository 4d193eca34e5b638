"""The configuration: one settings class, read once at the edge (app and cli) and passed down as values."""

from millstream.config.errors import ConfigError, ConfigUnreadable, Problem
from millstream.config.load import load
from millstream.config.page import Shown, reference, sample, shown
from millstream.config.settings import Settings

__all__ = [
    "ConfigError",
    "ConfigUnreadable",
    "Problem",
    "Settings",
    "Shown",
    "load",
    "reference",
    "sample",
    "shown",
]
