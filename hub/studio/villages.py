"""Villages: the studio's pages about what nodes told: learning, reports, searches, files.

* `VillageDesk` is what they ask of the library, in the thread that owns it; `Villages` shows it.
* What came from outside is shown as text; a file is sent with the type that its bytes have, to
  be kept or looked at, never to run in the studio.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args
from urllib.parse import quote

from aiohttp import web

from hub.brief import Brief
from hub.demand import Demand, demand_for, demands
from hub.errors import UnknownError
from hub.heard import Attachment
from hub.learning import DAY, Learned, day_of
from hub.library import Library
from hub.reports import Report
from hub.studio import session
from hub.studio.frame import Frame, Route, go, local
from hub.studio.session import VISITOR
from hub.worker import Worker
from sync.attachment import MEDIA
from sync.lesson import Channel, Grade, Language

GRADES: tuple[Grade, ...] = get_args(Grade)
LANGUAGES: tuple[Language, ...] = get_args(Language)
LEARNING_DAYS = 90
SEARCHES_SHOWN = 40
REPORTS, SEARCHES = "/studio/avisos", "/studio/busquedas"
FILE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pupils miss, and the briefs that wait for drafts."""

    demands: tuple[Demand, ...]
    briefs: tuple[tuple[int, Brief], ...]
    channel: Channel | None


class VillageDesk:
    """The questions of these pages to the library."""

    def __init__(
        self, library: Library, channel: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._library, self._channel, self._clock = library, channel, clock

    def learning(self) -> list[Learned]:
        """How each lesson does, the most opened first."""
        return self._library.learning.lessons(day_of(self._clock() - LEARNING_DAYS * DAY))

    def reports(self, *, closed: bool) -> list[Report]:
        """The open reports, or those dealt with."""
        return self._library.reports.all(closed=closed)

    def close(self, number: int, person: str, outcome: str) -> Report:
        """Somebody dealt with a report. Raises as `Reports.close`."""
        with self._library.transaction():
            return self._library.reports.close(number, person, outcome, self._clock())

    def wanted(self) -> Wanted:
        """What is missed."""
        library = self._library
        return Wanted(
            tuple(demands(library, SEARCHES_SHOWN)), tuple(library.open_briefs()),
            library.channel(self._channel),
        )  # fmt: skip

    def order(self, query: str, language: str, topic: str, grade: str) -> tuple[int, Brief]:
        """A brief of what pupils miss. Raises UnknownError, ContentError."""
        channel = self._library.channel(self._channel)
        if topic not in [t.id for t in (channel.topics if channel else ())]:
            raise UnknownError(f"there is no topic {topic[:80]!r}")
        spoken = next((one for one in LANGUAGES if one == language), None)
        level = next((one for one in GRADES if one == grade), None)
        if spoken is None or level is None:
            raise UnknownError("there is no such language or grade")
        with self._library.transaction():
            found = demand_for(self._library, query, spoken)
            if found is None:
                raise UnknownError(f"nobody waits for {query[:80]!r} any more")
            title = found.query[:1].upper() + found.query[1:]
            brief = Brief(topic, title, level, spoken, (), (), "missed")
            number = self._library.add_brief(brief, 0, self._clock())
            self._library.settle_missed(found.searches, spoken, number)
        return number, brief

    def file(self, candidate: int, number: int) -> tuple[Attachment, bytes]:
        """A file that came with an upload. Raises UnknownError."""
        return self._library.heard.attachment(candidate, number)


class Villages:
    """The pages."""

    def __init__(self, desk: VillageDesk, worker: Worker, frame: Frame) -> None:
        self._desk, self._worker, self._frame = desk, worker, frame

    def routes(self) -> tuple[Route, ...]:
        """Every address and whom it is for."""
        return (
            Route("GET", "/aprendizaje", self.learning, "reader"),
            Route("GET", "/avisos", self.reports, "reader"),
            Route("POST", "/avisos/{number}", self.close, "editor"),
            Route("GET", "/busquedas", self.searches, "reader"),
            Route("POST", "/busquedas", self.order, "editor"),
            Route("GET", "/revision/{number}/archivo/{file}", self.file, "reader"),
        )

    async def learning(self, request: web.Request) -> web.Response:
        """GET /studio/aprendizaje"""
        found = await self._worker.call(self._desk.learning)
        return await self._frame.page(request, "learning.html", found=found, days=LEARNING_DAYS)

    async def reports(self, request: web.Request) -> web.Response:
        """GET /studio/avisos?estado=atendidos"""
        closed = request.query.get("estado") == "atendidos"
        found = await self._worker.call(self._desk.reports, closed=closed)
        return await self._frame.page(request, "reports.html", found=found, closed=closed)

    async def close(self, request: web.Request) -> web.Response:
        """POST /studio/avisos/{number} with what was done"""
        form = request[session.FORM]
        number = _number(request, "number")
        user = request[VISITOR].user
        assert user is not None  # the route is for editors
        back = local(form["de"]) if form.get("de") else REPORTS
        outcome = form.get("outcome", "")
        if not outcome.strip():
            return go(back)
        done = await self._worker.call(self._desk.close, number, user.name, outcome)
        session.leave_note(request, "reports.done", number=done.id)
        return go(back)

    async def searches(self, request: web.Request) -> web.Response:
        """GET /studio/busquedas"""
        wanted = await self._worker.call(self._desk.wanted)
        return await self._frame.page(request, "missed.html", wanted=wanted, grades=GRADES)

    async def order(self, request: web.Request) -> web.Response:
        """POST /studio/busquedas: a brief of one of them"""
        form = request[session.FORM]
        values = (form.get(name, "") for name in ("query", "language", "topic", "grade"))
        number, brief = await self._worker.call(self._desk.order, *values)
        session.leave_note(request, "missed.made", number=number, title=brief.title)
        return go(SEARCHES)

    async def file(self, request: web.Request) -> web.Response:
        """GET /studio/revision/{number}/archivo/{file}"""
        name = _number(request, "number"), _number(request, "file")
        found, data = await self._worker.call(self._desk.file, *name)
        shown = "inline" if found.kind != "pdf" else "attachment"
        return web.Response(
            body=data,
            content_type=MEDIA[found.kind],
            headers=FILE_HEADERS
            | {"Content-Disposition": f"{shown}; filename*=UTF-8''{quote(found.name)}"},
        )


def _number(request: web.Request, name: str) -> int:
    text = request.match_info[name]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise web.HTTPNotFound
    return int(text)
