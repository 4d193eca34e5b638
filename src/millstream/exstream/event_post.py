"""Posts email events to whoever reports on them: one JSON object, one try, without a token."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from millstream.exstream.caller import refused
from millstream.exstream.errors import Call
from millstream.exstream.options import ExstreamOptions
from millstream.exstream.transport import Transport

_SUCCESS: Final = range(200, 300)


class EventPost:
    """Fulfils `nextstep.emission.Poster`; an asynchronous context manager that ends its connections."""

    def __init__(self, options: ExstreamOptions) -> None:
        self._transport = Transport(options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def __call__(self, url: str, document: bytes) -> None:
        """Post one document.

        Raises:
            ExstreamError: it was not taken, or nobody knows.
        """
        call = Call("email_event", "", write=True)
        headers = {"Content-Type": "application/json"}
        reply = await self._transport.exchange(call, "POST", url, headers=headers, body=document)
        if reply.status not in _SUCCESS:
            raise refused(call, reply)
