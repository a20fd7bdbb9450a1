"""Reading: a lesson, in one language or in two side by side, and the marking of its quiz.

* A lesson's address names its language, so that a shared link shows what was meant. Who
  switches the portal's language on a lesson gets the lesson in it, too, if there is one.
* Two languages stand side by side when their bodies have equally many blocks; Spanish leads.
* A quiz is marked here, never in the browser. Its answers travel in the address of the page
  that shows the marks: going back or loading it again sends nothing twice.
* What was rendered is kept for the newest `RENDERED` lessons, under the digest of their object.
* A pinned lesson says so, and when a newer revision waits.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

from aiohttp import web
from markupsafe import Markup

from node import quiz
from node.portal.markdown import Blocks
from node.portal.media import file_url
from node.portal.pages import VISIT, Pages, Visit, parse_language
from node.portal.shelf import Shelf, lesson_url
from node.services import RecordEvent
from node.store.files import Files
from node.store.pins import Newer, Pins
from sync.canonical import Digest
from sync.events import MAX_TEXT_CHARS
from sync.inventory import PICTURES
from sync.lesson import Language, Lesson

RENDERED = 128
REPORTS = ("wrong", "unclear", "language", "other")
"""What may be wrong with a lesson."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A lesson ready to be shown: each block of its body as HTML."""

    lesson: Lesson
    blocks: tuple[Markup, ...]

    @property
    def language(self) -> Language:
        """The lesson's language."""
        return self.lesson.language


@dataclass(frozen=True, slots=True)
class Version:
    """One way to read a lesson: in a language, or in two side by side."""

    url: str
    first: Language
    second: Language | None
    current: bool


