"""A Pub/Sub of our own: one subscription behind two servers, gRPC with the library's own messages, and REST."""

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from aiohttp import web
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import AcknowledgeRequest, PubsubMessage, PullRequest, PullResponse, ReceivedMessage


@dataclass
class Queue:
    """A subscription: what lies in it, who asked, what was acknowledged, and what to refuse next."""

    waiting: list[tuple[str, bytes]] = field(default_factory=list)
    acknowledged: list[list[str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    wait_seconds: float = 30.0

    def put(self, *documents: Any) -> None:
        for document in documents:
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.waiting.append((f"ack-{len(self.waiting)}", data))
        self.arrived.set()

    async def take(self, subscription: str, most: int, token: str) -> list[tuple[str, bytes]]:
        self.asked.append((subscription, most))
        self.tokens.append(token)
        if not self.waiting:
            try:
                await asyncio.wait_for(self.arrived.wait(), self.wait_seconds)
            except TimeoutError:
                return []
        return self.waiting[:most]


class GrpcPubSub:
    """The service ``google.pubsub.v1.Subscriber`` with the library's own messages."""

    def __init__(self, queue: Queue, credentials: grpc.ServerCredentials | None = None) -> None:
        self.queue = queue
        self.url = ""
        self._credentials = credentials

    async def start(self, port: int = 0) -> None:
        self._server = grpc.aio.server()
        handlers = {
            "Pull": grpc.unary_unary_rpc_method_handler(
                self.pull, request_deserializer=PullRequest.deserialize, response_serializer=PullResponse.serialize
            ),
            "Acknowledge": grpc.unary_unary_rpc_method_handler(
                self.acknowledge,
                request_deserializer=AcknowledgeRequest.deserialize,
                response_serializer=Empty.SerializeToString,
            ),
        }
        service = grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", handlers)
        self._server.add_generic_rpc_handlers((service,))
        place = f"127.0.0.1:{port}"
        if self._credentials:
            bound = self._server.add_secure_port(place, self._credentials)
        else:
            bound = self._server.add_insecure_port(place)
        await self._server.start()
        self.url = f"{'https' if self._credentials else 'http'}://127.0.0.1:{bound}"

    async def stop(self) -> None:
        await self._server.stop(None)

    async def _maybe_refuse(self, context: grpc.aio.ServicerContext) -> None:
        if self.queue.refusals:
            word = self.queue.refusals.pop(0)
            await context.abort(grpc.StatusCode[word], f"no: {word}")

    async def pull(self, request: PullRequest, context: grpc.aio.ServicerContext) -> PullResponse:
        token = dict(context.invocation_metadata()).get("authorization", "")
        taken = await self.queue.take(request.subscription, request.max_messages, token)
        await self._maybe_refuse(context)
        return PullResponse(
            received_messages=[
                ReceivedMessage(ack_id=ack_id, message=PubsubMessage(data=data, message_id=ack_id))
                for ack_id, data in taken
            ]
        )

    async def acknowledge(self, request: AcknowledgeRequest, context: grpc.aio.ServicerContext) -> Empty:
        await self._maybe_refuse(context)
        self.queue.acknowledged.append(list(request.ack_ids))
        return Empty()


STATUSES = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


class RestPubSub:
    """The same over ``v1/{subscription}:pull`` and ``:acknowledge``."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.url = ""
        self.odd: list[web.Response] = []

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_post("/v1/{subscription:.+}:pull", self.pull)
        app.router.add_post("/v1/{subscription:.+}:acknowledge", self.acknowledge)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def _refusal(self) -> web.Response | None:
        if not self.queue.refusals:
            return None
        word = self.queue.refusals.pop(0)
        error = {"code": STATUSES[word], "message": f"no: {word}", "status": word}
        return web.json_response({"error": error}, status=STATUSES[word])

    async def pull(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert "returnImmediately" not in asked
        token = request.headers.get("Authorization", "")
        taken = await self.queue.take(request.match_info["subscription"], asked["maxMessages"], token)
        if self.odd:
            return self.odd.pop(0)
        if refused := self._refusal():
            return refused
        if not taken:
            return web.json_response({})
        received = [
            {"ackId": ack_id, "message": {"data": b64encode(data).decode(), "messageId": ack_id}}
            for ack_id, data in taken
        ]
        return web.json_response({"receivedMessages": received})

    async def acknowledge(self, request: web.Request) -> web.Response:
        if refused := self._refusal():
            return refused
        self.queue.acknowledged.append((await request.json())["ackIds"])
        return web.json_response({})
