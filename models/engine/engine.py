"""The engine: many requests on one decoder, by continuous batching; texts in, texts out.

* One thread owns the model (`loop`). Everybody else talks to it through `submit` and `score`,
  which any thread may call.
* Every document the model has seen began after the end of another, so every prompt and every
  scored text is read after an end-of-text token; `context` does not count it.
* A prompt longer than the context is refused, never cut: only the caller knows which part of
  it matters. `count` tells its length in tokens.
* A request that finds no memory ends with OutOfMemory; the engine goes on. Any other failure
  of the model ends every request with a ModelError, and the engine.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from models.engine.driver import Model
from models.engine.grammar import Grammars
from models.engine.loop import Loop
from models.engine.memory import Memory
from models.engine.runner import Runner
from models.engine.sampling import Sampling
from models.engine.scoring import Text
from models.engine.sequence import Sequence as Request
from models.engine.stats import EngineStats
from models.engine.stream import Completion, Stream
from models.engine.ticket import Priority, Ticket
from models.errors import ModelError
from models.store import ModelFolder
from models.tokenizer import Tokenizer

MAX_CLIENT_CHARS = 64


class Engine:
    """An opened decoder. Close it, or use it in a `with` block."""

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        *,
        name: str,
        version: str,
        queue_limit: int = 32,
        max_memory: int = 0,
        reuse: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if tokenizer.end is None:
            raise ModelError(f"the tokenizer of {name} has no end-of-text token")
        self.name = name
        self.version = version
        self.context = model.context
        """Tokens of a prompt and its answer together."""
        memory = Memory.share(
            max_memory, row_bytes=model.row_bytes, context=model.context, slots=model.slots
        )
        if not reuse:
            memory = dataclasses.replace(memory, prefix_bytes=0)
        self._model = model
        self._tokenizer = tokenizer
        self._end = tokenizer.end
        self._clock = clock
        self._queue_limit = queue_limit
        self._grammars = Grammars(tokenizer, model.vocabulary)
        self._loop = Loop(model, memory, name=name, queue_limit=queue_limit, clock=clock)

    @classmethod
    def open(
        cls,
        folder: ModelFolder,
        *,
        threads: int,
        slots: int = 4,
        queue_limit: int = 32,
        max_memory: int = 0,
        battery: bool = False,
        reuse: bool = True,
        guess: bool = True,
    ) -> "Engine":
        """Load the decoder in a verified model folder.

        `slots` requests run at once and `queue_limit` more of each class may wait.
        `max_memory` bytes for keys, values and prefixes; 0: as much as the slots can hold.
        `battery`: half the threads, and none of them spins: slower, and less work for the same.
        `reuse`: what prompts begin with is kept and copied. `guess`: guessed tokens are checked
        where that changes nothing in an answer (`Runner.measure`).

        Raises:
            ModelError: it is no decoder, onnxruntime cannot load it, or `max_memory` is less
                than one request needs.
        """
        threads = max(1, threads // 2) if battery else threads
        runner = Runner.open(folder.model, threads=threads, slots=slots, spin=not battery)
        tokenizer = Tokenizer.open(folder.tokenizer)
        if guess:
            runner.measure()
        return cls(
            runner, tokenizer, name=folder.name, version=folder.version,
            queue_limit=queue_limit, max_memory=max_memory, reuse=reuse,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every request as cancelled, and the thread. Again is nothing."""
        self._loop.close()

    @property
    def failure(self) -> ModelError | None:
        """Why nothing more is answered; None while it runs."""
        return self._loop.failure

    def count(self, text: str) -> int:
        """Tokens of `text`."""
        return len(self._tokenizer.encode(text))

    def submit(
        self,
        prompt: str,
        sampling: Sampling | None = None,
        deadline_s: float | None = None,
        *,
        priority: Priority = "pupil",
        client: str = "",
    ) -> Stream:
        """Queue a request; its answer comes through the stream.

        `deadline_s` seconds from now the answer ends with what it has, also in the queue.
        Requests of one `client` take turns with those of others; empty: of nobody known.

        Raises:
            Overloaded: the queue of this class is full.
            ModelError: the prompt leaves no room in the context, or the engine has stopped.
        """
        sampling = sampling or Sampling()
        tokens = self._tokenizer.encode(prompt)
        room = self.context - len(tokens)
        if room < 1:
            raise ModelError(
                f"the prompt has {len(tokens)} tokens and {self.name} reads {self.context} at most",
                hint="give a shorter passage",
            )
        budget = min(sampling.max_tokens, room)
        deadline = None if deadline_s is None else self._clock() + deadline_s
        grammar = self._grammars.of(sampling)
        spoken = [self._end, *tokens]

        def make(number: int, stream: Stream) -> tuple[Request, Ticket]:
            request = Request(spoken, sampling, budget, self._tokenizer, stream, grammar)
            whose = client[:MAX_CLIENT_CHARS]
            return request, Ticket(number, len(spoken), budget, deadline, priority, whose)

        return self._loop.submit(make)

    def generate(
        self, prompt: str, sampling: Sampling | None = None, *, priority: Priority = "pupil"
    ) -> Completion:
        """The whole answer to `prompt`, waiting for it. Raises as `submit` does."""
        return self.submit(prompt, sampling, priority=priority).completion()

    def score(self, texts: Sequence[str]) -> list[float]:
        """Mean nats a token of each text, read from its beginning; lower is more fluent.

        What goes past the context is not read. Blocks; the requests that run go on meanwhile.

        Raises:
            Overloaded: more than queue_limit texts would wait to be scored.
            ModelError: a text is empty, or the engine has stopped.
        """
        scorings = [self._text(text) for text in texts]
        for start in range(0, len(scorings), self._queue_limit):
            batch = scorings[start : start + self._queue_limit]
            self._loop.join(batch)
            for scoring in batch:
                scoring.answer.result()
        return [scoring.answer.result() for scoring in scorings]

    def stats(self) -> EngineStats:
        """How busy the engine is and what it has done."""
        return self._loop.stats()

    def _text(self, text: str) -> Text:
        tokens = self._tokenizer.encode(text)[: self.context]
        if not tokens:
            raise ModelError("an empty text has no score")
        return Text([self._end, *tokens])