class Reading:
    """The pages of one lesson."""

    def __init__(
        self, shelf: Shelf, files: Files, pages: Pages, record_event: RecordEvent, pins: Pins
    ) -> None:
        self._pins = pins
        self._shelf = shelf
        self._files = files
        self._pages = pages
        self._record_event = record_event
        self._markdown = Blocks()
        self._rendered = lru_cache(maxsize=RENDERED)(self._render)

    async def any_language(self, request: web.Request) -> web.Response:
        """GET /leccion/{id}: to the lesson in the reader's language, or the next best."""
        card = self._shelf.library.card(request.match_info["id"], request[VISIT].language)
        if card is None:
            raise web.HTTPNotFound
        return web.Response(status=302, headers={"Location": lesson_url(card.id, card.language)})

    async def lesson(self, request: web.Request) -> web.Response:
        """GET /leccion/{id}/{language}, with `junto=` a second language, `r=` a quiz's answers."""
        visit = request[VISIT]
        shown = self._asked_for(request)
        lesson = shown.lesson
        beside = self._beside(visit, shown, parse_language(request.query.get("junto")))
        if not visit.refresh:
            visit.progress = visit.progress.opened(lesson.id, lesson.language)
            opened = {"lesson": lesson.id, "language": lesson.language}
            self._record_event("lesson_opened", opened)
        answers = request.query.get("r")
        return self._pages.page(
            request,
            "lesson.html",
            lesson=lesson,
            blocks=shown.blocks,
            beside=beside,
            versions=self._versions(visit, shown, beside),
            topic=self._shelf.topics(visit).get(lesson.topic),
            result=None if answers is None else quiz.mark(lesson.quiz, quiz.read(answers)),
            score=visit.progress.score(lesson.id),
            pinned=self._pinned(lesson),
            finished=visit.progress.has_read(lesson.id),
            around=self._shelf.neighbours(visit, lesson.topic, lesson.id),
            language_links=self._language_links(lesson),
        )

    async def answer_quiz(self, request: web.Request) -> web.Response:
        """POST /leccion/{id}/{language}/prueba: marks, remembers, and shows the lesson again."""
        visit = request[VISIT]
        lesson = self._asked_for(request).lesson
        form = await request.post()
        sheet = quiz.sheet_of(
            value if isinstance(value, str) else None
            for value in (form.get(f"p{number}") for number in range(len(lesson.quiz)))
        )
        result = quiz.mark(lesson.quiz, sheet)
        if result.answered:
            visit.progress = visit.progress.scored(lesson.id, result.right, result.total)
            marked = {
                "lesson": lesson.id,
                "language": lesson.language,
                "right": str(result.right),
                "total": str(result.total),
                "answers": quiz.write(sheet),
                "marks": quiz.marks(result),
            }
            self._record_event("quiz_answered", marked)
            self._finished(visit, lesson)
        address = f"{lesson_url(lesson.id, lesson.language)}?r={quiz.write(sheet)}#prueba"
        return web.Response(status=303, headers={"Location": address})

    def _pinned(self, lesson: Lesson) -> Newer | None:
        """What waits behind the pin on a lesson; None when it is not pinned."""
        pin = self._pins.on(lesson.path)
        return self._pins.newer(pin) if pin else None

    async def finish(self, request: web.Request) -> web.Response:
        """POST /leccion/{id}/{language}/fin: read to its end; counted once in each browser."""
        visit = request[VISIT]
        lesson = self._asked_for(request).lesson
        self._finished(visit, lesson)
        address = f"{lesson_url(lesson.id, lesson.language)}#fin"
        return web.Response(status=303, headers={"Location": address})

    async def report(self, request: web.Request) -> web.Response:
        """POST /leccion/{id}/{language}/aviso: something is wrong with this lesson."""
        lesson = self._asked_for(request).lesson
        form = await request.post()
        verdict, note = form.get("verdict"), form.get("note", "")
        if verdict not in REPORTS or not isinstance(verdict, str) or not isinstance(note, str):
            raise web.HTTPBadRequest
        told = {"lesson": lesson.id, "language": lesson.language, "verdict": verdict}
        self._record_event("feedback", told | {"note": note[:MAX_TEXT_CHARS]})
        return web.Response(status=303, headers={"Location": "/gracias?de=leccion"})

    def _finished(self, visit: Visit, lesson: Lesson) -> None:
        if not visit.progress.has_read(lesson.id):
            visit.progress = visit.progress.read(lesson.id)
            told = {"lesson": lesson.id, "language": lesson.language}
            self._record_event("lesson_finished", told)

    def _asked_for(self, request: web.Request) -> Shown:
        """The lesson that an address names. Raises HTTPNotFound, ContentError."""
        language = parse_language(request.match_info["language"])
        shown = language and self._read(request[VISIT], request.match_info["id"], language)
        if not shown:
            raise web.HTTPNotFound
        return shown

    def _read(self, visit: Visit, id_: str, language: Language) -> Shown | None:
        revision = self._shelf.library.revision(id_, language)
        return self._rendered(revision, id_, language) if revision else None

    def _render(self, revision: Digest, id_: str, language: Language) -> Shown | None:
        """`revision` is only a key of the memory: another object, another text."""
        lesson = self._shelf.library.lesson(id_, language)
        if lesson is None:
            return None
        blocks = (self._markdown.html(block, self._picture) for block in lesson.body)
        return Shown(lesson, tuple(blocks))

    def _picture(self, path: str) -> str | None:
        file = self._files.find(path)
        return file_url(file) if file and file.suffix in PICTURES else None

    def _beside(self, visit: Visit, shown: Shown, language: Language | None) -> Shown | None:
        """The lesson in a second language, when its blocks pair with those of the first."""
        if language is None or language == shown.language:
            return None
        other = self._read(visit, shown.lesson.id, language)
        return other if other and len(other.blocks) == len(shown.blocks) else None

    def _versions(self, visit: Visit, shown: Shown, beside: Shown | None) -> list[Version]:
        """In how many ways the lesson can be read."""
        id_ = shown.lesson.id
        held = self._shelf.library.languages(id_)
        ways: list[tuple[Language, Language | None]] = [(language, None) for language in held]
        spanish = self._read(visit, id_, "es") if "es" in held else None
        if spanish:
            ways += [("es", other) for other in held if self._beside(visit, spanish, other)]
        current = (shown.language, beside.language if beside else None)
        return [
            Version(
                lesson_url(id_, first) + (f"?junto={second}" if second else ""),
                first,
                second,
                current=(first, second) == current,
            )
            for first, second in ways
        ]

    def _language_links(self, lesson: Lesson) -> dict[Language, str]:
        held = self._shelf.library.languages(lesson.id)
        return {
            choice: lesson_url(lesson.id, choice if choice in held else lesson.language)
            + f"?idioma={choice}"
            for choice in get_args(Language)
        }
