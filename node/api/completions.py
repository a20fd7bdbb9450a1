"""Completions: POST /v1/completions, the model as it is: text in, its continuation out.

* A prompt that lost its beginning says so in `chaski.truncated_tokens` and in the header
  `X-Chaski-Truncated-Tokens`.
"""

import asyncio
from contextlib import aclosing

from aiohttp import web

from models.completions.request import OBJECT, begin, choice, reason
from models.completions.schema import CompletionAsked, read
from node.api.answer import Answering
from node.api.context import Context

TRUNCATED = "X-Chaski-Truncated-Tokens"


class Completions:
    """Answers POST /v1/completions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions. Raises ApiError, ModelError."""
        asked = read(await self._context.body(request), CompletionAsked)
        engine = self._context.engine(asked.model)
        begun = await asyncio.to_thread(begin, asked, engine, self._context.deadline_s)
        headers = {TRUNCATED: str(begun.truncated)} if begun.truncated else {}
        answering = Answering(request, "cmpl", OBJECT, engine, self._context, headers)
        pieces = answering.pieces(begun.streams)
        if not asked.stream:
            texts, reasons = await answering.gathered(pieces, len(begun.streams))
            choices = [
                choice(number, (begun.echo(number) if asked.echo else "") + text, ended)
                for number, (text, ended) in enumerate(zip(texts, reasons, strict=True))
            ]
            return answering.whole(choices, begun.usage, begun.note)
        async with aclosing(pieces):
            await answering.begin()
            if asked.echo:
                for number in range(len(begun.streams)):
                    shown = choice(number, begun.echo(number), None)
                    await answering.event([shown], note=begun.note)
            async for number, piece in answering.living(pieces):
                if piece.text or piece.done:
                    shown = choice(number, piece.text, reason(piece))
                    await answering.event([shown], note=begun.note)
            return await answering.end(begun.usage if asked.usage_wanted else None)
