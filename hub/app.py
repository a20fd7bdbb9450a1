"""App: the composition root of the hub's server. The only place that knows every part.

| thread | owns |
|---|---|
| event loop | sockets, sessions, pages' text; it never waits for a disk |
| clerk | `intake.db`, `users.db`, and a connection to `hub.db` for what nodes tell |
| desk | a connection to `hub.db` for the studio |
| packer | builds bundles that nobody asked for before |
| press | publishes, with a connection of its own |
| uplink | the connection to Kafka from which blocks come, where it is set up |
| supplier | puts into Kafka what nodes ask for there |
| crier | looks whether the head is announced on Kafka, and announces it |
| hasher | argon2, so that guessing at passwords slows nothing else |

* SIGINT and SIGTERM end it: no new connections, open answers get `SHUTDOWN_SECONDS`, then
  every thread ends its work and every database is closed.
* A taken port is a BusyError, an address that is not ours a SettingsError.
"""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from hub.answers import counted, typed_errors
from hub.blocks import Blocks
from hub.config import HubConfig
from hub.herald import Crier, after_publishing, supplier
from hub.idle import Idle
from hub.intake import MAX_KEPT_BYTES, MAX_NAMES, Intake
from hub.library import Library
from hub.metrics import Metrics
from hub.publisher import Publication, Publisher
from hub.review import Review
from hub.server import BODY_STALL_SECONDS, Server
from hub.shelf import Shelf
from hub.studio.desk import Desk
from hub.studio.pages import Studio
from hub.studio.press import Press
from hub.studio.session import Door, Storage, kept, secured, session_key
from hub.studio.villages import VillageDesk
from hub.uplink import Uplink
from hub.users import Passwords, Throttle, Users
from hub.worker import Worker
from sync.lane import Lane
from sync.listening import listen
from sync.signing import Publisher as Signing

KEEPALIVE_SECONDS = 75.0
SHUTDOWN_SECONDS = 10.0
MAX_REQUEST_BYTES = 64 * 1024
IDLE = web.AppKey("idle", Idle)
STUDIO = web.AppKey("studio", Studio)
_log = logging.getLogger("chaski.hub")


@dataclass(frozen=True, slots=True)
class Threads:
    """The worker threads of one server."""

    clerk: Worker
    desk: Worker
    packer: Worker
    press: Worker
    hasher: Worker

    @classmethod
    def start(cls, metrics: Metrics) -> "Threads":
        """All of them, with their queues shown in `metrics`."""
        limits = {"clerk": 512, "desk": 128, "packer": 256, "press": 2, "hasher": 16}
        workers = {name: Worker(name, limit=limit) for name, limit in limits.items()}
        for name, worker in workers.items():
            metrics.watch(name, lambda worker=worker: worker.waiting)  # type: ignore[misc]
        return cls(**workers)


def build_app(
    config: HubConfig,
    *,
    clock: Callable[[], float] = time.time,
    passwords: Passwords | None = None,
    stall_seconds: float = BODY_STALL_SECONDS,
) -> web.Application:
    """The whole server as an application; its cleanup closes what was opened.

    `stall_seconds`: how long the sender of a body may send nothing.

    Raises SettingsError, ContentError (a damaged database), SpaceError.
    """
    metrics = Metrics(CollectorRegistry())
    threads = Threads.start(metrics)
    channel = config.channel.id
    shelf = Shelf(config.published)
    # What a thread owns is made in it.
    told = threads.clerk.make(Library, config.database)
    blocks = threads.clerk.make(
        Blocks, config.intake_db, max_names=MAX_NAMES, max_bytes=MAX_KEPT_BYTES
    )
    intake = Intake(blocks, told, clock, signed=config.intake.signed)
    threads.clerk.make(intake.deliver)
    passwords = passwords or Passwords()
    users = threads.clerk.make(Users, config.users, passwords)
    library = threads.desk.make(Library, config.database)

    server = Server(
        shelf, threads.packer, intake, threads.clerk, metrics,
        channel=channel, stall_seconds=stall_seconds,
    )  # fmt: skip
    press = Press(threads.press, lambda: _publish(config, shelf, clock), metrics)
    studio = Studio(
        desk=Desk(library, Review(library, config.review, clock), shelf, channel),
        desk_worker=threads.desk,
        fleet=lambda now: blocks.fleet(server.published_version(), now),
        clerk=threads.clerk,
        door=Door(users, threads.clerk, passwords, threads.hasher, Throttle(time.monotonic)),
        press=press,
        metrics=metrics,
        village_desk=VillageDesk(library, channel, clock),
        clock=clock,
    )

    async def collect(app: web.Application) -> AsyncIterator[None]:
        from sync.transport.kafka import Collector

        given, lane = supplier(config, shelf), Lane("chaski-supplier")
        uplink = Uplink(
            lambda: Collector(config.kafka, config.kafka_place), intake, threads.clerk, metrics,
            supply=lambda want: lane.run(given.supply, want),
        )  # fmt: skip
        crier = Crier(config, shelf, metrics)
        tasks = {asyncio.create_task(work) for work in (uplink.run(), crier.run())}
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await lane.close(lambda: None)

    async def close(app: web.Application) -> AsyncIterator[None]:
        yield
        await press.finish()
        await threads.clerk.call(told.close)
        await threads.clerk.call(blocks.close)
        await threads.clerk.call(users.close)
        await threads.desk.call(library.close)
        for worker in (threads.clerk, threads.desk, threads.packer, threads.press, threads.hasher):
            await worker.close()

    idle = Idle()
    app = web.Application(
        middlewares=[idle.asked, counted(metrics), typed_errors], client_max_size=MAX_REQUEST_BYTES
    )
    app[IDLE], app[STUDIO] = idle, studio
    app.cleanup_ctx.append(close)
    if config.kafka.bootstrap:
        app.cleanup_ctx.append(collect)
    app.add_routes(server.routes())
    app.router.add_get("/", _to_studio)
    storage = Storage(
        session_key(config.data / "studio.key"), secure=config.url.startswith("https:")
    )
    app.add_subapp("/studio", studio.application(secured, kept(storage)))
    app.on_response_prepare.append(_unnamed)
    return app


def run(config: HubConfig) -> None:
    """Serves until SIGINT or SIGTERM. Raises BusyError, SettingsError, ContentError."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(config))


async def serve(config: HubConfig, *, ready: Callable[[str], None] = lambda url: None) -> None:
    """As `run`, inside a loop; `ready` is told the address once it is listened on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    app = build_app(config)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        url = await listen(runner, config.server.host, config.server.port, "server")
        sweeper = asyncio.create_task(app[IDLE].keep(lambda: _connections(runner)))
        _log.info("serving at %s, studio at %s/studio", url, url)
        ready(url)
        await stop.wait()
        sweeper.cancel()
        _log.info("stopping")
    finally:
        await runner.cleanup()


def _connections(runner: web.AppRunner) -> list[web.RequestHandler]:
    return list(runner.server.connections) if runner.server else []


def _publish(config: HubConfig, shelf: Shelf, clock: Callable[[], float]) -> Publication:
    with Library(config.database) as library:
        signing = Signing(config.keys)
        publisher = Publisher(library, shelf, signing, config.channel.id, config.publisher, clock)
        done = publisher.publish()
        if done.state != "nothing":
            after_publishing(config, library, shelf)
        return done


async def _to_studio(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/studio/revision"})


async def _unnamed(request: web.Request, response: web.StreamResponse) -> None:
    """Which program and version serves is nobody's business."""
    response.headers["Server"] = "chaski"
