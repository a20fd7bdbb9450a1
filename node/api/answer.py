"""Answer: what the two kinds of request share: the model on board, the body, the stream.

* A stream is server-sent events, one JSON value each, then `[DONE]`; while nothing is to be
  told a comment says that it lives. A failure after its beginning is an event with `error`.
* Who goes away stops the writing.
"""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from models.completions.request import fields, reason
from models.completions.schema import Usage
from models.engine import Piece
from models.errors import ModelError
from node.api.context import Context
from node.api.errors import told as told_error
from node.api.writing import Writing, gone, told

if TYPE_CHECKING:
    from models.engine import Engine


Told = AsyncGenerator[tuple[int, Piece] | None, None]
Choice = Mapping[str, object]


class Answering:
    """One answer to one request, `kind` its prefix and `name` its object."""

    def __init__(
        self,
        request: web.Request,
        kind: str,
        name: str,
        engine: "Engine",
        context: Context,
        headers: Mapping[str, str],
    ) -> None:
        self._request = request
        self._headers = headers
        self._context = context
        self._fields = fields(kind, name, engine, context.now())
        self._response = web.StreamResponse()

    def pieces(self, writings: Sequence[Writing]) -> Told:
        """The pieces of `writings` as they come."""
        return told(self._request, writings, self._context.tick)

    async def gathered(self, pieces: Told, count: int) -> tuple[list[str], list[str]]:
        """The whole texts and why they end. Raises ApiError."""
        texts, reasons = [""] * count, [""] * count
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if piece:
                        texts[piece[0]] += piece[1].text
                        reasons[piece[0]] = reason(piece[1]) or ""
        except ModelError as error:
            raise told_error(error) from error
        if not all(reasons):
            raise ConnectionResetError("the client went away")
        return texts, reasons

    def whole(
        self, choices: Sequence[Choice], usage: Usage, note: Mapping[str, object] | None
    ) -> web.Response:
        """The answer in one piece."""
        answer = {**self._fields, "choices": choices, "usage": usage}
        if note:
            answer["chaski"] = note
        return web.Response(
            body=msgspec.json.encode(answer),
            content_type="application/json",
            headers={**self._headers, "Cache-Control": "no-store"},
        )

    async def begin(self) -> None:
        """The head of a stream."""
        self._response.headers.update(self._headers)
        self._response.headers["Cache-Control"] = "no-store"
        self._response.content_type = "text/event-stream"
        self._response.charset = "utf-8"
        await self._response.prepare(self._request)

    async def living(self, pieces: Told) -> AsyncGenerator[tuple[int, Piece], None]:
        """The pieces; a comment is sent when none comes, an error when the model fails."""
        last = time.monotonic()
        try:
            async for piece in pieces:
                if piece:
                    yield piece
                    last = time.monotonic()
                elif time.monotonic() - last > self._context.tick:
                    await self._response.write(b": waiting\n\n")
        except ModelError as error:
            await self._send(told_error(error).body())

    async def event(
        self, choices: Sequence[Choice], *, note: Mapping[str, object] | None = None
    ) -> None:
        """One event of a stream."""
        event = {**self._fields, "choices": choices}
        if note:
            event["chaski"] = note
        await self._send(event)

    async def end(self, usage: Usage | None) -> web.StreamResponse:
        """The last events of a stream."""
        if not gone(self._request):
            if usage:
                await self._send({**self._fields, "choices": [], "usage": usage})
            await self._response.write(b"data: [DONE]\n\n")
            await self._response.write_eof()
        return self._response

    async def _send(self, value: object) -> None:
        await self._response.write(b"data: " + msgspec.json.encode(value) + b"\n\n")
