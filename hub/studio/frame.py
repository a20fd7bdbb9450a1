"""Frame: what every page of the studio has around it, and who gets past it.

* `guarded` knows the visitor before a page does, checks the form token of every POST, and
  turns every error into a page in the visitor's language; the English cause stands below.
* A page is for anyone, for readers (any role), or for editors; `Route` says which, and the
  check is here, in one place. Who is not signed in is sent to the sign-in and back.
* Templates escape everything; only `view.Markdown` makes markup of text.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hub.answers import RefusedError, known, log_defect, status_of
from hub.errors import DecidedError
from hub.studio import session, view
from hub.studio.session import VISITOR, Door
from hub.studio.words import NAMES, Words
from sync.errors import ChaskiError

HOME = "/studio/revision"
SIGN_IN = "/studio/entrar"
FOLDER = Path(__file__).parent
FILES = {"studio.css": "text/css", "chaski.svg": "image/svg+xml"}
Access = Literal["anyone", "reader", "editor"]
Answer = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the studio (below /studio) and whom it is for."""

    method: str
    path: str
    answer: Answer
    access: Access


class Frame:
    """Renders pages and guards them."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.files = {name: (FOLDER / "static" / name).read_bytes() for name in FILES}
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        marks = {n: hashlib.sha256(data).hexdigest()[:12] for n, data in self.files.items()}
        self._templates.globals.update(
            view=view,
            markdown=view.Markdown(),
            names=NAMES,
            asset=lambda name: f"/studio/archivo/{name}?v={marks[name]}",
        )

    def application(
        self, routes: tuple[Route, ...], middlewares: tuple[Middleware, ...]
    ) -> web.Application:
        """The studio, to be mounted at /studio. `middlewares` come first: policy and session."""
        app = web.Application(middlewares=[*middlewares, self.guarded])
        for route in routes:
            app.router.add_route(route.method, route.path, self._open_to(route))
        return app

    async def page(
        self, request: web.Request, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        """A page from `template` and `values`, with the message that was left for it."""
        visitor = request[VISITOR]
        note = session.take_note(request)
        text = self._templates.get_template(template).render(
            values,
            visitor=visitor,
            words=visitor.words,
            note=visitor.words(note[0], **note[1]) if note else "",
            token=session.form_token(request),
            path=request.path,
            here=request.path_qs if request.method == "GET" else HOME,
        )
        return web.Response(status=status, text=text, content_type="text/html")

    @web.middleware
    async def guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Knows the visitor, checks form tokens, and turns errors into pages."""
        request[VISITOR] = await self._door.visitor(request)
        try:
            if request.method == "POST":
                request[session.FORM] = await session.read_form(request)
            return await handler(request)
        except web.HTTPException as answer:
            if answer.status < 400:
                raise
            return await self._error(request, answer.status, None)
        except Exception as raised:
            error = known(raised)
            status = status_of(error)
            if status >= 500 and status != 503:
                log_defect(request, error)
            return await self._error(request, status, error)

    def _open_to(self, route: Route) -> Handler:
        """The handler of `route` behind its access rule."""

        async def answer(request: web.Request) -> web.StreamResponse:
            visitor = request[VISITOR]
            if route.access != "anyone" and visitor.user is None:
                back = quote(request.path_qs if request.method == "GET" else HOME, safe="/")
                return go(f"{SIGN_IN}?de={back}")
            if route.access == "editor" and not visitor.edits:
                raise RefusedError(403, "role", f"{request.path} is for editors")
            return await route.answer(request)

        return answer

    async def _error(
        self, request: web.Request, status: int, error: Exception | None
    ) -> web.Response:
        words = request[VISITOR].words
        told = error if isinstance(error, ChaskiError) and status not in (403, 500, 503) else None
        return await self.page(
            request,
            "error.html",
            status=status,
            heading=words(f"error.{status}" if status in (403, 404, 409, 503) else "error.other"),
            advice=_advice(words, status, error),
            cause=str(told or ""),
            hint=told.hint if told else "",
        )


def go(path: str) -> web.Response:
    """A redirect that is a GET whatever the request was."""
    return web.Response(status=303, headers={"Location": path})


def local(path: str | None) -> str:
    """`path` when it is one of the studio's own pages, else the first page."""
    ours = path is not None and path.startswith("/studio/") and path.isprintable()
    return path if path and ours and "\\" not in path and len(path) <= 500 else HOME


def _advice(words: Words, status: int, error: Exception | None) -> str:
    reason = error.reason if isinstance(error, RefusedError) else ""
    if reason in ("role", "form"):
        return words(f"error.{reason}")
    if status in (404, 405):
        return words("error.gone")
    if isinstance(error, DecidedError):
        return words("error.decided")
    if status == 503:
        return words("error.busy")
    return words("error.defect") if status >= 500 else ""
