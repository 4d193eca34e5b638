"""Carries next steps out: durable before each call, and a look before anything is called again."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

from millstream.drill import Drill
from millstream.exstream.errors import Effect, ExstreamError
from millstream.log import get_logger
from millstream.nextstep.composing import ComposeByEngine, Fulfil, Generate, Trigger
from millstream.nextstep.errors import BadWish, HandingFailed, NextStepError
from millstream.nextstep.files import DropFile, WriteControlFile
from millstream.nextstep.model import Attempt, Found, Move, NextStep, StepRules, StepState, Verb
from millstream.nextstep.resources import NotAllChanged, SetState, SetStates
from millstream.nextstep.running import Release, Reprocess, Stop
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import Doing, Tools
from millstream.storage.errors import DatabaseError, DocumentMissing, StorageError

log = get_logger(__name__)

TICK: Final = 0.25
"""Seconds between two searches for what is due; a wish of this process's own comes at once."""

VERBS: Final[Mapping[Verb, Doing]] = {
    Verb.RELEASE_STEP: Release(),
    Verb.RELEASE_FLOW: Release(),
    Verb.STOP_STEP: Stop(),
    Verb.STOP_FLOW: Stop(),
    Verb.STOP_JOB: Stop(),
    Verb.SET_STATE: SetState(),
    Verb.SET_STATES: SetStates(),
    Verb.REPROCESS: Reprocess(),
    Verb.GENERATE: Generate(),
    Verb.FULFIL: Fulfil(),
    Verb.TRIGGER: Trigger(),
    Verb.DROP_FILE: DropFile(),
    Verb.COMPOSE_EWS: ComposeByEngine(),
    Verb.CONTROL_FILE: WriteControlFile(),
}


class Point(StrEnum):
    """Where a recovery drill may end the process."""

    AFTER_BEGIN = "after_begin_before_call"
    AFTER_CALL = "after_call_before_settle"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """How steps are carried out. Times are in seconds."""

    concurrency: int = 16
    most_tries: int = 8
    lease: float = 30.0
    settle: float = 5.0
    closing: float = 60.0
    """How long calls in flight are waited for when the process ends."""
    drill: str | None = None

    @property
    def rules(self) -> StepRules:
        """What the model asks for."""
        return StepRules(self.most_tries, self.settle)


