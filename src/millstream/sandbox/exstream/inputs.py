"""Inputs of the orchestration service: on-demand generation, fulfilment, named input channels, and its own version."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from pybase64 import b64encode

from millstream.sandbox.exstream import drivers, tree, wire
from millstream.sandbox.exstream.composing import NotComposed, Piece, record_of_empower
from millstream.sandbox.exstream.config import Communication
from millstream.sandbox.exstream.engine import Engine
from millstream.sandbox.exstream.errors import BadRequest, DataRefusal, DriverProblem, Forbidden, NotFound
from millstream.sandbox.exstream.flows import Output
from millstream.sandbox.exstream.front import Answer, Call, Operation
from millstream.sandbox.exstream.jobs import Customer, Job
from millstream.sandbox.exstream.world import World, new_id

_PDF: Final = "application/pdf"
_JSON: Final = "application/json"
_UNWELCOME: Final = "401"
"""What the data form says inside when empowerUser may not import (vendor's SDK)."""


class Inputs:
    """The handlers."""

    def __init__(self, world: World, engine: Engine) -> None:
        self._world = world
        self._engine = engine

    def operations(self) -> list[Operation]:
        """Every operation."""
        base = "/orchestration/api/v1"
        table = [
            ("inputs.generate", "POST", "inputs/ondemand/{domain}/generate", self.generate, "ORCHESTRATE"),
            ("inputs.fulfil", "POST", "inputs/fulfillment/ondemand/{domain}/fulfill", self.fulfil, "ORCHESTRATE"),
            ("inputs.batch", "POST", "inputs/batch/{domain}/{service}", self.batch, "ORCHESTRATE"),
            ("inputs.ondemand", "POST", "inputs/ondemand/{domain}/{service}", self.on_demand, "ORCHESTRATE"),
            ("version", "GET", "version", self.version, ""),
            ("config", "GET", "config", self.config, ""),
        ]
        return [Operation(name, verb, f"{base}/{path}", handler, right) for name, verb, path, handler, right in table]

    async def version(self, _call: Call) -> Answer:
        """Which service this is."""
        return Answer(version_document("orchestration"))

    async def config(self, _call: Call) -> Answer:
        """What the service can do."""
        document = {
            "assuredDeliveryEnabled": True,
            "flowScriptDebuggingEnabled": False,
            "baseSubscription": self._world.config.base_subscription,
            "subscriptionEnabled": False,
        }
        return Answer(document)

    # On demand

    async def generate(self, call: Call) -> Answer:
        """Compose a communication now: an envelope of outputs, one PDF, or a document for Empower."""
        communication = self._communication(call)
        records = _records(call)
        user = call.headers.get("empowerUser")
        if user is not None and user not in self._world.config.empower_users:
            raise DataRefusal(f"User {user} is not authorized to import documents", status=200, code=_UNWELCOME)
        if user is not None:
            pieces = await self._compose(
                records[:1], communication.template, (Output(queue="Empower", driver="Empower"),)
            )
            document = new_id()
            self._world.empower[document] = pieces[0][1].content
            return Answer({"documentId": document})
        return _composed(call, await self._compose(records, communication.template, communication.outputs))

    async def fulfil(self, call: Call) -> Answer:
        """Compose documents of Empower; they are deleted unless `preserveDocuments` is true."""
        communication = self._communication(call)
        documents = call.document.get("documents")
        if not isinstance(documents, list) or not documents or not all(isinstance(one, str) for one in documents):
            raise BadRequest('The body must be {"documents": ["<document id>"]}')
        missing = next((one for one in documents if one not in self._world.empower), None)
        if missing is not None:
            raise NotFound(f"Document {missing[:60]} was not found in Empower")
        records = [record_of_empower(self._world.empower[one]) for one in documents]
        pieces = await self._compose(records, communication.template, communication.outputs)
        if call.headers.get("preserveDocuments", "false").lower() != "true":
            for one in documents:
                self._world.empower.pop(one, None)
        return _composed(call, pieces)

    def _communication(self, call: Call) -> Communication:
        wanted, source = call.headers.get("communicationId", ""), call.headers.get("driverDataSource", "")
        if not wanted or not source:
            raise BadRequest("The headers communicationId and driverDataSource are needed")
        found = self._world.communications.get((call.domain, wanted.lower()))
        if found is None:
            raise NotFound(f"Communication {wanted[:60]} was not found in domain {call.domain}")
        if source != found.data_source:
            raise DataRefusal(f"Data source {source[:60]} is not mapped in the communication", status=400, code="400")
        return found

    async def _compose(
        self, records: list[drivers.Record], template: str, outputs: tuple[Output, ...]
    ) -> list[tuple[int, Piece]]:
        composing = self._world.composing
        found: list[tuple[int, Piece]] = []
        for number, record in enumerate(records, 1):
            try:
                made = await composing.submit(Customer(number, number, record), template, outputs)
            except NotComposed as problem:
                raise DataRefusal(str(problem), status=400, code="400") from None
            found.extend((number, piece) for piece in made.pieces)
        return found

    # Named channels

    async def batch(self, call: Call) -> Answer:
        """Start a job; the answer lists its flow instances, dates in milliseconds as seen on a real server."""
        job = await self._start(call, "BATCH")
        style = wire.Style(milliseconds=True)
        return Answer(wire.success([wire.flow_document(style, flow) | {"status": "started"} for flow in job.flows]))

    async def on_demand(self, call: Call) -> Answer:
        """Run a flow to its end and answer with what it made."""
        job = await self._start(call, "ONDEMAND")
        if job.task is not None:
            await asyncio.shield(job.task)
        if job.status != "complete":
            raise DataRefusal(job.msg, status=500, code="500")
        return _composed(call, await asyncio.to_thread(lambda: list(_pieces(job))))

    async def _start(self, call: Call, mode: str) -> Job:
        flow = self._world.flow(call.domain, call.path["service"])
        if self._world.config.csrf_cookie and "csrfToken=" not in call.headers.get("Cookie", ""):
            raise Forbidden("The cookie csrfToken is missing")
        return await self._engine.start(flow, call.body, call.headers, mode=mode, by=call.access.name)


def version_document(service: str) -> dict[str, Any]:
    """What a service says of itself."""
    return {
        "apiIdentifier": "v1",
        "details": {
            "appName": f"exstream-{service}-sandbox",
            "buildNumber": "1",
            "timestamp": "2026-11-25T00:00:00Z",
            "git": {"branch": "sandbox", "commit": {"id": "0000000", "time": "2026-11-25T00:00:00Z"}},
        },
        "major": "24",
        "minor": "4",
        "patch": "0",
        "versionString": "24.4.0",
    }


def _records(call: Call) -> list[drivers.Record]:
    try:
        return drivers.read(call.body, call.headers.get("Content-Type", ""))
    except DriverProblem as problem:
        raise DataRefusal(str(problem), status=400, code="400") from None


def _composed(call: Call, pieces: list[tuple[int, Piece]]) -> Answer:
    """The envelope, or the one PDF that `Accept` asks for."""
    accept = call.headers.get("Accept", "")
    if _PDF in accept:
        pdf = next((piece for _, piece in pieces if piece.driver == "PDF"), None)
        if pdf is None:
            raise DataRefusal("The communication has no PDF output", status=400, code="400")
        return Answer(content=pdf.content, media_type=_PDF)
    data = [
        {
            "content": b64encode(piece.content).decode(),
            "mimeType": piece.media_type,
            "engineOutputContext": {
                "queueName": piece.queue,
                "fileName": f"{piece.queue}_{number}",
                "customerNumber": number,
            },
        }
        for number, piece in pieces
    ]
    return Answer(wire.success(data))


def _pieces(job: Job) -> Iterator[tuple[int, Piece]]:
    """What a job made, read from the engine's work area."""
    for flow in job.flows:
        for one in flow.customers:
            for made in one.files:
                yield one.in_job, Piece(made.queue, made.driver, made.name, tree.content_of(flow, made.place))
