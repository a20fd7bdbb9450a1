"""Files: books, pictures and other files of the channel, listed and served.

* The tag is the digest of the bytes; ranges follow `sync/ranges.py`, so that a download that
  broke goes on. An address with the right `v=` never changes and is kept by the phone.
* Nothing that comes as a file may act as one of our pages: see `media.py`.
* Reading is done in threads; a reader that takes nothing for `STALL_SECONDS` is let go.
"""

import asyncio
import logging
from collections.abc import Iterator

from aiohttp import web

from node.portal.media import headers, mark
from node.portal.pages import VISIT, Pages
from node.portal.shelf import Shelf
from node.services import Services
from sync.errors import ContentError
from sync.ranges import Answer, judge, tag

STALL_SECONDS = 120.0
log = logging.getLogger(__name__)


class Downloads:
    """The pages and answers about files."""

    def __init__(self, services: Services, pages: Pages, shelf: Shelf) -> None:
        self._files = services.files
        self._pages = pages
        self._shelf = shelf

    async def list(self, request: web.Request) -> web.Response:
        """GET /recursos: everything there is, by topic; the pictures of lessons at the end."""
        cards = self._files.cards()
        topics = self._shelf.topics(request[VISIT])
        shown = [card for card in cards if not card.picture]
        groups = [
            (topic, [card for card in shown if card.about.topic == topic.id])
            for topic in topics.values()
        ]
        rest = [card for card in shown if card.about.topic not in topics]
        return self._pages.page(
            request,
            "files.html",
            groups=[group for group in groups if group[1]],
            rest=rest,
            pictures=[card for card in cards if card.picture],
        )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /recurso/{path}: the file, or the part of it that is asked for."""
        file = self._files.find(request.match_info["path"])
        if file is None:
            raise web.HTTPNotFound
        answer = judge(request.headers, tag(file.digest), file.size)
        if answer.status == 412:
            raise web.HTTPPreconditionFailed
        said = headers(file, fixed=request.query.get("v") == mark(file))
        if answer.status == 416:
            said["Content-Range"] = f"bytes */{file.size}"
            return web.Response(status=416, headers=said)
        if answer.status == 304:
            return web.Response(status=304, headers=said)
        read = await asyncio.to_thread(self._files.open, file)
        if answer.status == 206:
            said["Content-Range"] = f"bytes {answer.start}-{answer.stop - 1}/{file.size}"
        response = web.StreamResponse(status=answer.status, headers=said)
        response.content_length = answer.stop - answer.start
        await response.prepare(request)
        if request.method == "GET":
            await _pour(request, response, read(answer.start, answer.stop), answer)
        return response


async def _pour(
    request: web.Request, response: web.StreamResponse, pieces: Iterator[bytes], answer: Answer
) -> None:
    """Sends the pieces. Who gets no more must not take it for the end: the line is cut."""
    try:
        while piece := await asyncio.to_thread(next, pieces, b""):
            async with asyncio.timeout(STALL_SECONDS):
                await response.write(piece)
        await response.write_eof()
    except (TimeoutError, ConnectionError, ContentError) as error:
        if isinstance(error, ContentError):
            log.error("%s: %s", request.path, error)
        if request.transport is not None:
            request.transport.abort()
