"""Answer: what the two kinds of request share: the model on board, the body, the stream.

* A stream is server-sent events, one JSON value each, then `[DONE]`; while nothing is to be
  told a comment says that it lives. A failure after its beginning is an event with `error`.
* Who goes away stops the writing.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from models.engine.sequence import Piece
from models.errors import ModelError, Overloaded
from node.api.errors import (
    ApiError,
    BusyError,
    TooLargeError,
    UnavailableError,
    UnknownModelError,
)
from node.api.schema import Usage
from node.api.writing import Writing, gone, told

if TYPE_CHECKING:
    from models.engine import Engine

MAX_BODY_BYTES = 256 * 1024
RETRY_SECONDS = 10
REASONS = {"end": "stop", "stop": "stop", "length": "length", "deadline": "length"}

Told = AsyncGenerator[tuple[int, Piece] | None, None]
Choice = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Context:
    """What the answers need of the node. `now` gives Unix seconds."""

    model: "Callable[[], Engine | None]"
    now: Callable[[], float]
    deadline_s: float
    tick: float

    def engine(self, asked: str) -> "Engine":
        """The model on board; `asked` is its name, or nothing. Raises ApiError."""
        engine = self.model()
        if engine is None:
            raise UnavailableError("no model is on board, or it is switched off")
        if asked and asked != engine.name:
            raise UnknownModelError(
                f"the model {asked!r} is not on board, {engine.name!r} is",
                param="model",
                code="model_not_found",
            )
        return engine

    async def body(self, request: web.Request) -> bytes:
        """The body, of bounded size. Raises TooLargeError."""
        data = bytearray()
        async for part in request.content.iter_any():
            data += part
            if len(data) > MAX_BODY_BYTES:
                raise TooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
        return bytes(data)


def failed(error: Exception) -> ApiError:
    """What the client is told about `error`."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Overloaded):
        return BusyError(str(error), code="queue_full", retry_s=RETRY_SECONDS)
    return UnavailableError(f"the model cannot answer: {error}")


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
        self._fields = {
            "id": f"{kind}-{secrets.token_hex(12)}",
            "object": name,
            "created": int(context.now()),
            "model": engine.name,
            "system_fingerprint": engine.version,
        }
        self._response = web.StreamResponse()

    def pieces(self, writings: Sequence[Writing]) -> Told:
        """The pieces of `writings` as they come."""
        return told(self._request, writings, self._context.tick)

    @staticmethod
    def reason(piece: Piece) -> str | None:
        """Why the answer ends with `piece`, in a client's words."""
        return REASONS.get(piece.reason, "stop") if piece.done else None

    async def gathered(self, pieces: Told, count: int) -> tuple[list[str], list[str]]:
        """The whole texts and why they end. Raises ApiError."""
        texts, reasons = [""] * count, [""] * count
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if piece:
                        texts[piece[0]] += piece[1].text
                        reasons[piece[0]] = self.reason(piece[1]) or ""
        except ModelError as error:
            raise failed(error) from error
        if not all(reasons):
            raise ConnectionResetError("the client went away")
        return texts, reasons

    def whole(
        self, choices: Sequence[Choice], usage: Usage, note: Mapping[str, object] | None
    ) -> web.Response:
        """The answer in one piece."""
        fields = {**self._fields, "choices": choices, "usage": usage}
        if note:
            fields["chaski"] = note
        return web.Response(
            body=msgspec.json.encode(fields),
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
            await self._send(failed(error).body())

    async def event(
        self, choices: Sequence[Choice], *, note: Mapping[str, object] | None = None
    ) -> None:
        """One event of a stream."""
        fields = {**self._fields, "choices": choices}
        if note:
            fields["chaski"] = note
        await self._send(fields)

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
