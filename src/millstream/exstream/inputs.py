"""What starts something: a composition on demand, its fulfilment, a named input channel.

These calls stand in none of the API descriptions; they are those of OpenText's Postman collection and SDK sample for
its Communications cloud, and of integrators' own code (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from millstream.exstream import decode, translate
from millstream.exstream.caller import JSON, Caller, Sent, part, reading
from millstream.exstream.errors import BadRequest, Call
from millstream.exstream.model import FlowInstance, Generated
from millstream.exstream.options import ExstreamOptions
from millstream.exstream.transport import Reply, file_name

_PDF = "application/pdf"


class Inputs:
    """The inputs of one domain. Every method raises an :class:`~millstream.exstream.errors.ExstreamError`."""

    def __init__(self, domain: str, caller: Caller, options: ExstreamOptions) -> None:
        self.domain = domain
        self._caller = caller
        self._options = options
        self._root = "api/v1/inputs"

    async def generate(
        self,
        communication: str,
        data_source: str,
        driver: bytes,
        content_type: str = JSON,
        *,
        empower_user: str | None = None,
    ) -> tuple[Generated, ...]:
        """Compose one communication now; all of its outputs. ``driver`` is JSON or XML, as its data source reads it."""
        headers = _about(communication, data_source, content_type)
        if empower_user:
            headers["empowerUser"] = empower_user
        call = Call("inputs.generate", self.domain, write=bool(empower_user))
        return reading(call, await self._compose(call, headers, driver), _outputs)

    async def generate_pdf(
        self, communication: str, data_source: str, driver: bytes, content_type: str = JSON
    ) -> bytes:
        """Compose one communication now; its PDF alone. Raises Unreadable where the answer is none."""
        headers = _about(communication, data_source, content_type) | {"Accept": _PDF}
        call = Call("inputs.generate", self.domain)
        reply = await self._compose(call, headers, driver)
        if reply.body[:1024].lstrip().startswith(b"%PDF-"):
            return bytes(reply.body)
        # An engine that failed answers in JSON whatever was asked for.
        decode.envelope(call, reply.status, reply.headers, reply.body)
        raise translate.unreadable(call, reply.status, "JSON where a PDF was asked for")

    async def empower_document(
        self,
        communication: str,
        data_source: str,
        driver: bytes,
        content_type: str = JSON,
        *,
        empower_user: str | None = None,
    ) -> str:
        """Make an Empower document for an editor; its id. Without a user the one of the settings makes it."""
        call = Call("inputs.generate", self.domain, write=True)
        user = empower_user or self._options.empower_user
        if not user:
            raise BadRequest(call, text="an Empower document needs exstream.empower_user")
        headers = _about(communication, data_source, content_type) | {"Accept": JSON, "empowerUser": user}
        return reading(call, await self._compose(call, headers, driver), _document_id)

    async def fulfil(
        self, communication: str, data_source: str, documents: Sequence[str], *, preserve: bool = False
    ) -> tuple[Generated, ...]:
        """Compose from finished Empower documents, which are deleted there unless ``preserve``."""
        call = Call("inputs.fulfil", self.domain, write=not preserve)
        headers = _about(communication, data_source, JSON) | {"preserveDocuments": "true" if preserve else "false"}
        path = f"{self._root}/fulfillment/ondemand/{part(self.domain)}/fulfill"
        body = orjson.dumps({"documents": list(documents)})
        reply = await self._post(call, path, headers, body)
        return reading(call, reply, _outputs)

    async def batch(
        self, service: str, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> tuple[FlowInstance, ...]:
        """Hand data to a named channel in batch mode; the flows that it started (their ``job_id`` is the job)."""
        call = Call("inputs.batch", self.domain, write=True)
        path = f"{self._root}/batch/{part(self.domain)}/{part(service)}"
        reply = await self._post(call, path, self._channel(content_type, headers), body)
        return reading(call, reply, _flows)

    async def on_demand(
        self, service: str, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> tuple[Generated, ...]:
        """Hand data to a named channel and wait for what its flow answers: outputs in an envelope, or one body."""
        call = Call("inputs.ondemand", self.domain, write=True)
        path = f"{self._root}/ondemand/{part(self.domain)}/{part(service)}"
        reply = await self._post(call, path, self._channel(content_type, headers), body)
        return _answered(call, reply)

    async def _compose(self, call: Call, headers: Mapping[str, str], driver: bytes) -> Reply:
        return await self._post(call, f"{self._root}/ondemand/{part(self.domain)}/generate", headers, driver)

    async def _post(self, call: Call, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        within = self._options.generate_seconds
        return await self._caller.answered(call, "POST", path, sent=Sent(body, headers, within))

    def _channel(self, content_type: str, headers: Mapping[str, str] | None) -> dict[str, str]:
        told = {"Content-Type": content_type, "Accept": "*/*", **self._options.headers, **(headers or {})}
        if self._options.csrf_token:
            told["Cookie"] = f"csrfToken={self._options.csrf_token}"
        return told


def _about(communication: str, data_source: str, content_type: str) -> dict[str, str]:
    # Without an Accept all outputs come, in an envelope (OpenText's SDK sample); */* is the same and stops a default.
    return {
        "communicationId": communication,
        "driverDataSource": data_source,
        "Content-Type": content_type,
        "Accept": "*/*",
    }


def _outputs(answer: Any) -> tuple[Generated, ...]:
    found = decode.generated(answer)
    if not found:
        raise ValueError("no output")
    return found


def _flows(answer: Any) -> tuple[FlowInstance, ...]:
    entries = decode.data(answer)
    return tuple(decode.flow_instance(entry) for entry in ([entries] if isinstance(entries, dict) else entries))


def _document_id(answer: Any) -> str:
    found = decode.data(answer)["documentId"]
    if not isinstance(found, str) or not found:
        raise TypeError("documentId is no text")
    return found


def _answered(call: Call, reply: Reply) -> tuple[Generated, ...]:
    media_type = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type == JSON or media_type.endswith("+json"):
        document = decode.envelope(call, reply.status, reply.headers, reply.body)
        try:
            return _outputs(document)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # an answer of the flow's own making
    name = file_name(reply.headers.get("Content-Disposition", ""))
    return (Generated(bytes(reply.body), media_type or "application/octet-stream", file_name=name),)
