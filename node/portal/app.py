"""App: the portal's routes, and what happens around every page.

From the outside in: probes of phones that look for the internet; the clock for the metrics;
delivery (tag, compression); errors in words; the visitor.

* A form must come from one of our own pages; this is asked in one place, of every POST.
* An error is a page that says what to do next, in the visitor's language; JSON under /api/.
* Routes have names: they are the labels of the metrics, so they are few.
* The portal listens to nobody's `X-Forwarded-*`: it stands in the room where it is used.
"""

import logging
import time
from pathlib import Path

from aiohttp import web

from node.api.app import build_api
from node.portal import captive
from node.portal.arrivals import Arrivals
from node.portal.ask import TICK_SECONDS, Ask
from node.portal.assets import Assets
from node.portal.delivery import SECURITY, deliver
from node.portal.files import Downloads
from node.portal.guest import Guestbook, guest_key
from node.portal.operator import Operator
from node.portal.origin import same_origin
from node.portal.pages import VISIT, Handler, Pages
from node.portal.reader import Reader
from node.portal.reading import Reading
from node.portal.shelf import Shelf
from node.portal.student import Student
from node.portal.teacher import Teacher
from node.services import Services
from sync.errors import ContentError

MAX_FORM_BYTES = 16 * 1024
PROGRAMS = "/v1/"
"""Below it programs ask, with tokens of their own and no cookies: `node/api/`."""
NO_PAGE = "Algo falló en la caja. Vuelve a intentarlo en un momento.\n"
"""When even the error page cannot be made."""

log = logging.getLogger(__name__)


def build_portal(services: Services, tick: float = TICK_SECONDS) -> web.Application:
    """The portal over `services`; who left an answer half told is noticed within `tick` seconds.

    Raises SpaceError, OSError: the data folder is unusable.
    """
    assets = Assets()
    guestbook = Guestbook(guest_key(Path(services.settings.node.data)))
    pages = Pages(assets, guestbook, services.settings.node.language)
    shelf = Shelf(services.library)
    student = Student(services, pages, shelf)
    reading = Reading(shelf, services.files, pages, services.record_event, services.delivery.pins)
    ask = Ask(services, pages, shelf, tick)
    operator = Operator(services, pages)
    downloads = Downloads(services, pages, shelf)
    reader = Reader(services, pages)
    arrivals = Arrivals(services, pages, operator)
    teacher = Teacher(services, pages, shelf)
    around = Around(services, pages)
    app = web.Application(
        middlewares=[around.probes, around.timed, around.delivered, around.visited],
        client_max_size=MAX_FORM_BYTES,
    )
    app.on_response_prepare.append(_secure)
    app.on_cleanup.extend((arrivals.close, operator.close))
    app.add_subapp(PROGRAMS, build_api(services, tick))
    app.add_routes(
        [
            web.get("/", student.home, name="home"),
            web.get("/tema/{topic}", student.topic, name="topic"),
            web.get("/leccion/{id}", reading.any_language, name="lesson_any"),
            web.get("/leccion/{id}/{language}", reading.lesson, name="lesson"),
            web.post("/leccion/{id}/{language}/prueba", reading.answer_quiz, name="quiz"),
            web.get("/recursos", downloads.list, name="files"),
            web.get("/recurso/{path:.+}", downloads.serve, name="file"),
            web.get("/libro/{path:.+}", reader.read, name="book"),
            web.get("/buscar", student.search, name="search"),
            web.get("/preguntar", ask.ask, name="ask", allow_head=False),
            web.post("/opinion", ask.feedback, name="feedback"),
            web.get("/gracias", ask.thanks, name="thanks"),
            web.post("/leccion/{id}/{language}/fin", reading.finish, name="finish"),
            web.post("/leccion/{id}/{language}/aviso", reading.report, name="report"),
            web.get("/entregar", teacher.page, name="hand_in_page"),
            web.post("/entregar", teacher.hand_in, name="hand_in"),
            web.get("/salud", operator.health, name="health"),
            web.post("/salud/sincronizar", operator.sync, name="sync"),
            web.post("/salud/importar", operator.import_stick, name="import_stick"),
            web.get("/sincronizar", arrivals.show, name="arrivals"),
            web.post("/sincronizar/ver", arrivals.look, name="look"),
            web.post("/sincronizar/empezar", arrivals.begin, name="begin"),
            web.post("/sincronizar/pausa", arrivals.pause, name="pause"),
            web.post("/leccion/{id}/{language}/fijar", arrivals.pin, name="pin"),
            web.post("/leccion/{id}/{language}/soltar", arrivals.release, name="release"),
            web.get("/api/version", operator.version, name="version"),
            web.get("/api/status", operator.status, name="status"),
            web.get("/metrics", operator.metrics, name="metrics"),
            web.get("/static/{name}", assets.serve, name="static"),
        ]
    )
    return app


class Around:
    """What every request passes through."""

    def __init__(self, services: Services, pages: Pages) -> None:
        self._services = services
        self._pages = pages

    @web.middleware
    async def probes(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers phones that look for the internet."""
        found = captive.probe(request.host, request.path)
        return captive.respond(found) if found else await handler(request)

    @web.middleware
    async def timed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Counts the page and how long it took."""
        began = time.perf_counter()
        try:
            return await handler(request)
        finally:
            name = request.match_info.route.name or "other"
            self._services.metrics.page(name, time.perf_counter() - began)

    @web.middleware
    async def delivered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tags and compresses what is finished."""
        response = await handler(request)
        return deliver(request, response) if isinstance(response, web.Response) else response

    @web.middleware
    async def visited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Knows the visitor, turns errors into words, keeps what changed in cookies."""
        if request.path.startswith(PROGRAMS):
            return await handler(request)
        try:
            request[VISIT] = self._pages.visit(request, self._services.store.installed())
            if request.method == "POST" and not same_origin(request.headers, request.host):
                return self._say(request, 403)
            response = await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return self._say(request, error.status)
        except ContentError as error:
            log.error("%s: %s", request.path, error)
            return self._say(request, 503)
        except ConnectionError:
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return self._say(request, 500)
        if not response.prepared:
            self._pages.remember(request, response)
        return response

    def _say(self, request: web.Request, status: int) -> web.Response:
        if request.path.startswith(("/api/", "/metrics")):
            return web.json_response({"error": f"status {status}"}, status=status)
        try:
            return self._pages.page(request, "error.html", status=status, code=status)
        except Exception:
            log.exception("no error page for %s", request.path)
            return web.Response(status=status, text=NO_PAGE)


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    """No word about our software to anybody; our policy on all but the answers to probes, where
    a file does not bring a stricter one."""
    response.headers.pop("Server", None)
    if not captive.probe(request.host, request.path):
        for name, value in SECURITY.items():
            response.headers.setdefault(name, value)
