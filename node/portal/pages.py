"""Pages: from a template and its values to a response, in the visitor's language.

* A `Visit` is what one request knows of its visitor: language, progress, installed version.
* The language is what `?idioma=` or its cookie says, else the node's own. `Accept-Language`
  is not asked: a village's second-hand phones often speak English, its children do not.
* Templates escape everything; only `markdown.py` and the index's snippets make markup.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import jinja2
from aiohttp import web
from jinja2.runtime import Context
from markupsafe import Markup

from node.portal.assets import FOLDER as STATIC
from node.portal.assets import Assets
from node.portal.guest import COOKIE, Guestbook, Progress
from node.portal.i18n.catalogue import LANGUAGES, NAMES, TAGS, Catalogue, open_catalogue
from node.portal.media import file_url, icon
from node.portal.words import Words
from node.store.store import Installed
from sync.lesson import Language

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGE_COOKIE = "idioma"
LANGUAGE_PARAMETER = "idioma"
COOKIE_SECONDS = 365 * 86400
REVALIDATE = "private, no-cache"
HTML = "text/html; charset=utf-8"
SEAM = Markup("<!--live-->")
"""Where a streamed page is cut. Text cannot contain it: `<` is escaped in text."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Visit:
    """One request's visitor. `progress` is replaced by handlers, the rest stays."""

    language: Language
    progress: Progress
    installed: Installed | None
    chosen: bool = False
    """True when the language was chosen by this very request."""
    refresh: bool = False
    """True when the page's own script asks, not a person: nothing is counted."""
    _before: Progress = field(default_factory=Progress)

    @property
    def catalogue(self) -> Catalogue:
        """The messages of the visitor's language."""
        return open_catalogue(self.language)

    @property
    def changed(self) -> bool:
        """True when the progress is not what the cookie said."""
        return self.progress != self._before


VISIT = web.RequestKey("visit", Visit)


def parse_language(text: str | None) -> Language | None:
    """`text` as one of our languages, else None."""
    return next((language for language in get_args(Language) if language == text), None)


class Pages:
    """Renders the portal's templates."""

    def __init__(self, assets: Assets, guestbook: Guestbook, default: Language) -> None:
        self._guestbook = guestbook
        self._default = default
        self._templates = _environment()
        self._templates.globals.update(
            static=assets.url,
            languages=LANGUAGES,
            names=NAMES,
            tags=TAGS,
            file_url=file_url,
            icon=icon,
        )

    def visit(self, request: web.Request, installed: Installed | None) -> Visit:
        """Who asks."""
        chosen = parse_language(request.query.get(LANGUAGE_PARAMETER))
        held = parse_language(request.cookies.get(LANGUAGE_COOKIE))
        progress = self._guestbook.read(request.cookies.get(COOKIE, ""))
        return Visit(
            language=chosen or held or self._default,
            progress=progress,
            installed=installed,
            chosen=chosen is not None and chosen != held,
            refresh="X-Chaski-Refresh" in request.headers,
            _before=progress,
        )

    def remember(self, request: web.Request, response: web.StreamResponse) -> None:
        """Puts what changed about the visitor into cookies."""
        visit = request[VISIT]
        if visit.chosen:
            _set(response, LANGUAGE_COOKIE, visit.language)
        if visit.changed:
            _set(response, COOKIE, self._guestbook.write(visit.progress))

    def page(
        self, request: web.Request, template: str, *, status: int = 200, **values: Any
    ) -> web.Response:
        """A whole page."""
        text = self._templates.get_template(template).render(self._context(request, values))
        headers = {"Content-Type": HTML, "Cache-Control": REVALIDATE, "Vary": "Cookie"}
        return web.Response(status=status, body=text.encode(), headers=headers)

    async def stream(
        self, request: web.Request, template: str, live: AsyncGenerator[Markup, None], **values: Any
    ) -> web.StreamResponse:
        """A page sent as it is made: `live` flows in where the template has `{{ live }}`.

        `live` is closed whatever happens, also when the reader goes away.
        """
        context = self._context(request, {"live": SEAM, **values})
        async with aclosing(live):
            head, _, tail = self._templates.get_template(template).render(context).partition(SEAM)
            response = web.StreamResponse(
                headers={"Content-Type": HTML, "Cache-Control": "no-store"}
            )
            self.remember(request, response)
            await response.prepare(request)
            await response.write(head.encode())
            async for part in live:
                await response.write(part.encode())
            await response.write(tail.encode())
            await response.write_eof()
        return response

    def _context(self, request: web.Request, values: Mapping[str, Any]) -> dict[str, Any]:
        visit = request[VISIT]
        return {
            "visit": visit,
            "words": Words(visit.catalogue),
            "path": request.path,
            "language_links": {
                language: str(request.rel_url.update_query({LANGUAGE_PARAMETER: language}))
                for language in LANGUAGES
            },
            **values,
        }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, STATIC]),
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    return environment


@jinja2.pass_context
def _gettext(context: Context, message: str) -> str:
    return _visit(context).catalogue.gettext(message)


@jinja2.pass_context
def _ngettext(context: Context, one: str, many: str, n: int) -> str:
    return _visit(context).catalogue.ngettext(one, many, n)


def _visit(context: Context) -> Visit:
    visit: Visit = context["visit"]
    return visit


def _set(response: web.StreamResponse, name: str, value: str) -> None:
    response.set_cookie(
        name, value, max_age=COOKIE_SECONDS, path="/", httponly=True, samesite="Lax"
    )
