"""Chat: POST /v1/chat/completions, the tutor as other programs know it.

* Without a system message the library answers as on the page: the passage is quoted with its
  lesson, then explained by the model while it stays with the passage; a question that no lesson
  answers is refused in words. The model alone is not asked: it would invent.
* With one, its text is the passage: the model answers from that, and nobody has checked it.
* The last message is the question. Turns before it are not read: the shipped model is trained
  on single questions, and half-understood history makes it worse.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from models import prompts
from models.completions.prompt import fit
from models.completions.request import reason
from models.completions.schema import ChatAsked, Usage, read
from models.engine import Piece
from models.errors import InvalidRequest
from node.api.answer import Answering
from node.api.context import Context
from node.api.writing import Writing
from node.grounding import Grounded
from node.portal.i18n.catalogue import open_catalogue
from node.store.search import Hit
from node.tutor import MAX_QUESTION_CHARS, Answer, Tutor
from sync.lesson import Language

OBJECT, CHUNK = "chat.completion", "chat.completion.chunk"
NO_ANSWER = "La biblioteca no tiene esa respuesta."


@dataclass(slots=True)
class Spoken:
    """Fixed words, then the explanation if there is one. A `Writing`."""

    words: str
    explanation: Grounded | None = None
    text: str = field(default="", init=False)
    """What was told."""

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The words at once, the explanation as it is written."""
        self.text = self.words
        yield Piece(self.words)
        if self.explanation:
            parting = "\n\n"
            async for text in self.explanation:
                text = parting + text.lstrip() if parting and text.strip() else text
                if parting and not text.strip():
                    continue
                parting = ""
                self.text += text
                yield Piece(text)
        yield Piece("", done=True, reason="end")

    def cancel(self) -> None:
        """Stops the explanation."""
        if self.explanation:
            self.explanation.cancel()


@dataclass(slots=True)
class Heard:
    """A stream of the engine whose text is remembered. A `Writing`."""

    stream: Writing
    text: str = field(default="", init=False)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The pieces of the stream, without the space before the first word."""
        async for piece in self.stream:
            shown = piece.text if self.text else piece.text.lstrip()
            self.text += shown
            yield Piece(shown, piece.done, piece.reason)

    def cancel(self) -> None:
        """Stops the stream."""
        self.stream.cancel()


@dataclass(frozen=True, slots=True)
class _Begun:
    """`note` is what of the answer has no place in OpenAI's form."""

    writing: Spoken | Heard
    prompt_tokens: int
    note: Mapping[str, object]


class Chat:
    """Answers POST /v1/chat/completions."""

    def __init__(self, context: Context, tutor: Tutor, language: Language, longest: int) -> None:
        """`language` and `longest` (tokens of an answer) when the client names none."""
        self._context = context
        self._tutor = tutor
        self._language = language
        self._longest = longest

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions. Raises ApiError, ModelError."""
        asked = read(await self._context.body(request), ChatAsked)
        engine = self._context.engine(asked.model)
        begun = await asyncio.to_thread(self._begin, asked)
        name = CHUNK if asked.stream else OBJECT
        answering = Answering(request, "chatcmpl", name, engine, self._context, {})
        pieces = answering.pieces([begun.writing])

        def usage() -> Usage:
            written = engine.count(begun.writing.text)
            return Usage(begun.prompt_tokens, written, begun.prompt_tokens + written)

        if not asked.stream:
            texts, reasons = await answering.gathered(pieces, 1)
            message = {"role": "assistant", "content": texts[0], "refusal": None}
            choice = {"index": 0, "message": message, "finish_reason": reasons[0], "logprobs": None}
            return answering.whole([choice], usage(), begun.note)
        async with aclosing(pieces):
            await answering.begin()
            await answering.event([_delta({"role": "assistant", "content": ""})], note=begun.note)
            async for _, piece in answering.living(pieces):
                delta = {"content": piece.text} if piece.text else {}
                if delta or piece.done:
                    await answering.event([_delta(delta, reason(piece))])
            return await answering.end(usage() if asked.usage_wanted else None)

    def _begin(self, asked: ChatAsked) -> _Begun:
        if asked.n > 1:
            raise InvalidRequest("one answer at a time", param="n")
        last = asked.messages[-1]
        if last.role != "user" or not last.text.strip():
            raise InvalidRequest("the last message must be the user's question", param="messages")
        language = asked.language or self._language
        told = [m.text for m in asked.messages if m.role in ("system", "developer")]
        passage = "\n\n".join(text for text in told if text.strip())
        if passage:
            return self._from_passage(asked, passage, last.text, language)
        return self._from_library(last.text, language)

    def _from_library(self, question: str, language: Language) -> _Begun:
        answer = self._tutor.ask(question, language)
        note = _note(answer)
        prompt_tokens = self._context.engine("").count(answer.question)
        if answer.quote is None:
            words = open_catalogue(language).gettext(NO_ANSWER)
            return _Begun(Spoken(words), prompt_tokens, note)
        explanation = self._tutor.explain(answer)
        words = f"«{' '.join(answer.quote.passage.split())}» ({answer.quote.title})"
        return _Begun(Spoken(words, explanation), prompt_tokens, note)

    def _from_passage(
        self, asked: ChatAsked, passage: str, question: str, language: Language
    ) -> _Begun:
        engine = self._context.engine(asked.model)
        longest = asked.max_completion_tokens or asked.max_tokens or self._longest
        question = " ".join(question[:MAX_QUESTION_CHARS].split())
        frame = engine.count(prompts.answer("", question, language))
        room = engine.context - longest - frame
        if room < 1:
            raise InvalidRequest(
                f"question and answer leave no room for a passage in {engine.context} tokens",
                param="max_tokens",
                code="context_length_exceeded",
            )
        # A token may be added where passage and frame meet.
        fitted = fit(passage, max(1, room - 2), engine.count)
        prompt = prompts.answer(" ".join(fitted.text.split()), question, language)
        sampling = asked.sampling(longest, 0, secrets.randbelow(2**31), "\n")
        stream = engine.submit(prompt, sampling, self._context.deadline_s)
        note: dict[str, object] = {"checked": False}
        if fitted.dropped:
            note["truncated_tokens"] = fitted.dropped
        return _Begun(Heard(stream), engine.count(prompt), note)


def _note(answer: Answer) -> dict[str, object]:
    """Where the answer comes from."""
    note: dict[str, Any] = {"kind": answer.kind, "checked": True}
    if answer.quote:
        note["lesson"] = _address(answer.quote)
    note["nearest"] = [
        {"id": card.id, "language": card.language, "title": card.title} for card in answer.nearest
    ]
    return note


def _address(quote: Hit) -> dict[str, object]:
    return {
        "id": quote.id,
        "language": quote.language,
        "title": quote.title,
        "path": f"/leccion/{quote.id}/{quote.language}",
    }


def _delta(delta: Mapping[str, object], reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
