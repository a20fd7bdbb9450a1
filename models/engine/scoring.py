"""Scoring: how surprising given texts are to the model, beside the requests that run.

* A text is read chunk by chunk in the scratch slot, one chunk a step.
* Bounded: at most `limit` texts wait.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.errors import ModelError, Overloaded

Logits = npt.NDArray[np.float32]


class Reader(Protocol):
    """What scoring needs of a model."""

    @property
    def scratch(self) -> int: ...
    def append(self, slot: int, tokens: Sequence[int], start: int, rows: Sequence[int]) -> Logits:
        """See Runner."""
        ...


@dataclass(eq=False, slots=True)
class Text:
    """A text being scored: its tokens after an end-of-text token, and what is summed so far."""

    tokens: list[int]
    answer: "Future[float]" = field(default_factory=Future)
    read: int = 0
    nats: float = 0.0

    def read_on(self, model: Reader, chunk: int) -> bool:
        """Read one chunk; whether the text is at its end. Its last token is only predicted."""
        stop = min(self.read + chunk, len(self.tokens) - 1)
        tokens = self.tokens[self.read : stop]
        logits = model.append(model.scratch, tokens, self.read, range(len(tokens)))
        self.nats += surprise(logits, self.tokens[self.read + 1 : stop + 1])
        self.read = stop
        return stop == len(self.tokens) - 1

    @property
    def score(self) -> float:
        """Mean nats a token."""
        return self.nats / self.read


class Texts:
    """The texts that wait to be scored. Not thread-safe: its owner holds a lock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Text] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, texts: Sequence[Text]) -> None:
        """Queue `texts`, or none of them. Raises Overloaded."""
        if len(self._waiting) + len(texts) > self._limit:
            raise Overloaded(len(self._waiting) + 1, self._limit)
        self._waiting.extend(texts)

    def first(self) -> Text | None:
        """The one that is being read."""
        return self._waiting[0] if self._waiting else None

    def leave(self, text: Text) -> None:
        """`text` is scored, or cannot be."""
        self._waiting.remove(text)

    def fail(self, error: ModelError) -> None:
        """Nobody waits any more."""
        while self._waiting:
            self._waiting.popleft().answer.set_exception(error)


def surprise(logits: Logits, tokens: Sequence[int]) -> float:
    """Sum of -log p(token) in nats; logits [n, vocabulary], one row a token."""
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted[np.arange(len(tokens)), tokens] - np.log(np.exp(shifted).sum(-1))
    return -float(logs.sum(dtype=np.float64))
