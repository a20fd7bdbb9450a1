"""App: the composition root of the node. The only place that knows every part.

| thread | owns |
|---|---|
| event loop | sockets, pages, the transaction of `node.db` that a page never waits for |
| updater | the journal, the objects, the install |
| telemetry | sealing and sending what waits in the spool |
| engine | the model |
| model | which model, its trial, its self-test |

* A data folder has one owner at a time (`lock.py`).
* A model that is missing or damaged costs the explanations, not the lessons: the node serves,
  quotes, and says so in its log and on `/salud`. A damaged spool is put aside: figures are
  not worth a school.
* On a disk that takes no byte (full, or read-only) the node serves what it has and says so.
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

from node.agenda import Agenda
from node.config import MEGABYTE, NodeConfig
from node.delivery import Delivery
from node.fetcher import Fetcher, Room
from node.folder import DataFolder
from node.handing import Handing
from node.hearing import hear, note
from node.model.assembly import SHUTDOWN_SECONDS, build_switch
from node.model.seat import Seat
from node.model.status import ModelStatus
from node.model.switch import LOOK_SECONDS, Switch
from node.portal.app import build_portal
from node.road import root_keys
from node.services import Services
from node.sticks import Sticks
from node.store.blobs import Blobs
from node.store.files import Files
from node.store.ledger import Ledger
from node.store.lessons import Library
from node.store.pins import Pins
from node.store.search import Search
from node.store.store import Store
from node.telemetry.alarms import Alarms
from node.telemetry.clock import Clock
from node.telemetry.forwarder import Forwarded
from node.telemetry.metrics import (
    Delivered,
    Host,
    Metrics,
    ModelState,
    Roads,
    Spooled,
    Tutoring,
)
from node.telemetry.recorder import Recorder
from node.telemetry.sampler import Sampler
from node.telemetry.settling import Settling
from node.telemetry.uplink import Uplink, dressing
from node.timer import guarded, repeat
from node.tutor import Tutor
from node.updater import Outcome, Subscription, Updater
from node.way import Way, way
from node.worker import Worker
from sync.errors import ChaskiError
from sync.listening import listen
from sync.transport import Source
from sync.transport.directory import DirectorySink
from sync.transport.rationed import Rationed

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Engine

PREPARE_SECONDS = 30.0
"""How soon after its arrival a book is put together for the first time."""

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
    switch: Switch | None
    """Looks after the model; None: the tutor is off, or was left out."""
    thinker: Worker
    """Its thread."""
    news: asyncio.Event
    """Set when a sync ended: there may be another model."""

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
        files = Files(store, blobs)
        trust = store.trust()
        clock = Clock(trust.floors.signed_at if trust else 0.0)
        metrics = Metrics(CollectorRegistry())
        limit = config.telemetry.spool_megabytes * MEGABYTE
        spool = stack.enter_context(contextlib.closing(folder.spool(limit)))
        recorder = Recorder(spool, metrics, clock, name)
        seat: Seat[Engine] = Seat()
        switch, thinker = None, Worker("model")
        stack.push_async_callback(thinker.close)
        if model and config.tutor.enabled:
            switch = build_switch(config, folder, store, seat, clock, metrics, recorder)
            await thinker.run(switch.start)
            stack.push_async_callback(thinker.run, switch.close)
            metrics.registry.register(Tutoring(switch.stats))
            metrics.registry.register(ModelState(switch.status))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        going = way(config, session, store.place(), clock.now)
        stack.push_async_callback(going.close)
        link, news = asyncio.Event(), asyncio.Event()
        disk, telemetry = Worker("updater"), Worker("telemetry")
        stack.push_async_callback(telemetry.close)
        ledger = Ledger(store)
        agenda = Agenda(config, store, ledger, clock.now)
        room = Room(folder.free_bytes, config.node.keep_free_megabytes * MEGABYTE)

        def heard(outcome: Outcome) -> None:
            hear(outcome, metrics, recorder, link)
            if switch:
                switch.news()
            news.set()

        updater = Updater(
            Subscription(
                config.sync.channel,
                root_keys(config.sync, trusted=trust is not None or not config.linked),
            ),
            store,
            blobs,
            rationed(config, agenda, going, going.source),
            Fetcher(blobs, folder.journal(), disk, room),
            disk,
            clock,
            agenda=agenda,
            spare=going.spare and rationed(config, agenda, going, going.spare),
            journey=going.journey,
            roster=going.roster,
            heard=heard,
        )
        stack.push_async_callback(updater.close)
        metrics.installed(store.whole_version())
        watched = (
            Host(folder.path, clock), Spooled(spool), Delivered(store), Alarms(store),
            Roads(going.roster),
        )  # fmt: skip
        for collector in watched:
            metrics.registry.register(collector)
        sampler = Sampler(metrics.registry, spool, clock, name)
        uplink = Uplink(
            sampler, recorder, spool, telemetry, going.sink, by_wire=going.by_wire,
            dress=dressing(config.node.key), hub_answers=going.by_wire and going.journey is None,
        )  # fmt: skip
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
        delivery = Delivery(updater, agenda, ledger, Pins(store, blobs.get), store, clock.now)
        services = Services(
            settings=config,
            store=store,
            library=library,
            files=files,
            search=search,
            tutor=Tutor(
                search,
                library,
                seat,
                max_tokens=config.tutor.max_tokens,
                deadline_s=config.tutor.deadline_seconds,
            ),
            seat=seat,
            updater=updater,
            sticks=sticks,
            delivery=delivery,
            metrics=metrics,
            clock=clock,
            model=switch.status if switch else lambda: ModelStatus("off", config.tutor.model),
            record_event=lambda kind, data: note(recorder, agenda, kind, data),
            handing=Handing(spool, library, clock, name, folder.path, room.floor_bytes),
        )
        yield Node(
            services, store, blobs, updater, sampler, recorder, uplink, settling, telemetry, link,
            going, switch, thinker, news,
        )  # fmt: skip


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
            if node.switch:
                node.switch.stop()
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

    async def model(switch: Switch) -> None:
        while True:
            node.news.clear()
            await guarded(lambda: node.thinker.run(switch.look))
            # not wait_for: in Python 3.11 that may lose a cancellation, and a node that ends hangs
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await node.news.wait()

    work: list[Coroutine[object, object, None]] = [
        uplink(),
        repeat(config.telemetry.every_seconds, node.sample),
        repeat(PREPARE_SECONDS, lambda: asyncio.to_thread(node.services.files.prepare)),
    ]
    if node.switch:
        work.append(model(node.switch))
    if config.linked:
        work.append(repeat(config.sync.every_seconds, node.services.delivery.on_time))
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


def rationed(config: NodeConfig, agenda: Agenda, going: Way, source: Source) -> Source:
    """`source`, within the data allowance if there is one."""
    return Rationed(source, agenda) if config.link.bytes_per_day and going.by_wire else source
