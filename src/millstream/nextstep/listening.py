"""How other rooms ask: by the event `step.asked`, in the transaction that decided it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from millstream.nextstep.errors import BadWish
from millstream.nextstep.model import Verb, Wish
from millstream.nextstep.store import StepStore
from millstream.storage.pool import Connection

ASKED = "step.asked"


class AskingEvent(Protocol):
    """What of an event is read."""

    @property
    def id(self) -> int:
        """Its number; part of the step's key."""

    @property
    def subject(self) -> str:
        """What the step is about."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """verb, target, and: domain, arguments, content, actor, key."""

    @property
    def at(self) -> datetime:
        """When it was asked."""


def listeners() -> dict[str, Callable[[Connection, AskingEvent], Awaitable[None]]]:
    """Kind of event to who answers it, for `work.events.Events`."""
    return {ASKED: asked}


async def asked(conn: Connection, event: AskingEvent) -> None:
    """Write the wish down; the same event asks once.

    Raises:
        BadWish: it names no verb of ours, or lacks its target; the event is put aside.
    """
    await StepStore.ask(conn, wish_of(event))


def wish_of(event: AskingEvent) -> Wish:
    """The wish that an event carries.

    Raises:
        BadWish: it names no verb of ours, or lacks its target.
    """
    facts = event.payload
    try:
        verb = Verb(str(facts.get("verb")))
    except ValueError as error:
        raise BadWish(f"event {event.id}: {facts.get('verb')!r} is no verb; there are {', '.join(Verb)}") from error
    target, arguments = facts.get("target"), facts.get("arguments") or {}
    if not isinstance(target, str) or not target or not isinstance(arguments, Mapping):
        raise BadWish(f"event {event.id}: a step ({verb}) needs a target and, where there are any, named arguments")
    return Wish(
        key=str(facts.get("key") or f"event:{event.id}:{verb}"),
        verb=verb,
        target=target,
        subject=event.subject,
        actor=str(facts.get("actor") or "event"),
        domain=str(facts.get("domain") or ""),
        arguments=arguments,
        content=facts.get("content") or None,
    )
