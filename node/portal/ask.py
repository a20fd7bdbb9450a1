"""Ask: a question, the library's words first, then a machine's explanation as it is written.

* The quote and its place in the lesson are on the page before the model has said a word.
* Machine text stands in its own box, labelled as such, and is escaped like a stranger's.
* Nothing relevant in the library: the page says so, shows the nearest lessons, and the
  question travels up to the hub. No model is asked.
* Too many are waiting: the quote is shown at once, and how many wait.
* Who closes the tab frees the place: the stream is cancelled within one `tick`.
* Asking the same page again is asking anew: it is never kept (`no-store`), and the page's
  own script does not reload it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from markupsafe import Markup, escape

from models.errors import ModelError
from node.grounding import Grounded
from node.portal.pages import VISIT, Pages, Visit
from node.portal.shelf import Shelf
from node.services import Services
from node.tutor import Answer

MAX_QUESTION_CHARS = 300
TICK_SECONDS = 0.5

log = logging.getLogger(__name__)


class Ask:
    """The pages around a question."""

    def __init__(self, services: Services, pages: Pages, shelf: Shelf, tick: float) -> None:
        self._services = services
        self._pages = pages
        self._shelf = shelf
        self._tick = tick

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """GET /preguntar, with `q=` the question."""
        visit = request[VISIT]
        question = request.query.get("q", "").strip()[:MAX_QUESTION_CHARS]
        if not question:
            return self._pages.page(request, "ask.html", answer=None, question="", nearest=())
        answer = await asyncio.to_thread(self._services.tutor.ask, question, visit.language)
        self._record(visit, answer)
        stream, busy = await asyncio.to_thread(self._explain, answer, request.remote or "")
        nearest = [self._shelf.item(visit, card) for card in answer.nearest]
        values: dict[str, Any] = {"answer": answer, "question": question, "nearest": nearest}
        if stream:
            live = Told(stream, request, visit, self._tick).html()
            return await self._pages.stream(request, "ask.html", live, busy=None, **values)
        page = self._pages.page(request, "ask.html", live=None, busy=busy, **values)
        page.headers["Cache-Control"] = "no-store"
        return page

    async def feedback(self, request: web.Request) -> web.Response:
        """POST /opinion: was the explanation right? Keeps an event, then says thank you."""
        form = await request.post()
        said = {
            name: value[:MAX_QUESTION_CHARS]
            for name in ("question", "lesson", "language", "verdict")
            if isinstance(value := form.get(name), str)
        }
        if said.get("verdict") not in ("yes", "no"):
            raise web.HTTPBadRequest
        self._services.record_event("feedback", said)
        return web.Response(status=303, headers={"Location": "/gracias"})

    async def thanks(self, request: web.Request) -> web.Response:
        """GET /gracias"""
        about = "lesson" if request.query.get("de") == "leccion" else "answer"
        return self._pages.page(request, "thanks.html", about=about)

    def _explain(self, answer: Answer, client: str) -> tuple[Grounded | None, int | None]:
        """The machine's text to come; or how many wait, when that is why there is none."""
        try:
            stream = self._services.tutor.explain(answer, client)
        except ModelError as error:
            log.warning("no explanation: %s", error)
            return None, None
        engine = self._services.engine
        full = stream is None and engine is not None and answer.kind == "answer"
        return stream, engine.stats().waiting if engine and full else None

    def _record(self, visit: Visit, answer: Answer) -> None:
        asked = {"question": answer.question, "language": visit.language, "answer": answer.kind}
        if answer.quote:
            asked["lesson"] = answer.quote.id
        self._services.record_event("question", asked)
        if answer.kind == "refusal":
            missed = {"query": answer.question, "language": visit.language}
            self._services.record_event("search_missed", missed)


@dataclass(slots=True)
class Told:
    """What one stream tells, as pieces of HTML."""

    stream: Grounded
    request: web.Request
    visit: Visit
    tick: float

    async def html(self) -> AsyncGenerator[Markup, None]:
        """The place in the queue while it changes, then the text; cancelled when left early."""
        gettext = self.visit.catalogue.gettext
        began = ended = False
        try:
            async with aclosing(self._pieces()) as pieces:
                async for piece in pieces:
                    if isinstance(piece, int):
                        note = gettext("Tu lugar en la fila: %(place)s") % {"place": piece}
                        yield Markup('<p class="queue">%s</p>') % note
                        continue
                    text = piece if began else piece.lstrip()
                    if text and not began:
                        began = True
                        yield Markup('<p class="text">')
                    yield escape(text)
            ended = True
        except ModelError as error:
            log.warning("explanation broken off: %s", error)
            stopped = gettext("La máquina se detuvo. Las palabras de la biblioteca siguen arriba.")
            yield Markup('<p class="queue">%s</p>') % stopped
        finally:
            self.stream.cancel()
        if began:
            yield Markup("</p>")
        elif ended:
            astray = gettext("La máquina no pudo explicarlo sin apartarse de la lección.")
            yield Markup('<p class="queue">%s</p>') % astray

    async def _pieces(self) -> AsyncGenerator[str | int, None]:
        """Text as it comes, and the place in the queue as a number whenever it changes."""
        told = 0
        pieces = aiter(self.stream)
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            while not self._left():
                if (place := self.stream.position) and place != told:
                    told = place
                    yield place
                if not (await asyncio.wait({coming}, timeout=self.tick))[0]:
                    continue
                piece = coming.result()
                if piece is None:
                    return
                yield piece
                coming = asyncio.ensure_future(anext(pieces, None))
        finally:
            coming.cancel()
            await asyncio.wait({coming})

    def _left(self) -> bool:
        transport = self.request.transport
        return transport is None or transport.is_closing()
