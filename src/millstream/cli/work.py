"""How a command does its work: with the settings of this call, in the open house, and with our errors as sentences."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from millstream import log
from millstream.app.house import House, open_house
from millstream.audit.errors import AuditError
from millstream.cli import frame
from millstream.communication.errors import CommunicationError
from millstream.config import ConfigError, Settings, load
from millstream.delivery.errors import DeliveryError
from millstream.drill import UnknownDrill
from millstream.exstream.errors import ExstreamError, NoCredentials, NotConfigured
from millstream.gmail.errors import BadCredentials, GmailError
from millstream.intake.errors import BadPasswordRule, IntakeError
from millstream.mailbox.errors import MailboxError
from millstream.nextstep.errors import NextStepError
from millstream.quota import QuotaError
from millstream.review.errors import BadPolicy, ReviewError
from millstream.storage.errors import StorageError

Answer = TypeVar("Answer")

WRONG = (
    BadCredentials,
    BadPasswordRule,
    BadPolicy,
    ConfigError,
    NoCredentials,
    NotConfigured,
    QuotaError,
    UnknownDrill,
)
FAILED = (
    AuditError,
    CommunicationError,
    DeliveryError,
    ExstreamError,
    GmailError,
    IntakeError,
    MailboxError,
    NextStepError,
    ReviewError,
    StorageError,
)


def settings() -> Settings:
    """The settings of this call; logs go where they say."""
    loaded = load(frame.config_file())
    log.set_up(loaded.logging.level, loaded.logging.format)
    return loaded


def run(
    work: Callable[[], Coroutine[Any, Any, Answer]],
    *,
    goes_on: str = "what was committed stays, and the same command goes on from there",
) -> Answer:
    """Run a command's work to its end; `goes_on` is what Ctrl-C leaves behind."""
    return frame.finish(work, wrong=WRONG, failed=FAILED, goes_on=goes_on)


def in_house(work: Callable[[House], Awaitable[Answer]]) -> Answer:
    """Run a command's work with the house open."""

    async def opened() -> Answer:
        async with open_house(settings()) as house:
            return await work(house)

    return run(opened)
