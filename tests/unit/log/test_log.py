"""Logs: one line an event, whoever writes it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from millstream import log


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def _events(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_context() -> None:
    out = io.StringIO()
    log.set_up(format="json", stream=out)
    structlog.get_logger("delivery").info("delivery accepted", mailbox="a@example.com", tries=1)
    (event,) = _events(out)
    assert list(event)[:3] == ["at", "level", "event"]
    assert (
        event.items() >= {"level": "info", "event": "delivery accepted", "mailbox": "a@example.com", "tries": 1}.items()
    )


def test_what_libraries_log_comes_out_alike() -> None:
    out = io.StringIO()
    log.set_up(format="json", stream=out)
    logging.getLogger("psycopg.pool").warning("error connecting in %r", "pool", extra={"attempt": 2})
    (event,) = _events(out)
    assert event.items() >= {"event": "error connecting in 'pool'", "attempt": 2, "logger": "psycopg.pool"}.items()


def test_the_daily_business_of_libraries_is_left_out() -> None:
    out = io.StringIO()
    log.set_up(format="json", stream=out)
    logging.getLogger("procrastinate.worker").info("Starting job")
    assert _events(out) == []


def test_events_below_the_level_are_left_out() -> None:
    out = io.StringIO()
    log.set_up("warning", format="json", stream=out)
    structlog.get_logger("x").info("small talk")
    structlog.get_logger("x").warning("something")
    assert [event["event"] for event in _events(out)] == ["something"]


def test_an_exception_stays_in_its_line() -> None:
    out = io.StringIO()
    log.set_up(format="json", stream=out)
    try:
        int("two\nlines")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    (event,) = _events(out)
    assert "ValueError: invalid literal" in event["exception"]
    assert "Traceback" in event["exception"]


def test_a_stream_that_is_no_terminal_gets_json_unless_told_otherwise() -> None:
    plain, told = io.StringIO(), io.StringIO()
    log.set_up(stream=plain)
    structlog.get_logger("x").info("hello")
    log.set_up(format="console", stream=told)
    structlog.get_logger("x").info("hello")
    assert plain.getvalue().startswith("{")
    assert "hello" in told.getvalue()
    assert not told.getvalue().startswith("{")
