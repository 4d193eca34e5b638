"""The control API under `/sandbox/v1/`: for tests, the demo and curious people; it needs no token."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from millstream.sandbox.exstream import wire
from millstream.sandbox.exstream.config import Resource, State
from millstream.sandbox.exstream.errors import NotFound
from millstream.sandbox.exstream.faults import FaultRule
from millstream.sandbox.exstream.flows import FlowModel
from millstream.sandbox.exstream.front import Front
from millstream.sandbox.exstream.jobs import FlowInstance, Job
from millstream.sandbox.exstream.resources import Held, Shelf
from millstream.sandbox.gmail.control_documents import ClockDocument
from millstream.sandbox.gmail.control_wire import Handler, checked, json_answer, read_document

_RULES = TypeAdapter(list[FaultRule] | FaultRule)


class OutageDocument(BaseModel):
    """OTDS, or everything, answers nobody for some real seconds."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0, le=3600)
    part: Literal["otds", "all"] = "all"


class ResourceDocument(BaseModel):
    """What somebody does to a resource, past every workflow; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    content: str | None = None
    state: State | None = None
    comment: str | None = Field(default=None, max_length=4_000)
    locked_by: str | None = None
    """Null unlocks it."""
    children: tuple[str, ...] | None = None
    description: str | None = None
    by: str | None = None


class Control:
    """Serves the control API."""

    def __init__(self, front: Front, shelf: Shelf) -> None:
        self._front = front
        self._world = front.world
        self._shelf = shelf
        self.shut_port: Callable[[float], None] = lambda _seconds: None

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every path."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "state", self.state),
            ("GET", "flows", self.flows),
            ("POST", "flows", self.publish),
            ("GET", "jobs", self.jobs),
            ("GET", "jobs/{id}/customers", self.customers),
            ("POST", "jobs/{id}/expire", self.expire),
            ("GET", "resources", self.resources),
            ("POST", "resources", self.add_resource),
            ("POST", "resources/{id}", self.edit_resource),
            ("DELETE", "resources/{id}", self.drop_resource),
            ("GET", "faults", self.faults),
            ("POST", "faults", self.add_faults),
            ("DELETE", "faults", self.clear_faults),
            ("GET", "clock", self.clock),
            ("POST", "clock", self.move_clock),
            ("POST", "outage", self.outage),
            ("POST", "reset", self.reset),
        ]
        return [web.RouteDef(verb, f"/sandbox/v1/{path}", checked(handler), {}) for verb, path, handler in table]

    async def state(self, _request: web.Request) -> web.StreamResponse:
        """What there is: clock, jobs, holds, what was composed and delivered, rules."""
        states = Counter(held.state for domain in self._world.domains for held in self._shelf.all(domain))
        return json_answer(self._world.state() | {"resources": dict(states)})

    # Flows and jobs

    async def flows(self, _request: web.Request) -> web.StreamResponse:
        """Every published flow."""
        return json_answer({"flows": [flow.model_dump() for flow in self._world.flows.values()]})

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Publish a flow in the place of the one on the same channel."""
        flow = await read_document(request, FlowModel)
        try:
            return json_answer(self._world.publish(flow).model_dump())
        except NotFound as problem:
            return web.json_response({"errors": [{"msg": problem.details}]}, status=400)

    async def jobs(self, _request: web.Request) -> web.StreamResponse:
        """Every job, the newest first."""
        style = wire.Style(milliseconds=True)
        return json_answer({"jobs": [wire.job_document(style, job) for job in reversed(self._world.jobs.values())]})

    async def customers(self, request: web.Request) -> web.StreamResponse:
        """The customers of a job, and how far each has come."""
        job = self._job(request)
        rows = [_row(flow, at) for flow in job.flows for at in range(len(flow.customers))]
        return json_answer({"job": job.id, "status": job.status, "customers": rows})

    async def expire(self, request: web.Request) -> web.StreamResponse:
        """Wipe the files of a job now, as if their time were over."""
        job = self._job(request)
        job.expires = self._world.clock.seconds()
        self._world.is_wiped(job)
        return json_answer(wire.job_document(wire.Style(milliseconds=True), job))

    def _job(self, request: web.Request) -> Job:
        job = self._world.jobs.get(request.match_info["id"])
        if job is None:
            raise web.HTTPNotFound(text=f"no job {request.match_info['id']}")
        return job

    # Resources

    async def resources(self, _request: web.Request) -> web.StreamResponse:
        """Every resource with its history."""
        found = [held for domain in self._world.domains for held in self._shelf.all(domain)]
        return json_answer({"resources": [_resource(held) for held in found]})

    async def add_resource(self, request: web.Request) -> web.StreamResponse:
        """Put one more resource there, in review if nothing else is said."""
        resource = await read_document(request, Resource)
        if resource.domain and resource.domain not in self._world.domains:
            return web.json_response({"errors": [{"msg": f"no domain {resource.domain}"}]}, status=400)
        return json_answer(_resource(self._shelf.put(resource)))

    async def edit_resource(self, request: web.Request) -> web.StreamResponse:
        """Change a resource as its author would, or as somebody does in Exstream's own screens."""
        held = self._resource(request)
        wanted = await read_document(request, ResourceDocument)
        changes = wanted.model_dump(exclude_unset=True)
        self._shelf.edit(
            held, {name: each for name, each in changes.items() if each is not None or name == "locked_by"}
        )
        return json_answer(_resource(held))

    async def drop_resource(self, request: web.Request) -> web.StreamResponse:
        """Delete a resource."""
        held = self._resource(request)
        self._shelf.take(held)
        return json_answer({"id": held.id})

    def _resource(self, request: web.Request) -> Held:
        wanted = request.match_info["id"].lower()
        for domain in self._world.domains:
            for held in self._shelf.all(domain):
                if held.id == wanted:
                    return held
        raise web.HTTPNotFound(text=f"no resource {request.match_info['id']}")

    # Faults

    async def faults(self, _request: web.Request) -> web.StreamResponse:
        """The rules in force and what they struck."""
        return json_answer({"faults": self._world.faults.rules()})

    async def add_faults(self, request: web.Request) -> web.StreamResponse:
        """Switch rules on: one rule, a list, or `{"rules": [...]}`; they add to those in force."""
        document = orjson.loads(await request.read())
        rules = _RULES.validate_python(document.get("rules", document) if isinstance(document, dict) else document)
        self._world.faults.add(rules if isinstance(rules, list) else [rules])
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        """Switch all rules off."""
        self._world.faults.clear()
        return await self.faults(request)

    # Clock

    async def clock(self, _request: web.Request) -> web.StreamResponse:
        """The time in the sandbox."""
        return json_answer(self._world.state()["clock"])

    async def move_clock(self, request: web.Request) -> web.StreamResponse:
        """Re-rate, set or advance the clock, in this order where several are given."""
        wanted, clock = await read_document(request, ClockDocument), self._world.clock
        if wanted.rate is not None:
            clock.run(wanted.rate)
        if wanted.set is not None:
            clock.set(wanted.set)
        if wanted.advance is not None:
            clock.advance(wanted.advance)
        self._world.moved()
        return await self.clock(request)

    # The rest

    async def outage(self, request: web.Request) -> web.StreamResponse:
        """Send OTDS away, or shut the port, for some real seconds."""
        wanted = await read_document(request, OutageDocument)
        if wanted.part == "otds":
            self._world.send_otds_away(wanted.seconds)
        else:
            self.shut_port(wanted.seconds)
        return json_answer({})

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Back to the beginning; tokens and faults go too."""
        await self._world.clear()
        self._world.faults.clear()
        self._front.otds.clear()
        self._shelf.stock()
        return await self.state(request)


def _resource(held: Held) -> dict[str, Any]:
    return {
        "id": held.id,
        "name": held.name,
        "type": held.given.type,
        "domain": held.domain,
        "state": held.state,
        "version": held.version,
        "comment": held.comment,
        "locked_by": held.locked_by,
        "children": list(held.given.children),
        "content": held.given.content,
        "modified_by": held.modified_by,
        "approved": dict(held.approved),
        "history": [
            {"by": entry.by, "kind": entry.kind, "state": entry.state, "comment": entry.comment}
            for entry in held.history
        ],
    }


def _row(flow: FlowInstance, at: int) -> dict[str, Any]:
    customer = flow.customers[at]
    step = next((one for one in flow.steps if one.type == "communication"), None)
    return {
        "number": customer.number,
        "in_job": customer.in_job,
        "customer": customer.id,
        "key": customer.key,
        "email": customer.recipient.get("address"),
        "flow": flow.id,
        "step": step.id if step else None,
        "status": customer.status,
        "queues": {made.queue: made.place for made in customer.files},
        "delivered": customer.delivered,
    }
