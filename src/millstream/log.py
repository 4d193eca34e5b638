"""Logs as events, on standard error: one line each, for people on a terminal, as JSON for machines.

Every logger goes this way, those of the libraries too. Standard output stays free for what a command answers.
"""

import logging
import sys
from typing import Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

# What these libraries say at "info" is their daily business, not ours.
_CHATTY = ("procrastinate", "psycopg", "aiohttp", "asyncio", "alembic", "mail.log")


def set_up(level: Level = "info", format: Format = "auto", stream: TextIO | None = None) -> None:  # noqa: A002  the setting's name
    """Send every log event at `level` or above to `stream`, standard error by default.

    Calling it again changes what is in force.
    """
    out = stream or sys.stderr
    as_json = format == "json" or (format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(as_json, out)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")


def _rendering(as_json: bool, out: TextIO) -> list[Processor]:  # noqa: FBT001  private, called once
    if as_json:
        return [
            structlog.processors.format_exc_info,
            _event_first,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    return [structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="at", pad_event_to=32)]


def _event_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put when, how bad and what in front, so that a line can be read from its left end."""
    front = {key: event.pop(key) for key in ("at", "level", "event") if key in event}
    return {**front, **event}


def _dumps(event: EventDict, **_options: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
