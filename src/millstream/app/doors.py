"""What stands between Exstream and a worker: doors whose consignments are taken, and next steps that are carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from millstream.app.house import House
from millstream.app.intake import TAKE_EVERY, reception, taker
from millstream.app.pull import hands
from millstream.app.smtp import message_opening
from millstream.app.steps import next_steps, open_exstream
from millstream.intake.consignment import Kind
from millstream.work.engine import Sweep


@asynccontextmanager
async def doors(house: House) -> AsyncIterator[tuple[Sweep, ...]]:
    """What a worker does about Exstream, as sweeps; closed in order.

    Raises:
        ExstreamError: what its tokens need is not set.
    """
    settings = house.settings
    async with AsyncExitStack() as stack:
        taking = await stack.enter_async_context(taker(house, {Kind.MESSAGE: message_opening(settings)}))
        server = await stack.enter_async_context(open_exstream(settings))
        receiving = reception(house)
        steps = await stack.enter_async_context(next_steps(house, server=server, hands=hands(settings, receiving)))
        yield (Sweep("intake", TAKE_EVERY, taking.take_due), *steps.sweeps)
