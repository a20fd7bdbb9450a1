"""App: the composition root of the node. The only place that knows every part.

| thread | owns |
|---|---|
| event loop | sockets, pages, the transaction of `node.db` that a page never waits for |
| updater | the journal, the objects, the install |
| telemetry | sealing and sending what waits in the spool |
| engine | the model |

* A data folder has one owner at a time (`lock.py`).
* A model that is missing or damaged costs the explanations, not the lessons: the node serves,
  quotes, and says so in its log. A damaged spool is put aside: figures are not worth a school.
* SIGINT and SIGTERM end it: no new connections, open pages get `SHUTDOWN_SECONDS`, a sync
  stops at its next step and is resumed at the next start.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from models.errors import ModelError
from node.config import NodeConfig
from node.fetcher import Fetcher, Room
from node.folder import DataFolder
from node.portal.app import build_portal
from node.road import root_keys
from node.services import Services
from node.sticks import Sticks
from node.store.blobs import Blobs
from node.store.lessons import Library
from node.store.search import Search
from node.store.store import Store
from node.telemetry.clock import Clock
from node.telemetry.forwarder import Forwarded
from node.telemetry.metrics import Host, Metrics, Roads, Spooled, Tutoring
from node.telemetry.recorder import Recorder
from node.telemetry.sampler import Sampler
from node.telemetry.settling import Settling
from node.telemetry.uplink import Uplink
from node.timer import guarded, repeat
from node.tutor import Tutor
from node.updater import Outcome, Subscription, Updater
from node.way import Way, way
from node.worker import Worker
from sync.errors import ChaskiError
from sync.listening import listen
from sync.transport.directory import DirectorySink

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Engine

SHUTDOWN_SECONDS = 3.0
MEGABYTE = 1024 * 1024

log = logging.getLogger("chaski.node")


@dataclass(frozen=True, slots=True)
class Node:
    """All parts of one node, open."""

    services: Services
    store: Store
    blobs: Blobs
    updater: Updater
    sampler: Sampler
    recorder: Recorder
    uplink: Uplink
    settling: Settling
    worker: Worker
    link: asyncio.Event
    """Set when the hub was heard: what waits can travel."""
    way: Way

    async def sample(self) -> None:
        """One reading of the figures."""
        await self.worker.run(self.sampler.sample)

    async def report(self) -> Forwarded:
        """Seals what there is, also of an hour that is not over, and sends it.

        A folder gets copies where there is no wire, or none that works.
        """
        for folder in self.way.folders:
            await self.settling.settle(folder)
        try:
            done = await self.uplink.report(self.uplink.hub)
            for folder in self.way.folders if done.trouble and self.way.by_wire else ():
                copied = await self.uplink.copy(DirectorySink(folder))
                done = done if copied.trouble else copied
            return done
        finally:
            await self.way.rest()


@asynccontextmanager
async def build(config: NodeConfig, *, model: bool = True) -> AsyncIterator[Node]:
    """The node of `config`, closed at the end; `model` false leaves the engine out.

    Raises BusyError (the data folder is in use), SettingsError, ContentError (a damaged
    database), SpaceError.
    """
    folder = DataFolder(Path(config.node.data))
    name = config.node.id
    async with AsyncExitStack() as stack:
        stack.callback(folder.lock().close)
        store = stack.enter_context(contextlib.closing(folder.store()))
        blobs = folder.blobs()
        put_in_order(store, blobs)
        library, search = Library(store, blobs), Search(store)
        trust = store.trust()
        clock = Clock(trust.floors.signed_at if trust else 0.0)
        metrics = Metrics(CollectorRegistry())
        limit = config.telemetry.spool_megabytes * MEGABYTE
        spool = stack.enter_context(contextlib.closing(folder.spool(limit)))
        recorder = Recorder(spool, metrics, clock, name)
        engine = quiet_engine(config) if model else None
        if engine:
            stack.callback(engine.close)
            metrics.registry.register(Tutoring(engine.stats))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        going = way(config, session, store.place(), clock.now)
        stack.push_async_callback(going.close)
        link = asyncio.Event()
        disk, telemetry = Worker("updater"), Worker("telemetry")
        stack.push_async_callback(telemetry.close)
        room = Room(folder.free_bytes, config.node.keep_free_megabytes * MEGABYTE)
        updater = Updater(
            Subscription(
                config.sync.channel,
                root_keys(config.sync, trusted=trust is not None or not config.linked),
            ),
            store,
            blobs,
            going.source,
            Fetcher(blobs, folder.journal(), disk, room),
            disk,
            clock,
            spare=going.spare,
            journey=going.journey,
            roster=going.roster,
            heard=lambda outcome: hear(outcome, metrics, recorder, link),
        )
        stack.push_async_callback(updater.close)
        installed = store.installed()
        metrics.installed(installed.version if installed else 0)
        for collector in (Host(folder.path, clock), Spooled(spool), Roads(going.roster)):
            metrics.registry.register(collector)
        sampler = Sampler(metrics.registry, spool, clock, name)
        uplink = Uplink(sampler, recorder, spool, telemetry, going.sink, by_wire=going.by_wire)
        settling = Settling(
            spool, telemetry, config.sync.channel, name, lambda: trusted_root(store)
        )
        sticks = Sticks(
            [Path(place) for place in config.sync.stick_folders],
            config.sync.channel,
            updater,
            uplink.copy,
            settling.settle,
        )
        services = Services(
            settings=config,
            store=store,
            library=library,
            search=search,
            tutor=Tutor(
                search,
                library,
                engine,
                max_tokens=config.tutor.max_tokens,
                deadline_s=config.tutor.deadline_seconds,
            ),
            engine=engine,
            updater=updater,
            sticks=sticks,
            metrics=metrics,
            clock=clock,
            record_event=recorder.record,
        )
        yield Node(
            services,
            store,
            blobs,
            updater,
            sampler,
            recorder,
            uplink,
            settling,
            telemetry,
            link,
            going,
        )


def run(config: NodeConfig, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serves until SIGINT or SIGTERM. Raises as `build`, and BusyError for a taken port."""
    asyncio.run(serve(config, ready))


