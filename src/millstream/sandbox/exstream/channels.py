"""Output channels: where a flow's documents go. `retained` needs nothing: the engine's work area is there anyway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson
from pybase64 import b64encode

from millstream.log import get_logger
from millstream.sandbox.exstream import tree
from millstream.sandbox.exstream.faults import Kind
from millstream.sandbox.exstream.flows import FileChannel, HttpsChannel, RetainedChannel, SmtpChannel
from millstream.sandbox.exstream.jobs import Customer, FlowInstance, Job, Step
from millstream.sandbox.exstream.mail import Mailer, MailRefused
from millstream.sandbox.exstream.world import World
from millstream.sandbox.gmail.faults import Point

_log = get_logger(__name__)

FIRST_GAP_SECONDS: Final = 0.2
LONGEST_GAP_SECONDS: Final = 10.0
POST_SECONDS: Final = 300.0
_OK: Final = range(200, 300)
_LATER: Final = frozenset({408, 425, 429, *range(500, 600)})


class NotDelivered(Exception):
    """A channel's other side did not take what it was given; the sentence says who and why."""


class _NotNow(Exception):
    """Worth another try."""


class Channels:
    """Delivers flows."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def deliver(self, flow: FlowInstance, step: Step) -> None:
        """Give a flow's documents to the step's channel; raises `NotDelivered`."""
        channel = flow.job.model.channels[step.channel or 0]
        made = [customer for customer in flow.customers if customer.status == "composed"]
        try:
            if isinstance(channel, FileChannel):
                await self._into_folder(channel, flow)
            elif isinstance(channel, HttpsChannel):
                if channel.each == "job":
                    return  # when the whole job is there: `end`
                await self._post_each(channel, flow, made)
            elif isinstance(channel, SmtpChannel):
                await self._mail_each(channel, flow, made)
        except OSError as error:
            raise NotDelivered(f"Output channel {channel.type}: {error}") from None
        if not isinstance(channel, RetainedChannel):
            self._note(channel.type, made)

    async def end(self, job: Job) -> None:
        """What goes out when the whole job is there; raises `NotDelivered`."""
        for channel in job.model.channels:
            if isinstance(channel, HttpsChannel) and channel.each == "job":
                made = [(flow, one) for flow in job.flows if flow.status == "complete" for one in flow.customers]
                done = [(flow, one) for flow, one in made if one.status == "composed"]
                if done:
                    await self._post_job(channel, job, done)
                    self._note(channel.type, [one for _, one in done])

    def _note(self, kind: str, customers: list[Customer]) -> None:
        for customer in customers:
            customer.delivered.append(kind)
        self._world.delivered[kind] += len(customers)

    # Folder

    async def _into_folder(self, channel: FileChannel, flow: FlowInstance) -> None:
        if flow.folder is None:
            raise NotDelivered(f"The output of flow instance {flow.id} is gone")
        target = tree.output_folder(Path(channel.directory), flow)
        rule = self._world.faults.strike(Point.ODD, "channel.file", flow.job.domain)
        half = rule.delay if rule is not None and rule.kind is Kind.HALF_FILE else channel.half_seconds
        if not half:
            await asyncio.to_thread(tree.deliver, flow, flow.folder, target)
            return
        await asyncio.to_thread(tree.deliver_halves, flow, flow.folder, target)
        await asyncio.sleep(half)
        await asyncio.to_thread(tree.complete, flow, flow.folder, target)

    # HTTP

    async def _post_each(self, channel: HttpsChannel, flow: FlowInstance, customers: list[Customer]) -> None:
        async with _session(channel) as session:

            async def post(customer: Customer) -> None:
                record = await asyncio.to_thread(record_of, flow, customer)
                headers = {
                    "Content-Type": "application/json",
                    "Idempotency-Key": quote(f"{flow.job.id}/{customer.key}"),
                }
                await self._patiently(
                    channel.tries, lambda: _post(session, channel, flow, headers, orjson.dumps(record))
                )

            await _in_parallel(customers, channel.connections, post)

    async def _post_job(self, channel: HttpsChannel, job: Job, done: list[tuple[FlowInstance, Customer]]) -> None:
        async def lines() -> AsyncIterator[bytes]:
            for flow, customer in done:
                yield orjson.dumps(await asyncio.to_thread(record_of, flow, customer)) + b"\n"

        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": job.id}
        async with _session(channel) as session:
            await self._patiently(channel.tries, lambda: _post(session, channel, job.flows[0], headers, lines()))

    # Mail

    async def _mail_each(self, channel: SmtpChannel, flow: FlowInstance, customers: list[Customer]) -> None:
        mailer = Mailer(channel)
        try:

            async def mail(customer: Customer) -> None:
                await self._patiently(channel.tries, lambda: _mail(mailer, flow, customer))

            await _in_parallel(customers, channel.connections, mail)
        finally:
            await asyncio.to_thread(mailer.close)

    async def _patiently(self, tries: int, work: Callable[[], Awaitable[None]]) -> None:
        gap = FIRST_GAP_SECONDS
        for left in reversed(range(tries)):
            try:
                await work()
            except _NotNow as problem:
                if not left:
                    raise NotDelivered(str(problem)) from None
                _log.debug("sandbox_channel_waits", problem=str(problem), seconds=gap)
                await asyncio.sleep(gap)
                gap = min(2 * gap, LONGEST_GAP_SECONDS)
            else:
                return


def record_of(flow: FlowInstance, customer: Customer) -> dict[str, Any]:
    """What a customer's POST carries: the record with what was composed, documents in base64."""
    given = customer.record
    record: dict[str, Any] = {
        "key": customer.key,
        "type": customer.type,
        "customer": {"id": customer.id, "name": customer.name},
        "recipient": dict(customer.recipient),
        "locale": customer.locale,
        "subject": customer.subject,
        "text": customer.text,
        "documents": [],
        "source": {"system": "exstream", "domain": flow.job.domain, "job": flow.job.id, "flow": flow.id},
    }
    if given.get("stream"):
        record["stream"] = given["stream"]
    for made in customer.files:
        content = tree.content_of(flow, made.place)
        if made.driver == "HTML":
            record["html"] = content.decode()
        elif made.driver == "PDF":
            document = {"name": made.name, "media_type": made.media_type, "content": b64encode(content).decode()}
            record["documents"].append(document)
    return record


