"""Starting and stopping an Exstream sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from millstream.log import get_logger
from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.control import Control
from millstream.sandbox.exstream.design import Design
from millstream.sandbox.exstream.engine import Engine
from millstream.sandbox.exstream.errors import Refusal, TokenRefusal
from millstream.sandbox.exstream.ews import EngineService
from millstream.sandbox.exstream.front import Front, refused
from millstream.sandbox.exstream.inputs import Inputs
from millstream.sandbox.exstream.otds import PATHS, Otds, fields_of
from millstream.sandbox.exstream.pages import Pages
from millstream.sandbox.exstream.resources import Shelf
from millstream.sandbox.exstream.runtime import Runtime
from millstream.sandbox.exstream.world import World
from millstream.sandbox.gmail.faults import Point
from millstream.sandbox.gmail.strikes import Cut, cut
from millstream.sandbox.serving import HOST, KEEP_ALIVE_SECONDS, Port, until_told

_log = get_logger(__name__)
_LONGEST_LINE = 256 * 1024
"""Of a request: a list's filters stand in it; one that is too long would get an answer that is no JSON."""

FRONT: Final = web.AppKey("front", Front)
CONTROL: Final = web.AppKey("control", Control)


def build(config: SandboxConfig) -> web.Application:
    """A sandbox as an application; to be called inside an event loop."""
    world = World(config)
    engine = Engine(world)
    otds = Otds(world)
    front = Front(world, engine, otds)
    shelf = Shelf(world)
    control = Control(front, shelf)
    app = web.Application(client_max_size=config.body_bytes + 1)
    app[FRONT], app[CONTROL] = front, control
    services = (Inputs(world, engine), Runtime(world, engine), Design(world, shelf))
    operations = [operation for service in services for operation in service.operations()]
    app.add_routes([front.route(operation) for operation in operations])
    app.add_routes(_token_routes(front))
    app.add_routes(EngineService(front).routes())
    app.add_routes(control.routes())
    app.add_routes(Pages(world, engine, shelf).routes())
    app.on_shutdown.append(_stop)
    return app


def _token_routes(front: Front) -> list[web.RouteDef]:
    async def token(request: web.Request) -> web.StreamResponse:
        front.world.calls["otds.token"] += 1
        try:
            return await _token(front, request)
        except TokenRefusal as refusal:
            return web.Response(
                body=orjson.dumps(refusal.body()), status=refusal.status, content_type="application/json"
            )
        except Refusal as refusal:
            return refused(request, refusal, front.world.clock.milliseconds())
        except Cut as event:
            return await cut(request, event, front.stopping)

    return [web.post(f"{prefix}{path}", token) for prefix in ("", "/otds") for path in PATHS]


async def _token(front: Front, request: web.Request) -> web.StreamResponse:
    if front.world.otds_is_away:
        return web.Response(status=503, text="<html><body><h1>503 Service Unavailable</h1></body></html>\n",
                            content_type="text/html")  # fmt: skip
    spoiled = front.spoil(Point.BEFORE, "otds.token", "")
    if spoiled is not None:
        return spoiled
    content_type = request.headers.get("Content-Type", "")
    body = await front.read(request)
    form = {} if "json" in content_type else {name: str(value) for name, value in (await request.post()).items()}
    fields = fields_of(content_type, body, form)
    tenant = request.match_info.get("tenant")
    answer: dict[str, Any] = front.otds.grant(tenant, fields, request.headers.get("Authorization"))
    spoiled = front.spoil(Point.AFTER, "otds.token", "")
    return spoiled if spoiled is not None else web.Response(body=orjson.dumps(answer), content_type="application/json")


async def _stop(app: web.Application) -> None:
    app[FRONT].stopping.set()
    await app[FRONT].world.close()


@dataclass(slots=True)
class Running:
    """A sandbox that serves. URLs have no slash at their end."""

    url: str
    world: World
    engine: Engine
    _runner: web.AppRunner
    _port: Port

    @property
    def doors(self) -> dict[str, str]:
        """Where everything is and how to get in, as the command announces it."""
        config = self.world.config
        client, caller = next(iter(config.clients.items()), ("", None))
        return {
            "url": self.url,
            "orchestration_url": f"{self.url}/orchestration",
            "design_url": f"{self.url}/design",
            "token_url": f"{self.url}/otdsws/otdstenant/{config.tenant}/oauth2/token",
            "ews_url": f"{self.url}/EngineService",
            "client_id": client,
            "client_secret": caller.secret if caller else "",
            "domain": self.world.first_domain,
        }

    async def close(self) -> None:
        """Stop serving; jobs end where they are."""
        await self._port.close()
        await self._runner.cleanup()
        _log.debug("exstream_sandbox_stopped", url=self.url)


async def serve(config: SandboxConfig) -> Running:
    """Start a sandbox in this event loop; raises `OSError` where the port is taken."""
    app = build(config)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        shutdown_timeout=1.0,
        handle_signals=False,
        max_line_size=_LONGEST_LINE,
    )
    await runner.setup()
    port = Port(runner, config.port)
    try:
        await port.open()
    except OSError:
        await runner.cleanup()
        raise
    app[CONTROL].shut_port = port.shut
    front = app[FRONT]
    running = Running(f"http://{HOST}:{port.number}", front.world, front.engine, runner, port)
    _log.debug("exstream_sandbox_started", url=running.url)
    return running


async def run(config: SandboxConfig, announce: Callable[[Running], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is called once the port is open."""
    await until_told(await serve(config), announce)
