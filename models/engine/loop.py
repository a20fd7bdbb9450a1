"""The engine's thread: step after step, and what it shares with callers under one lock.

* The thread is the only user of the model. `submit`, `join`, `cancel`, `position` and `stats`
  may be called from any thread.
* A step carries out one Plan of the scheduler, and reads one chunk of one text to score.
* A request or text that finds no memory ends with OutOfMemory and the loop goes on. Any other
  failure of the model ends all of them with a ModelError, and the loop.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from models.engine.driver import Driver, Model, Progress
from models.engine.memory import Memory
from models.engine.prefix import Prefixes
from models.engine.scheduler import Scheduler
from models.engine.scoring import Text, Texts
from models.engine.sequence import Sequence as Request
from models.engine.stats import EngineStats
from models.engine.stream import Reason, Stream
from models.engine.ticket import Ticket
from models.errors import ModelError, OutOfMemory, Overloaded

CHUNK = 64
"""Prompt tokens a step: how long those that decode wait for the one that reads."""


class Loop:
    """See the module."""

    def __init__(
        self,
        model: Model,
        memory: Memory,
        *,
        name: str,
        queue_limit: int,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
        self._name = name
        self._clock = clock
        self._changed = threading.Condition()
        self._prefixes = Prefixes(memory.prefix_bytes, CHUNK)
        self._driver = Driver(model, self._prefixes)
        self._scheduler = Scheduler(model.slots, queue_limit, CHUNK, memory.rows)
        self._requests: dict[int, Request] = {}
        self._texts = Texts(queue_limit)
        self._stopped: ModelError | None = None
        self._accepted = self._refused = self._preempted = 0
        self._seconds = 0.0
        self._ended: Counter[Reason] = Counter()
        self._thread = threading.Thread(target=self._run, name="chaski-engine", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> ModelError | None:
        """Why nothing more is answered; None while it runs."""
        with self._changed:
            return self._stopped

    def submit(self, make: Callable[[int, Stream], tuple[Request, Ticket]]) -> Stream:
        """Queue the request that `make` gives for a number and a stream.

        Raises:
            Overloaded: the queue of its class is full.
            ModelError: the loop has ended.
        """
        with self._changed:
            self._check_open()
            number = self._accepted + 1
            stream = Stream(lambda: self._cancel(number), lambda: self._position(number))
            request, ticket = make(number, stream)
            with self._counting_refusals():
                self._scheduler.submit(ticket)
            self._requests[number] = request
            self._accepted = number
            self._changed.notify_all()
        return stream

    def join(self, texts: Sequence[Text]) -> None:
        """Queue texts to score, all or none. Raises as `submit` does."""
        with self._changed:
            self._check_open()
            with self._counting_refusals():
                self._texts.join(texts)
            self._changed.notify_all()

    def close(self) -> None:
        """End every request as cancelled, and the thread. Again is nothing."""
        with self._changed:
            if self._stopped is None:
                self._stopped = ModelError(f"the engine of {self._name} is closed")
            self._changed.notify_all()
        self._thread.join()

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

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._scheduler.cancel(number)

    def _position(self, number: int) -> int:
        with self._changed:
            return self._scheduler.position(number)

    # What follows runs on the thread.

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # whatever the model raised: nobody may wait for ever
            failure = ModelError(f"the model {self._name} failed: {error}", hint="restart")
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
