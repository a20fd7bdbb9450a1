"""Pages: what each address of the studio shows and does.

* Pages work without JavaScript. What changes something is a POST that ends in a redirect.
* Everything slow (database, files, argon2, publishing) runs in worker threads.
"""

import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from hub import fleet as fleets
from hub.candidate import State
from hub.fleet import NodeState
from hub.metrics import Metrics
from hub.review import Outcome
from hub.studio import session
from hub.studio.desk import STATES, Desk
from hub.studio.frame import FILES, HOME, SIGN_IN, Frame, Route, go, local
from hub.studio.press import Press
from hub.studio.session import VISITOR, Door
from hub.studio.villages import VillageDesk, Villages
from hub.studio.words import chosen
from hub.users import User
from hub.worker import Worker

PATIENCE_SECONDS = 3.0
LANGUAGE_SECONDS = 365 * 86400
MAX_QUERY_CHARS = 200
Fleet = Callable[[float], list[NodeState]]


class Studio:
    """The pages. `fleet` gives the nodes at a time, in `clerk`; `desk` runs in `desk_worker`."""

    def __init__(
        self,
        *,
        desk: Desk,
        desk_worker: Worker,
        fleet: Fleet,
        clerk: Worker,
        door: Door,
        press: Press,
        metrics: Metrics,
        village_desk: VillageDesk,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._desk, self._desk_worker = desk, desk_worker
        self._fleet, self._clerk = fleet, clerk
        self._door, self._press = door, press
        self._frame = Frame(door)
        self._villages = Villages(village_desk, desk_worker, self._frame)
        self._metrics, self._clock = metrics, clock

    def application(self, *middlewares: Middleware) -> web.Application:
        """The studio, to be mounted at /studio. `middlewares` come first: policy and session."""
        return self._frame.application(self.routes(), middlewares)

    def routes(self) -> tuple[Route, ...]:
        """Every address and whom it is for."""
        return (
            Route("GET", "", self.home, "anyone"),
            Route("GET", "/", self.home, "anyone"),
            Route("GET", "/archivo/{name}", self.file, "anyone"),
            Route("GET", "/idioma/{language}", self.language, "anyone"),
            Route("GET", "/entrar", self.sign_in, "anyone"),
            Route("POST", "/entrar", self.enter, "anyone"),
            Route("POST", "/salir", self.leave, "reader"),
            Route("GET", "/revision", self.review, "reader"),
            Route("GET", "/revision/{number}", self.candidate, "reader"),
            Route("POST", "/revision/{number}/aprobar", self.approve, "editor"),
            Route("POST", "/revision/{number}/rechazar", self.reject, "editor"),
            Route("GET", "/lecciones", self.lessons, "reader"),
            Route("GET", "/lecciones/{id}/{language}", self.lesson, "reader"),
            Route("GET", "/recursos", self.files, "reader"),
            Route("GET", "/versiones", self.versions, "reader"),
            Route("POST", "/versiones/publicar", self.publish, "editor"),
            Route("GET", "/nodos", self.fleet, "reader"),
            *self._villages.routes(),
        )

    # Coming and going.

    async def home(self, request: web.Request) -> web.Response:
        """GET /studio"""
        return go(HOME)

    async def file(self, request: web.Request) -> web.Response:
        """GET /studio/archivo/{name}: the style sheet and the badge; their address has a digest."""
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        forever = {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=self._frame.files[name], content_type=FILES[name], headers=forever)

    async def language(self, request: web.Request) -> web.Response:
        """GET /studio/idioma/{language}?de=/studio/…: remembers the language, then back."""
        language = chosen(request.match_info["language"])
        if language is None:
            raise web.HTTPNotFound
        response = go(local(request.query.get("de")))
        response.set_cookie(
            session.LANGUAGE_COOKIE,
            language,
            path="/studio",
            max_age=LANGUAGE_SECONDS,
            httponly=True,
            samesite="Lax",
        )
        return response

    async def sign_in(self, request: web.Request) -> web.Response:
        """GET /studio/entrar"""
        if request[VISITOR].user:
            return go(local(request.query.get("de")))
        return await self._sign_in(request, 200, local(request.query.get("de")))

    async def enter(self, request: web.Request) -> web.Response:
        """POST /studio/entrar"""
        form = request[session.FORM]
        name, target = form.get("name", ""), local(form.get("de"))
        outcome = await self._door.enter(request, name, form.get("password", ""))
        if isinstance(outcome, User):
            self._metrics.sign_ins.labels("welcome").inc()
            return go(target)
        words = request[VISITOR].words
        if outcome == "wrong":
            self._metrics.sign_ins.labels("wrong").inc()
            return await self._sign_in(request, 401, target, name, words("signin.wrong"))
        self._metrics.sign_ins.labels("throttled").inc()
        seconds = int(outcome) + 1
        text = words("signin.wait", seconds=seconds)
        response = await self._sign_in(request, 429, target, name, text)
        response.headers["Retry-After"] = str(seconds)
        return response

    async def leave(self, request: web.Request) -> web.Response:
        """POST /studio/salir"""
        self._door.leave(request)
        return go(SIGN_IN)

    # Review.

    async def review(self, request: web.Request) -> web.Response:
        """GET /studio/revision?estado=&pagina="""
        wanted = request.query.get("estado")
        state: State = next((s for s in STATES if s == wanted), "waiting")
        waiting = await self._desk_worker.call(self._desk.waiting, state, _page(request))
        return await self._frame.page(request, "review.html", waiting=waiting, states=STATES)

    async def candidate(self, request: web.Request) -> web.Response:
        """GET /studio/revision/{number}"""
        sheet = await self._desk_worker.call(self._desk.sheet, _number(request))
        user = request[VISITOR].user
        approved = user is not None and user.name in sheet.candidate.approvers
        return await self._frame.page(request, "candidate.html", sheet=sheet, approved=approved)

    async def approve(self, request: web.Request) -> web.Response:
        """POST /studio/revision/{number}/aprobar"""
        call = self._desk_worker.call
        return await self._decided(
            request, await call(self._desk.approve, _number(request), _name(request))
        )

    async def reject(self, request: web.Request) -> web.Response:
        """POST /studio/revision/{number}/rechazar with a reason"""
        reason = request[session.FORM].get("reason", "")
        if not reason.strip():
            return go(f"{HOME}/{_number(request)}#decidir")
        call = self._desk_worker.call
        return await self._decided(
            request, await call(self._desk.reject, _number(request), _name(request), reason)
        )

    async def _decided(self, request: web.Request, outcome: Outcome) -> web.Response:
        session.leave_note(
            request,
            f"outcome.{outcome.state}",
            title=outcome.lesson.title,
            missing=outcome.missing,
        )
        waits = outcome.state == "waiting"
        return go(f"{HOME}/{outcome.candidate}" if waits else HOME)

    # Lessons, versions, nodes.

    async def lessons(self, request: web.Request) -> web.Response:
        """GET /studio/lecciones?q=&pagina="""
        query = request.query.get("q", "").strip()[:MAX_QUERY_CHARS]
        page, channel, texts = await self._desk_worker.call(
            self._desk.lessons, query, _page(request)
        )
        return await self._frame.page(
            request, "lessons.html", page=page, channel=channel, texts=texts, query=query
        )

    async def lesson(self, request: web.Request) -> web.Response:
        """GET /studio/lecciones/{id}/{language}"""
        name = request.match_info["id"], request.match_info["language"]
        shown = await self._desk_worker.call(self._desk.lesson, *name)
        return await self._frame.page(request, "lesson.html", shown=shown)

    async def files(self, request: web.Request) -> web.Response:
        """GET /studio/recursos?pagina="""
        page, channel = await self._desk_worker.call(self._desk.files, _page(request))
        return await self._frame.page(request, "files.html", page=page, channel=channel)

    async def versions(self, request: web.Request) -> web.Response:
        """GET /studio/versiones"""
        running = self._press.running
        return await self._frame.page(
            request,
            "versions.html",
            releases=await self._desk_worker.call(self._desk.releases),
            pending=None if running else await self._desk_worker.call(self._desk.pending),
            running=running,
            outcome=self._press.outcome,
        )

    async def publish(self, request: web.Request) -> web.Response:
        """POST /studio/versiones/publicar"""
        await self._press.start(PATIENCE_SECONDS)
        return go("/studio/versiones")

    async def fleet(self, request: web.Request) -> web.Response:
        """GET /studio/nodos"""
        now = self._clock()
        nodes = await self._clerk.call(self._fleet, now)
        counts = fleets.count(nodes)
        return await self._frame.page(request, "fleet.html", nodes=nodes, counts=counts, now=now)

    async def _sign_in(
        self, request: web.Request, status: int, target: str, name: str = "", wrong: str = ""
    ) -> web.Response:
        return await self._frame.page(
            request, "sign_in.html", status=status, target=target, name=name[:80], wrong=wrong
        )


def _page(request: web.Request) -> int:
    text = request.query.get("pagina", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise web.HTTPNotFound
    return int(text)


def _name(request: web.Request) -> str:
    user = request[VISITOR].user
    assert user is not None  # the route is for editors
    return user.name
