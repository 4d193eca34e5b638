"""How the control API reads documents, answers, and keeps pages from elsewhere out."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from millstream.sandbox.gmail.errors import Refusal
from millstream.sandbox.gmail.front import reply

Document = TypeVar("Document", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names of this machine; another one in Host is a page from elsewhere that plays with name servers."""


def json_answer(document: Any) -> web.Response:
    """A JSON document."""
    return reply(orjson.dumps(document))


async def read_document(request: web.Request, model: type[Document]) -> Document:
    """The document of a call; raises what `checked` answers with 400."""
    return model.model_validate(orjson.loads(await request.read() or b"{}"))


def is_from_elsewhere(request: web.Request) -> bool:
    """Whether a browser sent this from a page that is not the sandbox's own."""
    origin = request.headers.get("Origin")
    return (
        request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        or request.url.host not in HERE
        or (origin is not None and origin != str(request.url.origin()))
    )


def checked(handler: Handler) -> Handler:
    """The handler, with 400 and a list of what is wrong for documents that do not fit."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if is_from_elsewhere(request):
            # No token guards these paths, so a page from elsewhere must not reach them through a browser.
            raise web.HTTPForbidden(text="the control API answers this machine only")
        try:
            return await handler(request)
        except ValidationError as error:
            body = orjson.loads(error.json(include_url=False, include_context=False))
            return web.Response(status=400, body=orjson.dumps({"errors": body}), content_type="application/json")
        except orjson.JSONDecodeError as error:
            return web.json_response({"errors": [{"msg": f"not JSON: {error}"}]}, status=400)
        except Refusal as refusal:
            return web.json_response({"errors": [{"msg": refusal.message}]}, status=400)

    return serve
