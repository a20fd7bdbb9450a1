"""Carrying out plans: the only user of the model, on the engine's thread.

* Guesses. Alone, a sequence's guesses are read in the run of its turn. Beside others all turns
  are one run; a sequence whose first guess came true there gets one more run for the rest
  (onnxruntime's attention takes many rows of one sequence, or one row of many).
* A run that finds no memory ends the requests that were in it with OutOfMemory; what was kept
  for later prompts is given up, and the next run goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.engine.prefix import Prefixes
from models.engine.scheduler import Chunk, Load, Plan, Turn
from models.engine.sequence import Sequence as Request
from models.engine.speculate import Pace
from models.engine.stream import Reason
from models.errors import ModelError, OutOfMemory

Logits = npt.NDArray[np.float32]
Block = npt.NDArray[Any]


class Model(Protocol):
    """What the engine needs of a runner; see there."""

    slots: int
    pace: Pace | None

    @property
    def context(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def scratch(self) -> int: ...
    @property
    def row_bytes(self) -> int: ...
    def append(
        self, slot: int, tokens: Sequence[int], start: int, rows: Sequence[int] = (-1,)
    ) -> Logits: ...
    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits: ...
    def move(self, source: int, target: int, length: int) -> None: ...
    def copy(self, slot: int, start: int, stop: int) -> Block: ...
    def load(self, slot: int, start: int, block: Block) -> None: ...
    def release(self, first: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What came of one request in a step: tokens written, and why it ended, if it did."""

    number: int
    tokens: int = 0
    reason: Reason = ""


@dataclass(slots=True)
class Tally:
    """Counted from the opening of the engine; tokens."""

    read: int = 0
    reused: int = 0
    written: int = 0
    guessed: int = 0
    guessed_right: int = 0


class Driver:
    """See the module."""

    def __init__(self, model: Model, prefixes: Prefixes) -> None:
        self.tally = Tally()
        self._model = model
        self._prefixes = prefixes
        self._requests: Mapping[int, Request] = {}
        self._progress: list[Progress] = []
        self._used = 0

    def carry_out(self, plan: Plan, requests: Mapping[int, Request]) -> list[Progress]:
        """One step. Raises what the model raises, but for OutOfMemory."""
        self._requests, self._progress = requests, []
        for number, reason in plan.dropped:
            requests[number].close(reason)
            self._progress.append(Progress(number, reason=reason))
        for move in plan.moves:
            self._model.move(move.source, move.target, move.length)
        if plan.used < self._used:
            self._model.release(plan.used)
        self._used = plan.used
        self._take_turns(plan.turns)
        if plan.load is not None:
            self._load(plan.load)
        if plan.chunk is not None:
            self._read(plan.chunk)
        return self._progress

    def rest(self) -> None:
        """Nobody runs: give the slots' memory back."""
        if self._used:
            self._model.release(0)
            self._used = 0

    def _take_turns(self, turns: Sequence[Turn]) -> None:
        if len(turns) == 1 and self._guess_alone(turns[0]):
            return
        guesses = [self._guess(turn, len(turns)) for turn in turns]
        tokens = [self._requests[turn.number].tokens[-1] for turn in turns]
        lengths = [turn.length for turn in turns]
        numbers = [turn.number for turn in turns]
        if (
            not turns
            or (rows := self._try(numbers, lambda: self._model.decode(tokens, lengths))) is None
        ):
            return
        written = [self._advance(t.number, [row], []) for t, row in zip(turns, rows, strict=True)]
        for slot, (turn, guess, going) in enumerate(zip(turns, guesses, written, strict=True)):
            if guess and going and self._requests[turn.number].tokens[-1] == guess[0]:
                self._check(slot, turn.number, guess, turn.length + 1)

    def _guess(self, turn: Turn, running: int) -> list[int]:
        pace = self._model.pace
        if pace is None:
            return []
        return self._requests[turn.number].guess(turn.draft, pace, running)

    def _guess_alone(self, turn: Turn) -> bool:
        """Read the token and the guesses in one run; False when there is nothing to guess."""
        guess = self._guess(turn, 1)
        if not guess:
            return False
        tokens = [self._requests[turn.number].tokens[-1], *guess]
        rows = self._try([turn.number], lambda: self._all_rows(0, tokens, turn.length))
        if rows is not None:
            self._advance(turn.number, rows, guess)
        return True

    def _check(self, slot: int, number: int, guess: list[int], start: int) -> None:
        """Read the guesses, of which the first has come true; the rows beyond are new."""
        rows = self._try([number], lambda: self._all_rows(slot, guess, start))
        if rows is not None:
            self._advance(number, rows, guess[1:])

    def _all_rows(self, slot: int, tokens: Sequence[int], start: int) -> Logits:
        return self._model.append(slot, tokens, start, range(len(tokens)))

    def _load(self, load: Load) -> None:
        tokens = self._requests[load.number].tokens[: load.length]
        start = 0
        for block in self._prefixes.find(tokens):
            self._model.load(load.slot, start, block)
            start += block.shape[2]
        self.tally.reused += load.length

    def _read(self, chunk: Chunk) -> None:
        request = self._requests[chunk.number]
        tokens = request.tokens[chunk.start : chunk.stop]
        rows = self._try(
            [chunk.number], lambda: self._model.append(chunk.slot, tokens, chunk.start)
        )
        if rows is None:
            return
        self.tally.read += len(tokens)
        if chunk.last:
            self._advance(chunk.number, rows, [])
        if chunk.stop <= request.prompt:
            self._keep(request.tokens[: chunk.stop], chunk)

    def _keep(self, tokens: list[int], chunk: Chunk) -> None:
        if not self._prefixes.wants(tokens):
            return
        try:
            self._prefixes.keep(tokens, self._model.copy(chunk.slot, chunk.start, chunk.stop))
        except MemoryError:
            self._prefixes.clear()

    def _advance(self, number: int, rows: "Logits | list[Logits]", guessed: list[int]) -> bool:
        """Whether the request goes on."""
        tokens, reason = self._requests[number].advance(rows, guessed)
        self.tally.written += tokens
        self.tally.guessed += len(guessed)
        self.tally.guessed_right += max(0, min(tokens - 1, len(guessed)))
        self._progress.append(Progress(number, tokens, reason))
        return not reason

    def _try(self, numbers: Sequence[int], run: Callable[[], Logits]) -> Logits | None:
        try:
            return run()
        except (OutOfMemory, MemoryError) as error:
            self._prefixes.clear()
            failure = error if isinstance(error, ModelError) else OutOfMemory(str(error))
            for number in numbers:
                self._requests[number].stream.fail(failure)
                self._progress.append(Progress(number, reason="failed"))
            return None
