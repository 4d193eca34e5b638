"""The door to Exstream: its services by domain, over shared connections and one source of tokens."""

from __future__ import annotations

from typing import NamedTuple

from millstream.closing import Closing
from millstream.exstream import decode
from millstream.exstream.caller import Caller
from millstream.exstream.design import Design
from millstream.exstream.errors import BadRequest, Call
from millstream.exstream.inputs import Inputs
from millstream.exstream.model import ServiceConfig, Version
from millstream.exstream.options import ExstreamOptions
from millstream.exstream.runtime import Runtime
from millstream.exstream.tokens import TokenSource
from millstream.exstream.transport import Transport


class Probe(NamedTuple):
    """What an installation says of itself."""

    orchestration: Version
    design: Version
    config: ServiceConfig


class Exstream(Closing):
    """An installation of Exstream. Every call raises an :class:`~millstream.exstream.errors.ExstreamError`."""

    def __init__(self, options: ExstreamOptions, tokens: TokenSource) -> None:
        self.options = options
        self._tokens = tokens
        self._transport = Transport(options)
        self._orchestration = Caller("orchestration", options.orchestration_url, self._transport, tokens)
        self._design = Caller("design", options.design_url, self._transport, tokens)

    async def close(self) -> None:
        """End all connections, those of the token source too."""
        await self._transport.close()
        await self._tokens.close()

    def runtime(self, domain: str | None = None) -> Runtime:
        """What runs in a domain; without one in that of the options."""
        return Runtime(self._domain("runtime", domain), self._orchestration, self.options)

    def inputs(self, domain: str | None = None) -> Inputs:
        """What starts something in a domain."""
        return Inputs(self._domain("inputs", domain), self._orchestration, self.options)

    def design(self, domain: str | None = None) -> Design:
        """What is designed in a domain."""
        return Design(self._domain("design", domain), self._design, self.options)

    async def version(self) -> Version:
        """What the orchestration service says of itself."""
        call, path = Call("version"), "api/v1/version"
        return await self._orchestration.document(
            call, "GET", path, lambda answer: decode.version(answer, "orchestration")
        )

    async def config(self) -> ServiceConfig:
        """What the orchestration service can do; with a base subscription there is no view of running jobs."""
        return await self._orchestration.document(Call("config"), "GET", "api/v1/config", decode.config)

    async def probe(self) -> Probe:
        """Both services and their tokens tried, in the order in which something is usually wrong."""
        orchestration = await self.version()
        config = await self.config()
        return Probe(orchestration, await self.design().version(), config)

    def _domain(self, what: str, domain: str | None) -> str:
        found = domain or self.options.domain
        if not found:
            raise BadRequest(Call(what), text="no domain is named, and exstream.domain is not set")
        return found
