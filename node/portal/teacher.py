"""Teacher: a lesson is handed in here, and this page says what became of it.

* It needs no account yet: like the button that syncs, the form must come from our own page,
  and what it can take is bounded by the spool.
* The body is read piece by piece with a bound of its own, and what is too long is read to its
  end as far as `MAX_DRAINED_BYTES`, so that a phone gets the page that says so.
* What was typed stays in the form when something is wrong with it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import get_args

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from node.handing import Handed
from node.portal.pages import VISIT, Pages
from node.portal.shelf import Shelf
from node.services import Services
from sync.errors import ContentError, SpaceError
from sync.lesson import Grade
from sync.parcel import MAX_FILES, MAX_PARCEL_BYTES, Licence, Parcel, parcel

GRADES: tuple[Grade, ...] = get_args(Grade)
LICENCES: tuple[Licence, ...] = get_args(Licence)
FIELDS = ("title", "author", "licence", "topic", "grade", "language", "text")
MAX_FIELD_BYTES = 256 * 1024
MAX_BODY_BYTES = MAX_PARCEL_BYTES + 2 * MAX_FIELD_BYTES
MAX_DRAINED_BYTES = 64 * 1024 * 1024
MAX_FIELDS = 32
TEXT_NAMES = (".md", ".txt")
SHOWN = 30

log = logging.getLogger(__name__)


class TooLongError(Exception):
    """More bytes came than are taken."""


@dataclass(slots=True)
class Form:
    """What was typed and chosen."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)

    def parcel(self) -> Parcel:
        """As it will travel. Raises ContentError."""
        text = self.fields.get("text", "")
        others: list[tuple[str, bytes]] = []
        for name, data in self.files:
            if name.lower().endswith(TEXT_NAMES):
                text = f"{text}\n\n{_written(name, data)}".strip()
            else:
                others.append((name, data))
        if len(others) > MAX_FILES:
            raise ContentError(f"{len(others)} files, at most {MAX_FILES} travel together")
        values = {name: self.fields.get(name, "") for name in FIELDS if name != "text"}
        return parcel(**values, text=text, files=others)


class Teacher:
    """The pages for those who hand something in."""

    def __init__(self, services: Services, pages: Pages, shelf: Shelf) -> None:
        self._services, self._pages, self._shelf = services, pages, shelf

    async def page(self, request: web.Request) -> web.Response:
        """GET /entregar"""
        typed: dict[str, str] = {"language": request[VISIT].language}
        return await self._show(request, Form(typed), done=request.query.get("listo", ""))

    async def hand_in(self, request: web.Request) -> web.Response:
        """POST /entregar: keeps the lesson for the hub, or says what is wrong with it.

        A program (`Accept: application/json`) gets what was kept.
        """
        form = Form()
        try:
            form = await _read(request)
            topics = self._shelf.topics(request[VISIT])
            if form.fields.get("topic") not in topics:
                raise ContentError("there is no such topic", hint=f"topics: {', '.join(topics)}")
            made = await asyncio.to_thread(form.parcel)
            handed = await asyncio.to_thread(self._services.handing.hand_in, made)
        except TooLongError:
            error = ContentError(f"at most {MAX_PARCEL_BYTES:,} bytes travel with a lesson")
            return await self._wrong(request, form, "long", 413, error)
        except SpaceError as error:
            return await self._wrong(request, form, "space", 507, error)
        except ContentError as error:
            return await self._wrong(request, form, "content", 400, error)
        if _program(request):
            return web.Response(body=msgspec.json.encode(handed), content_type="application/json")
        address = f"/entregar?listo={handed.upload[:12]}#entregas"
        return web.Response(status=303, headers={"Location": address})

    async def _wrong(
        self,
        request: web.Request,
        form: Form,
        wrong: str,
        status: int,
        error: ContentError | SpaceError,
    ) -> web.Response:
        log.info("a lesson was not taken: %s", error)
        if _program(request):
            told = {"error": str(error), "hint": error.hint}
            return web.json_response(told, status=status)
        return await self._show(request, form, wrong=wrong, cause=str(error), status=status)

    async def _show(
        self,
        request: web.Request,
        form: Form,
        *,
        done: str = "",
        wrong: str = "",
        cause: str = "",
        status: int = 200,
    ) -> web.Response:
        handed: list[Handed] = await asyncio.to_thread(self._services.handing.handed)
        return self._pages.page(
            request,
            "hand_in.html",
            status=status,
            typed={name: form.fields.get(name, "") for name in FIELDS},
            topics=self._shelf.topics(request[VISIT]).values(),
            grades=GRADES,
            licences=LICENCES,
            handed=handed[:SHOWN],
            now=self._services.clock.now(),
            done=next((one for one in handed if done and one.upload.startswith(done)), None),
            wrong=wrong,
            cause=cause,
            most_bytes=MAX_PARCEL_BYTES,
            most_files=MAX_FILES,
        )


async def _read(request: web.Request) -> Form:
    """The form of `request`. Raises ContentError: no such form. TooLongError."""
    form = Form()
    if not request.content_type.startswith("multipart/"):
        raise ContentError("this is not the form of this page")
    size = count = 0
    try:
        async for part in await request.multipart():
            count += 1
            if count > MAX_FIELDS or not isinstance(part, BodyPartReader):
                raise ContentError("this is not the form of this page")
            data = bytearray()
            while piece := await part.read_chunk():
                size += len(piece)
                if size > MAX_DRAINED_BYTES:
                    raise TooLongError
                if size <= MAX_BODY_BYTES:
                    data += piece
            if part.filename:
                form.files.append((part.filename, bytes(data)))
            elif part.name in FIELDS:
                form.fields[part.name] = data[:MAX_FIELD_BYTES].decode("utf-8", "replace")
    except (ValueError, HttpProcessingError) as error:  # aiohttp's words for no multipart
        raise ContentError(f"the form is damaged: {error}") from error
    if size > MAX_BODY_BYTES:
        raise TooLongError
    form.files = [(name, data) for name, data in form.files if data]
    return form


def _written(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError(f"{name}: not UTF-8", hint="save it as UTF-8") from error


def _program(request: web.Request) -> bool:
    return "json" in request.headers.get("Accept", "")
