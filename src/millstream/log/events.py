"""How an event becomes a line: structlog's processors. Imported by `millstream.log` when the first event comes."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.StackInfoRenderer(),
)


def configure() -> None:
    """Send structlog's events through the standard library's loggers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> Any:
    """The logger of structlog behind one of ours."""
    if not structlog.is_configured():
        configure()
    return structlog.get_logger(name)


def formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    """What turns a record, ours or a library's, into a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(as_json, colors)],
    )


def _rendering(as_json: bool, colors: bool) -> list[Processor]:  # noqa: FBT001  private, called once
    if as_json:
        return [
            structlog.processors.format_exc_info,
            _event_first,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    return [structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="at", pad_event_to=32)]


def _event_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put when, how bad and what in front, so that a line can be read from its left end."""
    front = {key: event.pop(key) for key in ("at", "level", "event") if key in event}
    return {**front, **event}


def _dumps(event: EventDict, **_options: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
