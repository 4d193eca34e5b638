"""Next steps and email events, put together: what of them runs in a worker, and who answers what is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from millstream.app.exstream import engine_service, exstream, exstream_options
from millstream.app.house import House
from millstream.app.intake import reception
from millstream.app.pull import hands, pulling
from millstream.config import Settings
from millstream.exstream.client import Exstream
from millstream.exstream.email_events import EventSchema
from millstream.exstream.event_post import EventPost
from millstream.exstream.model import Generated
from millstream.intake.errors import IntakeError
from millstream.intake.pull.composed import take_composed
from millstream.intake.pull.handing import Hands
from millstream.nextstep import listening
from millstream.nextstep.carry import TICK, Carrier, StepOptions
from millstream.nextstep.emission import EmailEvents, EmissionOptions, Outbox
from millstream.nextstep.errors import BadWish, HandingFailed
from millstream.nextstep.model import NextStep
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import HandIn, Tools
from millstream.storage.duty import Duty
from millstream.storage.pool import Pool
from millstream.work.engine import Sweep
from millstream.work.events import Listener

_EMISSION_EVERY = 5.0


def step_options(settings: Settings) -> StepOptions:
    """How steps are carried out."""
    steps = settings.next_steps
    return StepOptions(
        concurrency=steps.concurrency,
        most_tries=steps.most_tries,
        lease=steps.lease_seconds,
        settle=steps.settle_seconds,
        drill=steps.drill,
    )


def emission_options(settings: Settings) -> EmissionOptions:
    """Where email events go, and what stands in them."""
    events = settings.email_events
    return EmissionOptions(
        url=events.url,
        file=events.file,
        schema=EventSchema(
            provider=events.provider,
            version=events.schema_version,
            source=events.schema_source,
            tenant=events.tenant,
            domain=settings.exstream.domain,
        ),
        post_after=events.post_after_seconds,
    )


def step_listeners(settings: Settings) -> Mapping[str, Listener]:
    """Kind of event to who answers it: what is asked for, and bounces where email events are told."""
    return {**listening.listeners(), **Outbox(emission_options(settings)).listeners()}


@asynccontextmanager
async def open_exstream(settings: Settings) -> AsyncIterator[Exstream | None]:
    """Exstream's services, or None where this installation has none.

    Raises:
        ExstreamError: what its tokens need is not set.
    """
    if settings.exstream.mode not in {"cloud", "local"}:
        yield None
        return
    async with exstream(settings) as opened:
        yield opened


@asynccontextmanager
async def exstream_side(house: House) -> AsyncIterator[tuple[Sweep, ...]]:
    """What of Exstream runs in a worker: next steps, email events, the door that fetches, the look for exceptions.

    Raises:
        ExstreamError: what its tokens or its engine need is not set.
    """
    async with open_exstream(house.settings) as server:
        taking = hands(house.settings, reception(house))
        async with next_steps(house, server=server, hands=taking) as steps:
            if server is None:
                yield steps
                return
            async with pulling(house, server, taking) as fetching:
                yield (*steps, *fetching)


@asynccontextmanager
async def next_steps(
    house: House, *, server: Exstream | None = None, hands: Hands | None = None
) -> AsyncIterator[tuple[Sweep, ...]]:
    """The sweeps of next steps and email events, closed in order: calls in flight are waited for.

    Args:
        house: what is open.
        server: Exstream's services, where there are any (`open_exstream`).
        hands: takes in what is composed, where something does.
    """
    settings = house.settings
    async with AsyncExitStack() as stack:
        engine = None
        if settings.exstream.ews_url is not None:
            engine = await stack.enter_async_context(engine_service(settings))
        tools = Tools(
            documents=house.documents,
            exstream=server,
            engine=engine,
            hand_in=None if hands is None else hand_in(hands),
            drop_folder=settings.exstream.drop_folder,
            drop_done_folder=settings.exstream.drop_done_folder,
            comment=settings.next_steps.comment,
        )
        store = StepStore(house.pool, patience=settings.database.patience_seconds)
        carrier = await stack.enter_async_context(Carrier(store, tools, step_options(settings)))
        sweeps = [Sweep("next_steps", TICK, carrier.carry_due)]
        options = emission_options(settings)
        if options.on:
            post = await stack.enter_async_context(EventPost(exstream_options(settings)))
            sweeps.append(Sweep("email_events", _EMISSION_EVERY, _telling(house.pool, options, post)))
        yield tuple(sweeps)


def hand_in(hands: Hands) -> HandIn:
    """What takes in the outputs of a step."""

    async def take(step: NextStep, outputs: Sequence[Generated]) -> Mapping[str, Any]:
        facts = step.wish.arguments.get("facts") or {}
        if not isinstance(facts, Mapping):
            raise BadWish(f"step {step.id}: facts are no names with values")
        run = str(step.wish.arguments.get("run") or f"step/{step.id}")
        named = {str(name): str(value) for name, value in facts.items()}
        try:
            return await take_composed(hands, step.id, outputs, run_key=run, facts=named)
        except IntakeError as error:
            raise HandingFailed(str(error)) from error

    return take


def _telling(pool: Pool, options: EmissionOptions, post: EventPost) -> Callable[[], Awaitable[None]]:
    events, duty = EmailEvents(pool, options, post), Duty(pool, "email_events")

    async def tell() -> None:
        if await duty.hold():
            await events.tell()

    return tell
