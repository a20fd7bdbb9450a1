"""A decoder without weights: its next token is computed from all that its slot holds.

It is the whole interface the engine needs. Whoever mixes up slots, lengths or moves gets
other text than `oracle`. With a gate, a step waits until the test lets it go. What a slot
holds are the tokens themselves, a byte of memory each; `full` says when there is none left.
"""

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.engine.speculate import Pace
from models.errors import OutOfMemory


class BrokenError(RuntimeError):
    """What a scripted model raises when it is told to fail."""


class ScriptedModel:
    """See the module."""

    def __init__(
        self,
        vocabulary: int,
        *,
        slots: int = 3,
        context: int = 200,
        script: Sequence[int] = (),
        gate: threading.Semaphore | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.slots = slots
        self.context = context
        self.scratch = slots
        self.vocabulary = vocabulary
        self.script = tuple(script)
        self.gate = gate
        self.pace = pace
        self.row_bytes = 4
        self.full = False
        self.runs: list[tuple[str, int]] = []
        """What was run: "append" or "decode", and how many rows."""
        self.broken = False
        self.held: list[list[int]] = [[] for _ in range(slots + 1)]
        self.prompts = [0] * (slots + 1)

    def following(self, held: Sequence[int], prompt: int) -> int:
        """The token after `held`; a script answers by the count of tokens past the prompt."""
        if self.script:
            return self.script[min(len(held) - prompt, len(self.script) - 1)]
        mixed = 17
        for token in held:
            mixed = (mixed * 31 + token) % 1_000_003
        return 1 + mixed % (self.vocabulary - 1)

    def oracle(self, prompt: Sequence[int], count: int) -> list[int]:
        """The `count` tokens that follow `prompt`."""
        held = list(prompt)
        for _ in range(count):
            held.append(self.following(held, len(prompt)))
        return held[len(prompt) :]

    def append(
        self, slot: int, tokens: Sequence[int], start: int, rows: Sequence[int] = (-1,)
    ) -> npt.NDArray[np.float32]:
        self._step("append", len(tokens))
        assert start <= len(self.held[slot])
        self.held[slot][start:] = tokens
        assert len(self.held[slot]) <= self.context
        if len(rows) == 1:  # guesses are read with all their rows; a prompt is not
            self.prompts[slot] = len(self.held[slot])
        whole = [start + row % len(tokens) + 1 for row in rows]
        return self._logits([(slot, length) for length in whole])

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> npt.NDArray[np.float32]:
        self._step("decode", len(tokens))
        for slot, (token, length) in enumerate(zip(tokens, lengths, strict=True)):
            assert length <= len(self.held[slot])
            assert length < self.context
            self.held[slot][length:] = [token]
        return self._logits([(slot, len(self.held[slot])) for slot in range(len(tokens))])

    def move(self, source: int, target: int, length: int) -> None:
        self.held[target] = self.held[source][:length]
        self.prompts[target] = self.prompts[source]

    def copy(self, slot: int, start: int, stop: int) -> npt.NDArray[np.int32]:
        assert stop <= len(self.held[slot])
        return np.array(self.held[slot][start:stop], np.int32).reshape(1, 1, -1, 1)

    def load(self, slot: int, start: int, block: npt.NDArray[np.int32]) -> None:
        self.held[slot][start:] = block.reshape(-1).tolist()

    def release(self, first: int) -> None:
        for slot in range(first, self.slots):
            self.held[slot] = []

    def _step(self, kind: str, rows: int) -> None:
        if self.gate is not None:
            self.gate.acquire()
        if self.broken:
            raise BrokenError("a wire came off")
        if self.full:
            raise OutOfMemory(f"{kind} of {rows} rows")
        self.runs.append((kind, rows))

    def _logits(self, places: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
        logits = np.zeros((len(places), self.vocabulary), np.float32)
        for row, (slot, length) in enumerate(places):
            token = self.following(self.held[slot][:length], self.prompts[slot])
            logits[row, token] = 9
        return logits
