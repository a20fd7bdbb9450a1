"""The engine: many requests on one decoder, by continuous batching.

* One thread owns the model. Everybody else talks to it through `submit` and `score`, which
  any thread may call.
* A step carries out one Plan of the scheduler, and reads one chunk of one text to score.
* Every document the model has seen began after the end of another, so every prompt and every
  scored text is read after an end-of-text token; `context` does not count it.
* A prompt longer than the context is refused, never cut: only the caller knows which part of
  it matters. `count` tells its length in tokens.
* A request that finds no memory ends with OutOfMemory; the engine goes on. Any other failure
  of the model ends every request with a ModelError, and the engine.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from models.engine.driver import Driver, Model, Progress
from models.engine.grammar import Grammars
from models.engine.memory import Memory
from models.engine.prefix import Prefixes
from models.engine.runner import Runner
from models.engine.sampling import Sampling
from models.engine.scheduler import Scheduler
from models.engine.scoring import Text, Texts
from models.engine.sequence import Sequence as Request
from models.engine.stats import EngineStats
from models.engine.stream import Completion, Reason, Stream
from models.engine.ticket import Priority, Ticket
from models.errors import ModelError, OutOfMemory, Overloaded
from models.store import ModelFolder
from models.tokenizer import Tokenizer

CHUNK = 64
"""Prompt tokens a step: how long those that decode wait for the one that reads."""
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
        self._model = model
        self._tokenizer = tokenizer
        self._end = tokenizer.end
        self._clock = clock
        self._queue_limit = queue_limit
        self._grammars = Grammars(tokenizer, model.vocabulary)
        self._prefixes = Prefixes(memory.prefix_bytes if reuse else 0, CHUNK)
        self._driver = Driver(model, self._prefixes)
        self._changed = threading.Condition()
        self._scheduler = Scheduler(model.slots, queue_limit, CHUNK, memory.rows)
        self._requests: dict[int, Request] = {}
        self._texts = Texts(queue_limit)
        self._stopped: ModelError | None = None
        self._accepted = self._refused = self._preempted = 0
        self._seconds = 0.0
        self._ended: Counter[Reason] = Counter()
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
        with self._changed:
            if self._stopped is None:
                self._stopped = ModelError(f"the engine of {self.name} is closed")
            self._changed.notify_all()
        self._thread.join()

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
        with self._changed:
            self._check_open()
            number = self._accepted + 1
            stream = Stream(lambda: self._cancel(number), lambda: self._position(number))
            prompt_tokens = [self._end, *tokens]
            request = Request(prompt_tokens, sampling, budget, self._tokenizer, stream, grammar)
            ticket = Ticket(
                number, request.prompt, budget, deadline, priority, client[:MAX_CLIENT_CHARS]
            )
            with self._counting_refusals():
                self._scheduler.submit(ticket)
            self._requests[number] = request
            self._accepted = number
            self._changed.notify_all()
        return stream

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
            with self._changed:
                self._check_open()
                with self._counting_refusals():
                    self._texts.join(batch)
                self._changed.notify_all()
            for scoring in batch:
                scoring.answer.result()
        return [scoring.answer.result() for scoring in scorings]

    def stats(self) -> EngineStats:
        """How busy the engine is and what it has done."""
        tally = self._driver.tally
        with self._changed:
            return EngineStats(
                active=self._scheduler.active,
                waiting=self._scheduler.waiting,
                tokens_total=tally.written,
                prompt_tokens_total=tally.read,
                requests_total=self._accepted,
                refused_total=self._refused,
                seconds_total=self._seconds,
                ended_total=dict(self._ended),
                reused_tokens_total=tally.reused,
                guessed_tokens_total=tally.guessed,
                guessed_right_total=tally.guessed_right,
                preempted_total=self._preempted,
                rows=self._scheduler.rows,
                prefix_bytes=self._prefixes.bytes,
                guessing=self._model.pace is not None,
            )

    def _check_open(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    @contextlib.contextmanager
    def _counting_refusals(self) -> Iterator[None]:
        try:
            yield
        except Overloaded:
            self._refused += 1
            raise

    def _text(self, text: str) -> Text:
        tokens = self._tokenizer.encode(text)[: self.context]
        if not tokens:
            raise ModelError("an empty text has no score")
        return Text([self._end, *tokens])

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
            while not (self._stopped or self._requests or self._texts):
                self._driver.rest()
                self._changed.wait()
            stopped = self._stopped
            plan = self._scheduler.plan(self._clock(), self._held)
            text = self._texts.first()
        if stopped is not None:
            self._abandon(None)
            return False
        started = self._clock()
        progress = self._driver.carry_out(plan, self._requests)
        if text is not None:
            self._read_on(text)
        with self._changed:
            self._seconds += self._clock() - started
            self._preempted += len(plan.preempted)
            for step in progress:
                self._note(step)
        return True

    def _held(self, number: int) -> int:
        request = self._requests[number]
        return self._prefixes.held(request.tokens[: request.prompt])

    def _note(self, step: Progress) -> None:
        if step.tokens:
            self._scheduler.wrote(step.number, step.tokens)
        if step.reason:
            self._scheduler.finish(step.number)
            del self._requests[step.number]
            self._ended[step.reason] += 1

    def _read_on(self, text: Text) -> None:
        try:
            whole = text.read_on(self._model, CHUNK)
        except OutOfMemory as error:
            self._prefixes.clear()
            self._leave(text)
            text.answer.set_exception(error)
        else:
            if whole:
                self._leave(text)
                text.answer.set_result(text.score)

    def _leave(self, text: Text) -> None:
        with self._changed:
            self._texts.leave(text)

    def _abandon(self, failure: ModelError | None) -> None:
        """End everything: with `failure`, or as cancelled."""
        with self._changed:
            requests, self._requests = self._requests, {}
            self._texts.fail(failure or self._stopped or ModelError("closed"))
        for request in requests.values():
            if failure is None:
                request.close("cancelled")
            else:
                request.stream.fail(failure)
