"""The engine: many requests on one decoder, by continuous batching.

* One thread owns the model. Everybody else talks to it through `submit` and `score`, which
  any thread may call.
* A step carries out one Plan of the scheduler, and reads one chunk of one text to score.
* Every document the model has seen began after the end of another, so every prompt and every
  scored text is read after an end-of-text token; `context` does not count it.
* A prompt longer than the context is refused, never cut: only the caller knows which part of
  it matters. `count` tells its length in tokens.
* A failure of the model ends every request with a ModelError, and the engine.
"""

import threading
import time
from collections import abc, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from models.engine.runner import Logits, Runner
from models.engine.sampling import Sampling
from models.engine.scheduler import Plan, Scheduler, Ticket
from models.engine.sequence import Completion, Reason, Sequence, Stream
from models.errors import ModelError, Overloaded
from models.store import ModelFolder
from models.tokenizer import Tokenizer

CHUNK = 64
"""Prompt tokens a step: how long those that decode wait for the one that reads."""


class Model(Protocol):
    """What the engine needs of a runner."""

    slots: int

    @property
    def context(self) -> int: ...
    @property
    def scratch(self) -> int: ...
    def append(
        self, slot: int, tokens: abc.Sequence[int], start: int, rows: abc.Sequence[int] = (-1,)
    ) -> Logits: ...
    def decode(self, tokens: abc.Sequence[int], lengths: abc.Sequence[int]) -> Logits: ...
    def move(self, source: int, target: int, length: int) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A snapshot. Totals count from the opening of the engine."""

    active: int
    waiting: int
    tokens_total: int
    """Tokens written."""
    prompt_tokens_total: int
    """Tokens read."""
    requests_total: int
    """Requests accepted."""
    refused_total: int
    """Requests refused because the queue was full."""
    seconds_total: float
    """Time the model ran."""
    ended_total: Mapping[Reason, int]
    """Requests that ended, by reason."""


@dataclass(slots=True)
class _Scoring:
    """A text being scored: its tokens after an end-of-text token, and what is summed so far."""

    tokens: list[int]
    answer: Future[float]
    read: int = 0
    nats: float = 0.0


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if tokenizer.end is None:
            raise ModelError(f"the tokenizer of {name} has no end-of-text token")
        self.name = name
        self.version = version
        self.context = model.context
        """Tokens of a prompt and its answer together."""
        self._model = model
        self._tokenizer = tokenizer
        self._end = tokenizer.end
        self._clock = clock
        self._queue_limit = queue_limit
        self._changed = threading.Condition()
        self._scheduler = Scheduler(model.slots, queue_limit, CHUNK)
        self._requests: dict[int, tuple[Sequence, Stream]] = {}
        self._scorings: deque[_Scoring] = deque()
        self._stopped: ModelError | None = None
        self._accepted = self._refused = self._written = self._read = 0
        self._seconds = 0.0
        self._ended: dict[Reason, int] = {}
        self._thread = threading.Thread(target=self._run, name="chaski-engine", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        folder: ModelFolder,
        *,
        threads: int,
        slots: int = 4,
        queue_limit: int = 32,
        spin: bool = False,
    ) -> "Engine":
        """Load the decoder in a verified model folder.

        `slots` requests run at once and `queue_limit` more may wait. `spin`: see Runner.open.

        Raises:
            ModelError: it is no decoder, or onnxruntime cannot load it.
        """
        runner = Runner.open(folder.model, threads=threads, slots=slots, spin=spin)
        tokenizer = Tokenizer.open(folder.tokenizer)
        return cls(
            runner, tokenizer, name=folder.name, version=folder.version, queue_limit=queue_limit
        )

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
        with self._changed:
            if self._stopped is None:
                self._stopped = ModelError(f"the engine of {self.name} is closed")
            self._changed.notify_all()
        self._thread.join()

    @property
    def failure(self) -> ModelError | None:
        """Why nothing more is answered; None while it runs."""
        with self._changed:
            return self._stopped

    def count(self, text: str) -> int:
        """Tokens of `text`."""
        return len(self._tokenizer.encode(text))

    def submit(
        self, prompt: str, sampling: Sampling | None = None, deadline_s: float | None = None
    ) -> Stream:
        """Queue a request; its answer comes through the stream.

        `deadline_s` seconds from now the answer ends with what it has, also in the queue.

        Raises:
            Overloaded: the queue is full.
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
        sequence = Sequence([self._end, *tokens], sampling, budget, self._tokenizer)
        deadline = None if deadline_s is None else self._clock() + deadline_s
        with self._changed:
            self._check_open()
            number = self._accepted + 1
            self._admit(Ticket(number, len(sequence.prompt), deadline))
            stream = Stream(lambda: self._cancel(number), lambda: self._position(number))
            self._requests[number] = sequence, stream
            self._accepted = number
            self._changed.notify_all()
        return stream

    def generate(self, prompt: str, sampling: Sampling | None = None) -> Completion:
        """The whole answer to `prompt`, waiting for it. Raises as `submit` does."""
        return self.submit(prompt, sampling).completion()

    def score(self, texts: abc.Sequence[str]) -> list[float]:
        """Mean nats a token of each text, read from its beginning; lower is more fluent.

        What goes past the context is not read. Blocks; the requests that run go on meanwhile.

        Raises:
            Overloaded: more than queue_limit texts would wait to be scored.
            ModelError: a text is empty, or the engine has stopped.
        """
        scorings = [self._scoring(text) for text in texts]
        for start in range(0, len(scorings), self._queue_limit):
            batch = scorings[start : start + self._queue_limit]
            with self._changed:
                self._check_open()
                if len(self._scorings) + len(batch) > self._queue_limit:
                    self._refused += 1
                    raise Overloaded(len(self._scorings) + 1, self._queue_limit)
                self._scorings.extend(batch)
                self._changed.notify_all()
            for scoring in batch:
                scoring.answer.result()
        return [scoring.answer.result() for scoring in scorings]

    def stats(self) -> EngineStats:
        """How busy the engine is and what it has done."""
        with self._changed:
            return EngineStats(
                active=self._scheduler.active,
                waiting=self._scheduler.waiting,
                tokens_total=self._written,
                prompt_tokens_total=self._read,
                requests_total=self._accepted,
                refused_total=self._refused,
                seconds_total=self._seconds,
                ended_total=dict(self._ended),
            )

    def _check_open(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _admit(self, ticket: Ticket) -> None:
        try:
            self._scheduler.submit(ticket)
        except Overloaded:
            self._refused += 1
            raise

    def _scoring(self, text: str) -> _Scoring:
        tokens = self._tokenizer.encode(text)[: self.context]
        if not tokens:
            raise ModelError("an empty text has no score")
        return _Scoring([self._end, *tokens], Future())

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._scheduler.cancel(number)

    def _position(self, number: int) -> int:
        with self._changed:
            return self._scheduler.position(number)

    # What follows runs on the engine's thread.

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # whatever the model raised: nobody may wait for ever
            failure = ModelError(f"the model {self.name} failed: {error}", hint="restart")
            failure.__cause__ = error
            with self._changed:
                self._stopped = failure
            self._abandon(failure)

    def _step(self) -> bool:
        """One step, waiting until there is something to do; False once the engine closes."""
        with self._changed:
            while not (self._stopped or self._requests or self._scorings):
                self._changed.wait()
            stopped = self._stopped
            plan = self._scheduler.plan(self._clock())
            scoring = self._scorings[0] if self._scorings else None
        if stopped is not None:
            self._abandon(None)
            return False
        started = self._clock()
        self._carry_out(plan)
        if scoring is not None:
            self._read_on(scoring)
        with self._changed:
            self._seconds += self._clock() - started
        return True

    def _carry_out(self, plan: Plan) -> None:
        for number, reason in plan.dropped:
            sequence, stream = self._requests[number]
            self._ends(number, sequence.close(reason, stream))
        for move in plan.moves:
            self._model.move(move.source, move.target, move.length)
        if plan.turns:
            tokens = [self._requests[turn.number][0].token for turn in plan.turns]
            logits = self._model.decode(tokens, [turn.length for turn in plan.turns])
            for turn, row in zip(plan.turns, logits, strict=True):
                self._advance(turn.number, row)
        if (chunk := plan.chunk) is not None:
            prompt = self._requests[chunk.number][0].prompt[chunk.start : chunk.stop]
            logits = self._model.append(chunk.slot, prompt, chunk.start)
            with self._changed:
                self._read += len(prompt)
            if chunk.last:
                self._advance(chunk.number, logits[0])

    def _advance(self, number: int, logits: npt.NDArray[np.float32]) -> None:
        sequence, stream = self._requests[number]
        before = stream.tokens
        reason = sequence.advance(logits, stream)
        with self._changed:
            self._written += stream.tokens - before
        if reason:
            self._ends(number, reason)

    def _ends(self, number: int, reason: Reason) -> None:
        with self._changed:
            self._scheduler.finish(number)
            del self._requests[number]
            self._ended[reason] = self._ended.get(reason, 0) + 1

    def _read_on(self, scoring: _Scoring) -> None:
        """Read one chunk of a text to score; its last token is only ever predicted."""
        stop = min(scoring.read + CHUNK, len(scoring.tokens) - 1)
        chunk = scoring.tokens[scoring.read : stop]
        logits = self._model.append(self._model.scratch, chunk, scoring.read, range(len(chunk)))
        scoring.nats += surprise(logits, scoring.tokens[scoring.read + 1 : stop + 1])
        scoring.read = stop
        if stop == len(scoring.tokens) - 1:
            with self._changed:
                self._scorings.popleft()
            scoring.answer.set_result(scoring.nats / stop)

    def _abandon(self, failure: ModelError | None) -> None:
        """End everything: with `failure`, or as cancelled."""
        with self._changed:
            requests, self._requests = self._requests, {}
            scorings, self._scorings = self._scorings, deque()
            stopped = self._stopped
        for sequence, stream in requests.values():
            if failure is None:
                sequence.close("cancelled", stream)
            else:
                stream.fail(failure)
        for scoring in scorings:
            scoring.answer.set_exception(failure or stopped)


def surprise(logits: Logits, tokens: abc.Sequence[int]) -> float:
    """Sum of -log p(token) in nats; logits [n, vocabulary], one row a token."""
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted[np.arange(len(tokens)), tokens] - np.log(np.exp(shifted).sum(-1))
    return -float(logs.sum(dtype=np.float64))
