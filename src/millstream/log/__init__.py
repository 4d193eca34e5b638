"""Logs as events, on standard error: one line each, for people on a terminal, as JSON for machines.

Every logger goes this way, those of the libraries too. Standard output stays free for what a command answers.
structlog comes in with the first event: its import brings tracebacks and colours (0.4 s of CPU) that a short command
without a word to say never uses.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

from millstream import lazy

if TYPE_CHECKING:
    from types import ModuleType

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

# What these libraries say at "info" is their daily business, not ours.
_CHATTY = ("procrastinate", "psycopg", "aiohttp", "asyncio", "alembic", "mail.log")


class Logger:
    """Says what happened: a word for the event, and facts beside it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **facts: Any) -> None:
        """For whoever looks for a fault."""
        self._say("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Daily business."""
        self._say("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Somebody should look at it some day."""
        self._say("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Somebody should look at it now."""
        self._say("error", event, facts)

    def exception(self, event: str, **facts: Any) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._say("error", event, {"exc_info": True, **facts})

    def _say(self, method: str, event: str, facts: dict[str, Any]) -> None:
        if logging.getLogger(self._name).isEnabledFor(logging.getLevelNamesMapping()[method.upper()]):
            getattr(_events().logger(self._name), method)(event, **facts)


def get_logger(name: str) -> Logger:
    """The logger of a module, by its `__name__`."""
    return Logger(name)


def set_up(level: Level = "info", format: Format = "auto", stream: TextIO | None = None) -> None:  # noqa: A002  the setting's name
    """Send every log event at `level` or above to `stream`, standard error by default.

    Calling it again changes what is in force.
    """
    out = stream or sys.stderr
    root = logging.getLogger()
    root.handlers = [_Handler(out, as_json=format == "json" or (format == "auto" and not out.isatty()))]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")
    if "structlog" in sys.modules:  # somebody may hold loggers of its own
        _events().configure()


class _Handler(logging.StreamHandler[TextIO]):
    """Writes events; learns how when the first one comes."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        super().__init__(out)
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        if self.formatter is None:
            self.setFormatter(_events().formatter(as_json=self._as_json, colors=self.stream.isatty()))
        return super().format(record)


def _events() -> ModuleType:
    module: ModuleType = lazy.load("millstream.log.events")
    return module
