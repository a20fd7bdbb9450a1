"""Arrivals: what a sync would bring before it runs, how it goes, and what a class keeps.

* Looking costs a header and happens only on a button; a page view asks the hub nothing.
* Everything that changes something is a form of our own pages, like those of `/salud`.
* What takes long runs beside the pages; the page says so and asks again by itself.
"""

import asyncio
import logging
from dataclasses import dataclass

import msgspec
from aiohttp import web

from node.portal.operator import Operator
from node.portal.pages import Pages, parse_language
from node.portal.shelf import lesson_url
from node.preview import Preview
from node.services import Services
from node.store.pins import Newer, Pin, lesson_path
from sync.errors import ChaskiError
from sync.lesson import Language

HOME = "/sincronizar"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A pinned lesson as the page lists it."""

    id: str
    language: Language
    title: str
    newer: Newer


class Arrivals:
    """The pages of who steers what comes."""

    def __init__(self, services: Services, pages: Pages, operator: Operator) -> None:
        self._services = services
        self._delivery = services.delivery
        self._pages = pages
        self._operator = operator
        self._looking: asyncio.Task[Preview | None] | None = None
        self._trouble: ChaskiError | None = None

    async def show(self, request: web.Request) -> web.Response:
        """GET /sincronizar"""
        services = self._services
        looking = self._looking is not None and not self._looking.done()
        seen, progress = self._delivery.seen, self._delivery.progress
        channel = services.library.channel()
        return self._pages.page(
            request,
            "arrivals.html",
            settings=services.settings,
            linked=services.settings.linked,
            running=self._operator.running or progress is not None,
            looking=looking,
            progress=progress,
            pace=self._delivery.pace,
            paused=self._delivery.paused,
            seen=seen,
            trouble=self._trouble,
            outcome=services.updater.last,
            now=services.clock.now(),
            topics={topic.id: topic for topic in channel.topics} if channel else {},
            kept=[self._kept(pin, newer) for pin, newer in self._delivery.pins.all()],
        )

    async def look(self, request: web.Request) -> web.Response:
        """POST /sincronizar/ver: asks the hub; a program (`Accept: application/json`) waits."""
        if "json" in request.headers.get("Accept", ""):
            try:
                seen = await self._delivery.look()
            except ChaskiError as error:
                told = {"error": str(error), "hint": error.hint}
                return web.json_response(told, status=502)
            return web.Response(body=msgspec.json.encode(seen), content_type="application/json")
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return _to(HOME)

    async def begin(self, request: web.Request) -> web.Response:
        """POST /sincronizar/empezar: begins a sync, or goes on with one that was paused."""
        self._delivery.go_on()
        self._operator.begin(self._services.updater.sync)
        return _to(HOME)

    async def pause(self, request: web.Request) -> web.Response:
        """POST /sincronizar/pausa: nothing comes until somebody says so."""
        self._delivery.pause()
        return _to(HOME)

    async def pin(self, request: web.Request) -> web.Response:
        """POST /leccion/{id}/{language}/fijar: the lesson stays as it is."""
        id_, language = _lesson(request)
        try:
            self._delivery.pins.add(lesson_path(id_, language), self._services.clock.now())
        except ChaskiError as error:
            log.warning("%s", error)
            raise web.HTTPNotFound from error
        return _to(lesson_url(id_, language))

    async def release(self, request: web.Request) -> web.Response:
        """POST /leccion/{id}/{language}/soltar: the lesson is shown as the channel has it."""
        id_, language = _lesson(request)
        try:
            self._delivery.pins.release(lesson_path(id_, language))
        except ChaskiError as error:
            log.warning("%s", error)
            raise web.HTTPNotFound from error
        still = self._services.library.revision(id_, language)
        return _to(lesson_url(id_, language) if still else HOME)

    async def close(self, app: web.Application) -> None:
        """Lets go of a look that still goes on."""
        if self._looking and not self._looking.done():
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look(self) -> Preview | None:
        self._trouble = None
        try:
            return await self._delivery.look()
        except ChaskiError as error:
            self._trouble = error
            return None

    def _kept(self, pin: Pin, newer: Newer) -> Kept:
        id_, language = pin.path.rpartition("/")[2].split(".")[:2]
        known = parse_language(language) or "es"
        card = self._services.library.card(id_, known)
        return Kept(id_, known, card.title if card else id_, newer)


def _lesson(request: web.Request) -> tuple[str, Language]:
    """The lesson that an address names. Raises HTTPNotFound."""
    language = parse_language(request.match_info["language"])
    if language is None:
        raise web.HTTPNotFound
    return request.match_info["id"], language


def _to(address: str) -> web.Response:
    return web.Response(status=303, headers={"Location": address})
