"""Operator: the node's health in words, the button that syncs, and the same for programs.

* `/salud` needs no account: it tells nothing about anybody. Its button only fetches news that
  the hub signed; it must be pressed on our own page.
* A sync runs beside the pages; the page says so and asks again by itself.
* `/api/version` is what every open page asks each quarter of a minute: it stays tiny.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from node.outcome import to_bytes
from node.portal.pages import VISIT, Pages
from node.roads import spoken
from node.services import Services
from node.store.partial import Part
from node.telemetry.alarms import alarm
from node.updater import Outcome
from sync.errors import ContentError

SHORT = 12
"""Characters of a root that people compare."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds the library, in bytes."""

    free: int
    total: int


class Operator:
    """What those who look after the node see."""

    def __init__(self, services: Services, pages: Pages) -> None:
        self._services = services
        self._pages = pages
        self._syncing: asyncio.Task[Outcome] | None = None

    async def health(self, request: web.Request) -> web.Response:
        """GET /salud"""
        services = self._services
        engine = services.engine  # once: it may change while we look
        return self._pages.page(
            request,
            "health.html",
            settings=services.settings,
            roads=tuple(map(spoken, services.settings.roads)),
            channel=services.library.channel(),
            outcome=services.updater.last,
            syncing=self.running,
            alarm=alarm(services.store),
            now=services.clock.now(),
            engine=engine,
            stats=engine.stats() if engine else None,
            model=services.model(),
            lessons=services.store.lessons(),
            disk=self._disk(),
            sticks=await asyncio.to_thread(services.sticks.mounted),
        )

    async def sync(self, request: web.Request) -> web.Response:
        """POST /salud/sincronizar: begins a sync, or joins the one that runs."""
        self._services.delivery.go_on()
        self.begin(self._services.updater.sync)
        return web.Response(status=303, headers={"Location": "/salud"})

    async def import_stick(self, request: web.Request) -> web.Response:
        """POST /salud/importar: begins to import from a stick that is plugged in.

        A program (`Accept: application/json`) gets the outcome when it is over.
        """
        wanted = str((await request.post()).get("stick", ""))
        program = "json" in request.headers.get("Accept", "")
        try:
            folder = await asyncio.to_thread(self._services.sticks.find, wanted)
        except ContentError as error:
            if program:
                return web.json_response({"error": str(error), "hint": error.hint}, status=404)
            raise web.HTTPNotFound from error
        self._services.delivery.go_on()
        if program:
            done = await self._services.sticks.take(folder)
            return web.Response(body=to_bytes(done), content_type="application/json")
        self.begin(lambda: self._services.sticks.take(folder))
        return web.Response(status=303, headers={"Location": "/salud"})

    async def version(self, request: web.Request) -> web.Response:
        """GET /api/version"""
        installed = request[VISIT].installed
        told = {"version": installed.version, "root": installed.root} if installed else {}
        return web.json_response(told, headers={"Cache-Control": "no-store"})

    async def status(self, request: web.Request) -> web.Response:
        """GET /api/status"""
        services = self._services
        installed = request[VISIT].installed
        outcome = services.updater.last
        disk = self._disk()
        told: dict[str, Any] = {
            "node": services.settings.node.id,
            "channel": services.settings.sync.channel,
            "version": installed.version if installed else 0,
            "root": installed.root if installed else "",
            "applied_at": installed.applied_at if installed else None,
            "lessons": services.store.lessons(),
            "part": _part(installed.part) if installed else None,
            "syncing": self.running,
            "last_sync": outcome and _outcome(outcome),
            "alarms": msgspec.to_builtins(alarm(services.store)),
            "model": self._model(),
            "disk": {"free": disk.free, "total": disk.total},
        }
        return web.json_response(told, headers={"Cache-Control": "no-store"})

    async def metrics(self, request: web.Request) -> web.Response:
        """GET /metrics"""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(
            body=encode(self._services.metrics.registry),
            headers={"Content-Type": content_type, "Cache-Control": "no-store"},
        )

    async def close(self, app: web.Application) -> None:
        """Lets go of a sync that still runs; its journal resumes it another day."""
        if self._syncing and not self._syncing.done():
            self._syncing.cancel()
            await asyncio.wait({self._syncing})

    def begin(self, work: Callable[[], Coroutine[Any, Any, Outcome]]) -> None:
        """Begins `work` beside the pages; nothing while a sync begun here runs."""
        if not self.running:
            self._syncing = asyncio.create_task(work())
            self._syncing.add_done_callback(_report)

    @property
    def running(self) -> bool:
        """True while a sync that was begun by a button runs."""
        return self._syncing is not None and not self._syncing.done()

    def _model(self) -> dict[str, Any]:
        engine, status = self._services.engine, self._services.model()
        told: dict[str, Any] = msgspec.to_builtins(status)
        if engine:
            stats = engine.stats()
            told |= {"name": engine.name, "version": engine.version}
            told |= {"active": stats.active, "waiting": stats.waiting}
        return told

    def _disk(self) -> Disk:
        usage = shutil.disk_usage(self._services.settings.node.data)
        return Disk(usage.free, usage.total)


def _part(part: Part | None) -> dict[str, Any] | None:
    """How much of the version is here; None: it is whole."""
    if part is None:
        return None
    return {"root": part.root, "here": part.lessons_here, "lessons": part.lessons}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "kind": outcome.kind,
        "at": outcome.at,
        "from_version": outcome.from_version,
        "to_version": outcome.to_version,
        "bytes_down": outcome.bytes_down,
        "full_size": outcome.full_size,
        "seconds": outcome.seconds,
        "message": outcome.message,
    }


def _report(task: "asyncio.Task[Outcome]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("sync from the health page failed", exc_info=error)
