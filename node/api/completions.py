"""Completions: POST /v1/completions, the model as it is: text in, its continuation out.

* A prompt too long for the context loses its beginning (`prompt.fit`); the answer says by how
  many tokens, in `chaski.truncated_tokens` and in the header `X-Chaski-Truncated-Tokens`.
* Several prompts, several choices each, are written at the same time.
* `usage` counts every prompt once and every choice's tokens.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from models.engine.sequence import Piece, Stream
from models.errors import ModelError, Overloaded
from node.api.answer import Answering, Context, failed
from node.api.errors import InvalidError
from node.api.prompt import Fitted, fit
from node.api.schema import MAX_CHOICES, CompletionAsked, Usage, read

OBJECT = "text_completion"


@dataclass(frozen=True, slots=True)
class _Begun:
    """The answers being written, `n` for each prompt."""

    prompts: Sequence[Fitted]
    streams: Sequence[Stream]
    n: int

    def echo(self, number: int) -> str:
        """The prompt of choice `number`, as the model read it."""
        return self.prompts[number // self.n].text

    @property
    def truncated(self) -> int:
        """Tokens that did not fit."""
        return sum(prompt.dropped for prompt in self.prompts)

    @property
    def usage(self) -> Usage:
        """Tokens so far."""
        read_ = sum(prompt.tokens for prompt in self.prompts)
        written = sum(stream.tokens for stream in self.streams)
        return Usage(read_, written, read_ + written)


class Completions:
    """Answers POST /v1/completions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions. Raises ApiError."""
        asked = read(await self._context.body(request), CompletionAsked)
        engine = self._context.engine(asked.model)
        begun = await asyncio.to_thread(self._begin, asked)
        headers = {"X-Chaski-Truncated-Tokens": str(begun.truncated)} if begun.truncated else {}
        answering = Answering(request, "cmpl", OBJECT, engine, self._context, headers)
        note = {"truncated_tokens": begun.truncated} if begun.truncated else None
        pieces = answering.pieces(begun.streams)
        if not asked.stream:
            texts, reasons = await answering.gathered(pieces, len(begun.streams))
            choices = [
                _choice(number, (begun.echo(number) if asked.echo else "") + text, reason)
                for number, (text, reason) in enumerate(zip(texts, reasons, strict=True))
            ]
            return answering.whole(choices, begun.usage, note)
        async with aclosing(pieces):
            await answering.begin()
            if asked.echo:
                for number in range(len(begun.streams)):
                    await answering.event([_choice(number, begun.echo(number), None)], note=note)
            async for number, piece in answering.living(pieces):
                if piece.text or piece.done:
                    choice = _choice(number, piece.text, answering.reason(piece))
                    await answering.event([choice], note=note)
            return await answering.end(begun.usage if asked.usage_wanted else None)

    def _begin(self, asked: CompletionAsked) -> _Begun:
        engine = self._context.engine(asked.model)
        if len(asked.prompts) * asked.n > MAX_CHOICES:
            raise InvalidError(f"more than {MAX_CHOICES} choices in one request", param="n")
        room = engine.context - asked.max_tokens
        if room < 1:
            raise InvalidError(
                f"max_tokens is {asked.max_tokens}, and prompt and answer have {engine.context}"
                " tokens together",
                param="max_tokens",
                code="context_length_exceeded",
            )
        prompts = [fit(prompt, room, engine.count) for prompt in asked.prompts]
        first, streams = secrets.randbelow(2**31), list[Stream]()
        try:
            for prompt in prompts:
                for _ in range(asked.n):
                    sampling = asked.sampling(asked.max_tokens, len(streams), first)
                    streams.append(engine.submit(prompt.text, sampling, self._context.deadline_s))
        except (Overloaded, ModelError, InvalidError) as error:
            for stream in streams:
                stream.cancel()
            raise failed(error) from error
        return _Begun(prompts, streams, asked.n)


def _choice(number: int, text: str, reason: str | None) -> dict[str, object]:
    return {"index": number, "text": text, "finish_reason": reason, "logprobs": None}


__all__ = ["Completions", "Piece"]
