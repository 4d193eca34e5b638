"""What one Exstream sandbox knows: flows, jobs, resources, documents of Empower, and the time."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from millstream.sandbox.exstream.composing import Composing
from millstream.sandbox.exstream.config import Communication, Domain, SandboxConfig
from millstream.sandbox.exstream.errors import NotFound
from millstream.sandbox.exstream.faults import FaultRule
from millstream.sandbox.exstream.flows import FlowModel
from millstream.sandbox.exstream.jobs import FlowInstance, Job, Step
from millstream.sandbox.gmail.clock import Clock
from millstream.sandbox.gmail.faults import Faults

LONGEST_NAP_SECONDS: Final = 0.5
"""How long a wait sleeps at most before it looks at the clock again; a clock that is moved wakes it at once."""


def new_id() -> str:
    """A random id, as jobs, flows and steps have it."""
    return str(uuid4())


def known_id(*names: str) -> str:
    """The id of something that has a name; the same in every sandbox."""
    return str(uuid5(NAMESPACE_URL, "/".join(("urn:exstream-sandbox", *names))))


def is_id(text: str) -> bool:
    """Whether this is a uuid as Exstream writes one."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


class World:
    """The state of a sandbox; all of it lives in the event loop's thread."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = Clock(start=config.clock_start, rate=config.clock_rate)
        self.faults = Faults[FaultRule](config.seed)
        self.faults.add(config.faults)
        self.composing = Composing(config.threads, config.templates)
        self.domains = {domain.name: domain for domain in config.domains}
        self.flows: dict[tuple[str, str], FlowModel] = {}
        self.communications: dict[tuple[str, str], Communication] = {}
        self.jobs: dict[str, Job] = {}
        self.flow_instances: dict[str, FlowInstance] = {}
        self.steps: dict[str, Step] = {}
        self.empower: dict[str, bytes] = {}
        self.delivered: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.customers = 0
        self.otds_away_until = 0.0
        self._moved = asyncio.Event()
        self._own_folder = config.work_folder is None
        self.folder = Path(config.work_folder or tempfile.mkdtemp(prefix="exstream-sandbox-"))
        self.publish_settings()

    @property
    def first_domain(self) -> str:
        """The domain of whatever names none."""
        return self.config.domains[0].name

    def domain(self, name: str) -> Domain:
        """A domain; raises `NotFound`."""
        if name not in self.domains:
            raise NotFound(f"Domain {name} does not exist or cannot be seen by the caller")
        return self.domains[name]

    # Flows

    def publish_settings(self) -> None:
        """The flows and communications of the settings."""
        for flow in self.config.flows:
            self.publish(flow)
        for one in self.config.communications:
            domain = one.domain or self.first_domain
            self.communications[domain, known_id(domain, "communication", one.name)] = one

    def publish(self, flow: FlowModel) -> FlowModel:
        """Publish a flow; it takes the place of the one on the same channel."""
        flow = flow.model_copy(update={"domain": flow.domain or self.first_domain})
        self.domain(flow.domain)
        self.flows[flow.domain, flow.service] = flow
        return flow

    def flow(self, domain: str, service: str) -> FlowModel:
        """The flow on a channel; raises `NotFound`."""
        self.domain(domain)
        found = self.flows.get((domain, service))
        if found is None:
            raise NotFound(f"No published flow uses the input channel {service} in domain {domain}")
        return found

    # Time

    def moved(self) -> None:
        """The clock was moved: whoever waits looks at it again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def until(self, moment: float, given_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until the sandbox's clock shows a moment, or `given_up` is true when somebody calls `moved`."""
        while (left := moment - self.clock.seconds()) > 0 and not given_up():
            nap = min(left / self.clock.rate, LONGEST_NAP_SECONDS) if self.clock.rate else LONGEST_NAP_SECONDS
            try:
                async with asyncio.timeout(nap):
                    await self._moved.wait()
            except TimeoutError:
                continue

    @property
    def otds_is_away(self) -> bool:
        """Whether OTDS answers nobody."""
        return time.monotonic() < self.otds_away_until

    def send_otds_away(self, seconds: float) -> None:
        """OTDS answers nobody for some real seconds."""
        self.otds_away_until = max(self.otds_away_until, time.monotonic() + seconds)

    # Retention

    def is_wiped(self, job: Job) -> bool:
        """Whether a job's files are gone; they go when this is asked after the date."""
        if job.expires is None or self.clock.seconds() < job.expires:
            return False
        for flow in job.flows:
            if flow.folder is not None:
                shutil.rmtree(flow.folder, ignore_errors=True)
                flow.folder = None
        job.body = b""
        return True

    def state(self) -> dict[str, Any]:
        """What there is, for people and tests."""
        held = [(flow, step) for flow in self.flow_instances.values() if (step := flow.held)]
        return {
            "clock": {"now": self.clock.now().isoformat(), "rate": self.clock.rate},
            "composed": self.composing.count,
            "customers": self.customers,
            "jobs": dict(Counter(job.status for job in self.jobs.values())),
            "held": [{"flow": flow.id, "job": flow.job.id, "step": step.id} for flow, step in held],
            "delivered": {"file": 0, "https": 0, "smtp": 0} | dict(self.delivered),
            "calls": dict(self.calls),
            "faults": self.faults.rules(),
        }

    async def clear(self) -> None:
        """Forget all jobs and documents, stop what runs, and publish the settings' flows again."""
        tasks = [job.task for job in self.jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for known in (self.jobs, self.flow_instances, self.steps, self.empower, self.flows, self.communications):
            known.clear()
        for counted in (self.delivered, self.calls):
            counted.clear()
        self.customers = self.composing.count = 0
        self.otds_away_until = 0.0
        self.publish_settings()

    async def close(self) -> None:
        """Stop everything; the work area goes if it is ours."""
        await self.clear()
        await asyncio.to_thread(self.composing.close)
        if self._own_folder:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