@dataclass(slots=True)
class Carrier:
    """One process's share of the steps. `carry_due` is its sweep; it starts what is due and waits for none of it.

    Use it as a context manager: its leases are kept while it is open, and at its end calls in flight are waited for.
    """

    store: StepStore
    tools: Tools
    options: StepOptions = field(default_factory=StepOptions)
    verbs: Mapping[Verb, Doing] = field(default_factory=lambda: VERBS)
    _holder: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _keeper: asyncio.Task[None] | None = None
    _drill: Drill = field(init=False)

    def __post_init__(self) -> None:
        self._drill = Drill(self.options.drill, Point)

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="next_steps")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=self.options.closing)
        for task in (*self._running, *((self._keeper,) if self._keeper else ())):
            task.cancel()
        await asyncio.gather(*self._running, *((self._keeper,) if self._keeper else ()), return_exceptions=True)
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(5.0):
                await self.store.leave(self._holder)

    async def carry_due(self) -> int:
        """Begin what is due, as far as there is room; answers how many steps were taken in hand.

        Raises:
            DatabaseError: the database is away.
        """
        room = self.options.concurrency - len(self._running)
        if room <= 0:
            return 0
        steps = await self.store.claim(self._holder, most=room, seconds=self.options.lease)
        for step in steps:
            task = asyncio.create_task(self._guarded(step), name=f"step:{step.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(steps)

    async def drain(self) -> None:
        """Wait until nothing is in flight."""
        while self._running:
            await asyncio.gather(*self._running)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.options.lease / 3)
            if self._running:
                with suppress(DatabaseError):  # the lease may end; then another process looks before it calls
                    await self.store.keep(self._holder, seconds=self.options.lease)

    async def _guarded(self, step: NextStep) -> None:
        try:
            await self._carry(step)
        except DatabaseError as error:
            # What was begun stands in `doing` with a lease that ends: it is looked at then.
            log.warning("step.database_away", step=step.id, verb=step.wish.verb, error=str(error))
        except Exception:
            log.exception("step.broken", step=step.id, verb=step.wish.verb)

    async def _carry(self, step: NextStep) -> None:
        doing = self.verbs[step.wish.verb]
        if step.state is StepState.DOING:
            move = await self._look(doing, step)
        else:
            begun = await self._begin(doing, step)
            if begun is None:
                log.info("step.not_begun", step=step.id, verb=step.wish.verb)
                return
            step, move = begun
        held = await self.store.settle(self._holder, step, move)
        _told(step, move, held=held)

    async def _begin(self, doing: Doing, step: NextStep) -> tuple[NextStep, Move] | None:
        """Note what stands before the call, make the call durable, and make it."""
        problem: Exception | None = None
        before: Mapping[str, Any] = {}
        try:
            before = await doing.before(step, self.tools)
        except (ExstreamError, NextStepError, StorageError) as error:
            problem = error
        except Exception as error:
            log.exception("step.broken", step=step.id, verb=step.wish.verb)
            problem = BadWish(f"{type(error).__name__}: {error}; please report it with the log")
        # Also where nothing was asked for yet: it counts as a try, so that it comes to an end.
        begun = await self.store.begin(self._holder, step, before)
        if begun is None:
            return None
        if problem is not None:
            return begun, self._refused(begun, problem, asked=False)
        return begun, await self._call(doing, begun)

    async def _call(self, doing: Doing, step: NextStep) -> Move:
        self._drill.passes(Point.AFTER_BEGIN)
        try:
            result = await doing.call(step, self.tools)
        except (ExstreamError, NextStepError, StorageError) as error:
            return self._refused(step, error, asked=True)
        except Exception as error:
            log.exception("step.broken", step=step.id, verb=step.wish.verb)
            evidence = f"{type(error).__name__}: {error}; please report it with the log"
            return step.unclear(Attempt("call", "internal_error", "unknown", evidence=evidence), self.options.rules)
        self._drill.passes(Point.AFTER_CALL)
        return step.done(Attempt("call", "done", "yes"), result)

    async def _look(self, doing: Doing, step: NextStep) -> Move:
        try:
            found = await doing.look(step, self.tools)
        except ExstreamError as error:
            effect: Found = Found("unknown", type(error).__name__, str(error))
            if not error.temporary:
                # Nobody can look (gone, forbidden): waiting shows no more.
                attempt = Attempt("probe", effect.outcome, "unknown", error.status, effect.evidence)
                return Move(StepState.UNCERTAIN, attempt, reason=effect.evidence)
            found = effect
        except NextStepError as error:
            return Move(
                StepState.UNCERTAIN,
                Attempt("probe", type(error).__name__, "unknown", evidence=str(error)),
                reason=str(error),
            )
        except Exception as error:
            log.exception("step.look_broken", step=step.id, verb=step.wish.verb)
            found = Found("unknown", "internal_error", f"{type(error).__name__}: {error}")
        return step.found(found, self.options.rules, most_calls=doing.most_calls)

    def _refused(self, step: NextStep, error: Exception, *, asked: bool) -> Move:
        """Where an error leads: away and again, looked at first, or to a person."""
        if isinstance(error, ExstreamError):
            effect = error.effect if asked else Effect.NO
            attempt = Attempt("call", type(error).__name__, _word(effect), error.status, str(error))
            if effect is not Effect.NO:
                return step.unclear(attempt, self.options.rules)
            if error.temporary:
                return step.put_off(attempt, self.options.rules, at_least=_wait(error.retry_at))
            return step.failed(attempt)
        attempt = Attempt("call", type(error).__name__, "no", evidence=str(error))
        if isinstance(error, NotAllChanged):
            return step.failed(Attempt("call", "in_part", "yes", evidence=str(error)), error.result)
        if isinstance(error, HandingFailed) or (
            isinstance(error, StorageError) and not isinstance(error, DocumentMissing)
        ):
            return step.put_off(attempt, self.options.rules)
        return step.failed(attempt)


def _told(step: NextStep, move: Move, *, held: bool) -> None:
    level: Callable[..., None] = log.info
    if move.state in {StepState.FAILED, StepState.UNCERTAIN}:
        level = log.warning
    facts: dict[str, Any] = {"step": step.id, "verb": step.wish.verb, "target": step.wish.target}
    level(f"step.{move.state}", **facts, outcome=move.attempt.outcome, reason=move.reason, held=held)


def _word(effect: Effect) -> Any:
    return {Effect.NO: "no", Effect.YES: "yes"}.get(effect, "unknown")


def _wait(retry_at: datetime | None) -> float:
    return 0.0 if retry_at is None else max(0.0, (retry_at - datetime.now(UTC)).total_seconds())
