"""Starting and stopping a Gmail sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from millstream import lazy
from millstream.log import get_logger
from millstream.sandbox.gmail import drafts, labels, mailbox, messages, pages, threads, watch
from millstream.sandbox.gmail.api import Methods, Room
from millstream.sandbox.gmail.batch import Batch
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.control import Control
from millstream.sandbox.gmail.errors import Refusal, ScopeInsufficient
from millstream.sandbox.gmail.faults import FaultRule, Faults
from millstream.sandbox.gmail.front import Front, refused
from millstream.sandbox.gmail.keys import GOOGLE_KEY_ID, SigningKey
from millstream.sandbox.gmail.oauth import OAuth
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.smtp_door import OpenDoor, open_door
from millstream.sandbox.gmail.smtp_relay import Relay
from millstream.sandbox.gmail.token_pages import TokenPages
from millstream.sandbox.gmail.tokens import Tokens
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.uploads import IMPORT_BYTES
from millstream.sandbox.gmail.watch import Notifier
from millstream.sandbox.gmail.world import World
from millstream.sandbox.pubsub.broker import Broker
from millstream.sandbox.pubsub.push import Pusher
from millstream.sandbox.pubsub.rest import Rest
from millstream.sandbox.serving import HOST, KEEP_ALIVE_SECONDS, Port, until_told

_log = get_logger(__name__)

FRONT: Final = web.AppKey("front", Front)
RELAY: Final = web.AppKey("relay", Relay)
BROKER: Final = web.AppKey("broker", Broker)
PUSHER: Final = web.AppKey("pusher", Pusher)

_METHODS = (
    *drafts.METHODS,
    *messages.METHODS,
    *threads.METHODS,
    *labels.METHODS,
    *mailbox.METHODS,
    *watch.METHODS,
)
_PUBSUB_SCOPES: Final = frozenset({"pubsub", "cloud-platform"})


def build(config: SandboxConfig) -> web.Application:
    """A sandbox as an application; raises `quota.QuotaError` for limits that are none."""
    world = World(config)
    quota = Quota(config, world.clock)
    faults = Faults[FaultRule](config.seed)
    faults.add(config.faults)
    broker = Broker(config.topics, config.subscriptions)
    notifier = Notifier(world, broker, faults, quota)
    world.on_change = notifier.changed
    room = Room(world, quota, Transit(world, quota), faults, notifier)
    tokens = Tokens(world)
    oauth = OAuth(world, tokens)
    front = Front(room, tokens, Methods(_METHODS))
    app = web.Application(client_max_size=IMPORT_BYTES + 1)
    google_key = SigningKey(GOOGLE_KEY_ID)
    app[RELAY] = Relay(room, tokens, config)
    app[FRONT], app[BROKER], app[PUSHER] = front, broker, Pusher(broker, google_key.sign)
    app.add_routes(_api_routes(front))
    app.add_routes(Rest(broker, _admit_to_pubsub(tokens)).routes())
    app.add_routes(TokenPages(oauth, front, google_key).routes())
    app.add_routes(Control(front, oauth, broker, notifier, app[RELAY]).routes())
    app.add_routes(pages.routes(world, room.transit))
    app.on_startup.append(_start)
    app.on_shutdown.append(_stop)
    return app


def _admit_to_pubsub(tokens: Tokens) -> Callable[[web.Request], web.Response | None]:
    def admit(request: web.Request) -> web.Response | None:
        """The refusal of a call without a token that Pub/Sub takes; None lets it in."""
        try:
            access = tokens.check(request.headers.get("Authorization"), request.query.get("access_token"))
            if not access.allows(_PUBSUB_SCOPES):
                raise ScopeInsufficient("pubsub")
        except Refusal as refusal:
            return refused(request, refusal)
        return None

    return admit


def _api_routes(front: Front) -> list[web.AbstractRouteDef]:
    batch = Batch(front)
    below = "gmail/v1/users/{user}/{tail:.+}"
    return [
        web.route("*", f"/{below}", front.call),
        web.route("*", f"/upload/{below}", front.upload),
        web.route("*", f"/resumable/upload/{below}", front.upload),
        web.post("/batch", batch.serve),
        web.post("/batch/gmail/v1", batch.serve),
        web.route("*", "/gmail/{tail:.*}", front.unknown),
        web.route("*", "/upload/{tail:.*}", front.unknown),
    ]


async def _start(app: web.Application) -> None:
    await app[PUSHER].start()


async def _stop(app: web.Application) -> None:
    app[FRONT].stopping.set()
    await app[PUSHER].close()
    app[FRONT].room.world.close()


class PubSubDoor(Protocol):
    """`pubsub.rpc.Door`, known here without gRPC."""

    port: int

    async def close(self) -> None:
        """Stop listening."""


@dataclass(slots=True)
class Running:
    """A sandbox that serves. `url` has no slash at its end; a port is None where its door is shut."""

    url: str
    smtp_port: int | None
    pubsub_port: int | None
    smtp_tls_port: int | None
    world: World
    _runner: web.AppRunner
    _port: Port
    _doors: "_Doors"

    async def close(self) -> None:
        """Stop serving; waiting faults end, open connections close."""
        await self._port.close()
        await self._doors.close()
        await self._runner.cleanup()
        _log.debug("sandbox_stopped", url=self.url)


async def serve(config: SandboxConfig) -> Running:
    """Start a sandbox in this event loop; raises `OSError` where a port is taken."""
    app = build(config)
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=1.0, handle_signals=False
    )
    await runner.setup()
    port, doors = Port(runner, config.port), _Doors()
    try:
        await port.open()
        await doors.open(app, config)
    except OSError:
        await doors.close()
        await runner.cleanup()
        raise
    app[FRONT].shut_port = port.shut
    running = Running(
        f"http://{HOST}:{port.number}",
        doors.smtp_port,
        doors.pubsub_port,
        doors.smtp_tls_port,
        app[FRONT].room.world,
        runner,
        port,
        doors,
    )
    _log.debug("sandbox_started", url=running.url, smtp_port=running.smtp_port, pubsub_port=running.pubsub_port)
    return running


class _Doors:
    """The doors beside HTTP, as far as the configuration opens them."""

    def __init__(self) -> None:
        self._smtp: OpenDoor | None = None
        self._pubsub: PubSubDoor | None = None

    @property
    def smtp_port(self) -> int | None:
        return None if self._smtp is None else self._smtp.port

    @property
    def smtp_tls_port(self) -> int | None:
        return None if self._smtp is None else self._smtp.tls_port

    @property
    def pubsub_port(self) -> int | None:
        return None if self._pubsub is None else self._pubsub.port

    async def open(self, app: web.Application, config: SandboxConfig) -> None:
        """Listen; raises `OSError` where a port is taken."""
        if config.smtp_port is not None:
            if config.smtp_ca_file is not None:
                config.smtp_ca_file.write_bytes(app[RELAY].authority.pem)
            self._smtp = await open_door(app[RELAY], config.smtp_port, config.smtp_tls_port)
        if config.pubsub_port is not None:
            # gRPC is imported only where its door is opened.
            rpc = lazy.load_grpc("millstream.sandbox.pubsub.rpc")
            self._pubsub = await rpc.open_door(app[BROKER], config.pubsub_port)

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._smtp is not None:
            await self._smtp.close()
        if self._pubsub is not None:
            await self._pubsub.close()


async def run(config: SandboxConfig, announce: Callable[[Running], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is called once the ports are open."""
    await until_told(await serve(config), announce)
