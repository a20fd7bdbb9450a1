"""Choosing the next token from one row of logits.

* Temperature 0 is greedy. Above it: repetition penalty, temperature, top-k, top-p, draw.
* Each request draws from its own generator, seeded by `seed`. The logits are the same whoever
  else is running (models/README.md says on which CPUs to the bit), so the text is too.
* The repetition penalty looks at what this request has written, not at its prompt: a grounded
  answer must be free to copy from the passage.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

MAX_TOKENS = 4096
MAX_STOPS = 8
MAX_STOP_CHARS = 64


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request is to be continued."""

    max_tokens: int = 160
    temperature: float = 0.0
    top_k: int = 0
    """Only the k likeliest tokens; 0 for all."""
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this probability."""
    repetition_penalty: float = 1.0
    """Above 1: a token already written is less likely again."""
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""

    def __post_init__(self) -> None:
        checks = {
            "max_tokens": 1 <= self.max_tokens <= MAX_TOKENS,
            "temperature": 0 <= self.temperature <= 5,
            "top_k": self.top_k >= 0,
            "top_p": 0 < self.top_p <= 1,
            "repetition_penalty": 1 <= self.repetition_penalty <= 5,
            "seed": 0 <= self.seed < 2**64,
            "stop": len(self.stop) <= MAX_STOPS
            and all(1 <= len(text) <= MAX_STOP_CHARS for text in self.stop),
        }
        for name, holds in checks.items():
            if not holds:
                raise ModelError(f"sampling: {name} = {getattr(self, name)!r} is out of bounds")


class Sampler:
    """The choices of one request."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._written: set[int] = set()

    def choose(self, logits: npt.NDArray[np.float32]) -> int:
        """The next token for `logits` [vocabulary], which are left as they are."""
        token = self._choose(self._penalised(logits))
        self._written.add(token)
        return token

    def _penalised(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        penalty = self._sampling.repetition_penalty
        if penalty == 1 or not self._written:
            return logits
        penalised = logits.copy()
        ids = sorted(self._written)
        values = penalised[ids]
        penalised[ids] = np.where(values > 0, values / penalty, values * penalty)
        return penalised

    def _choose(self, logits: npt.NDArray[np.float32]) -> int:
        s = self._sampling
        if s.temperature == 0:
            return int(logits.argmax())
        order = np.argsort(-logits, kind="stable")[: s.top_k or None]
        scaled = logits[order].astype(np.float64) / s.temperature
        weights = np.exp(scaled - scaled[0])
        sums = np.cumsum(weights)
        if s.top_p < 1:
            sums = sums[: int(np.searchsorted(sums, s.top_p * sums[-1])) + 1]
        drawn = self._random.random() * sums[-1]
        place = min(int(np.searchsorted(sums, drawn, side="right")), len(sums) - 1)
        return int(order[place])