async def serve(config: NodeConfig, ready: Callable[[str], None] = lambda url: None) -> None:
    """As `run`, inside a loop; `ready` is told the address once it is listened on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with build(config) as node:
        runner = web.AppRunner(
            build_portal(node.services), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await runner.setup()
        tasks: list[asyncio.Task[None]] = []
        try:
            url = await listen(runner, config.portal.host, config.portal.port, "portal")
            tasks = [asyncio.create_task(work) for work in chores(node, config)]
            log.info("node %s serves at %s", config.node.id, url)
            ready(url)
            await stop.wait()
            log.info("stopping")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()


def chores(node: Node, config: NodeConfig) -> list[Coroutine[object, object, None]]:
    """What goes on beside the pages."""

    async def uplink() -> None:
        while True:
            await node.link.wait()
            node.link.clear()
            await guarded(node.report)

    work: list[Coroutine[object, object, None]] = [
        uplink(),
        repeat(config.telemetry.every_seconds, node.sample),
    ]
    if config.linked:
        work.append(repeat(config.sync.every_seconds, node.updater.sync))
    return work


def trusted_root(store: Store) -> bytes | None:
    """The root keys that are trusted now."""
    trust = store.trust()
    return trust.metadata if trust else None


def put_in_order(store: Store, blobs: Blobs) -> None:
    """What an interrupted or an older program left. Before anything else is begun: nobody may
    be fetching objects meanwhile."""
    try:
        if store.reindex(blobs.get):
            log.info("the search index was written anew")
        blobs.collect(store.kept())
    except (ChaskiError, OSError) as error:
        log.warning("the data folder could not be put in order: %s", error)


def hear(outcome: Outcome, metrics: Metrics, recorder: Recorder, link: asyncio.Event) -> None:
    """What follows from a sync: figures, the log, an event, and the way up is open."""
    metrics.outcome(outcome)
    level = logging.INFO if outcome.good else logging.WARNING
    log.log(level, "sync: %s: %s", outcome.kind, outcome.message)
    if outcome.kind not in ("current", "held", "unreachable"):
        recorder.record("sync", told(outcome))
    if outcome.kind != "unreachable":
        link.set()


def told(outcome: Outcome) -> dict[str, str]:
    """An outcome as an event says it."""
    return {
        "outcome": outcome.kind,
        "from_version": str(outcome.from_version),
        "to_version": str(outcome.to_version),
        "bytes_down": str(outcome.bytes_down),
        "full_size": str(outcome.full_size),
        "seconds": f"{outcome.seconds:.3f}",
        "message": outcome.message,
    }


def quiet_engine(config: NodeConfig) -> "Engine | None":
    """The tutor's model; None when it is switched off, or cannot be opened, which is logged."""
    if not config.tutor.enabled:
        return None
    try:
        return open_engine(config)
    except ModelError as error:
        log.warning("questions are answered with quotes only: %s (%s)", error, error.hint)
        return None


def open_engine(config: NodeConfig) -> "Engine":
    """The tutor's model. Raises ModelError: missing, damaged, or no decoder."""
    from models.engine import Engine
    from models.store import ModelStore

    folder = ModelStore(Path(config.node.models)).open(config.tutor.model)
    return Engine.open(
        folder,
        threads=config.node.threads,
        slots=config.tutor.slots,
        queue_limit=config.tutor.queue_limit,
    )