def _session(channel: HttpsChannel) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=channel.connections)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=POST_SECONDS))


async def _post(
    session: aiohttp.ClientSession, channel: HttpsChannel, flow: FlowInstance, headers: dict[str, str], body: Any
) -> None:
    """One POST; raises `_NotNow` or `NotDelivered`."""
    words = {"job": flow.job.id, "flow": flow.id, "channel": flow.job.model.service}
    sent = headers | {name: tree.filled(value, words) for name, value in channel.headers.items()}
    url = tree.filled(channel.url, words)
    try:
        async with session.post(url, data=body, headers=sent, allow_redirects=False) as reply:
            said = (await reply.text(errors="replace"))[:300]
            status = reply.status
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _NotNow(f"POST {url}: {error or type(error).__name__}") from None
    if status in _OK:
        return
    raise (_NotNow if status in _LATER else NotDelivered)(f"POST {url} answered {status}: {said}")


async def _mail(mailer: Mailer, flow: FlowInstance, customer: Customer) -> None:
    try:
        await asyncio.to_thread(mailer.send, flow, customer)
    except MailRefused as refused:
        raise NotDelivered(str(refused)) from None
    except (OSError, EOFError) as error:  # smtplib's own errors are OSErrors
        raise _NotNow(f"mail to {customer.recipient.get('address')}: {error}") from None


async def _in_parallel(customers: Iterable[Customer], most: int, work: Callable[[Customer], Awaitable[None]]) -> None:
    """Do it for each, so many at once; the first failure ends the rest."""
    todo = iter(customers)

    async def worker() -> None:
        for customer in todo:
            await work(customer)

    workers = [asyncio.ensure_future(worker()) for _ in range(most)]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
