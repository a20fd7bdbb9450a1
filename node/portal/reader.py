"""Reader: a book read in the portal, a chapter a page, for a phone without a program for books.

* Its contents at /libro/{path}; a chapter with `c=` its number, counted from 1.
* What a chapter may do is in `epub.py`: nothing. Pictures come from the book itself.
"""

import asyncio

from aiohttp import web
from markupsafe import Markup

from node.portal import epub
from node.portal.epub import Chapter
from node.portal.media import file_url
from node.portal.pages import Pages
from node.services import Services
from node.store.files import FileCard
from sync.inventory import PICTURES


class Reader:
    """The pages of one book after the other."""

    def __init__(self, services: Services, pages: Pages) -> None:
        self._files = services.files
        self._pages = pages

    async def read(self, request: web.Request) -> web.Response:
        """GET /libro/{path}, with `c=` the chapter."""
        path = request.match_info["path"]
        card = next((c for c in self._files.cards() if c.file.path == path), None)
        if card is None or not card.readable:
            raise web.HTTPNotFound
        asked = request.query.get("c", "0")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 5 else -1
        shown = await asyncio.to_thread(self._chapter, card, number)
        if shown is None:
            raise web.HTTPNotFound
        chapters, body = shown
        return self._pages.page(
            request, "book.html", card=card, chapters=chapters, number=number, body=body
        )

    def _chapter(self, card: FileCard, number: int) -> tuple[list[Chapter], Markup] | None:
        path = card.file.path
        chapters = epub.chapters(lambda name: self._files.member(path, name))
        if not 0 <= number <= len(chapters):
            return None
        if number == 0:
            return chapters, Markup()
        places = {chapter.name: place for place, chapter in enumerate(chapters, 1)}

        def link(name: str) -> str | None:
            return f"?c={places[name]}" if name in places else None

        def picture(name: str) -> str | None:
            file = self._files.find(f"{path}/{name}")
            return file_url(file) if file and file.suffix in PICTURES else None

        name = chapters[number - 1].name
        return chapters, epub.chapter_html(
            lambda member: self._files.member(path, member), name, link, picture
        )
