"""Choosing the next token from one row of logits.

* Each request draws from its own generator, seeded by `seed`: one draw a token, whether the
  token was guessed before or not. The logits are the same whoever else is running
  (models/README.md says on which CPUs to the bit), so the text is too.
* The repetition penalty looks at what this request has written, not at its prompt: a grounded
  answer must be free to copy from the passage.
* A guess is right when the choice from its row is the guessed token. So it is taken with its
  probability, and where it is not taken, what is drawn instead follows the others': the
  acceptance rule of speculative sampling, for guesses that are certain of themselves.
"""

import numpy as np
import numpy.typing as npt

from models.engine.sampling import Sampling

Row = npt.NDArray[np.float32]
SHORTLIST = 64
"""Likeliest tokens that are sorted first; a draw rarely needs more."""


class Sampler:
    """The choices of one request."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._written: set[int] = set()

    def choose(self, logits: Row, allowed: npt.NDArray[np.bool_] | None = None) -> int:
        """The next token for `logits` [vocabulary], which are left as they are.

        `allowed` [vocabulary] has one true value at least.
        """
        logits = self._penalised(logits)
        if allowed is not None:
            logits = np.where(allowed, logits, np.float32(-np.inf))
        token = self._choose(logits)
        self._written.add(token)
        return token

    def _penalised(self, logits: Row) -> Row:
        penalty = self._sampling.repetition_penalty
        if penalty == 1 or not self._written:
            return logits
        penalised = logits.copy()
        ids = sorted(self._written)
        values = penalised[ids]
        penalised[ids] = np.where(values > 0, values / penalty, values * penalty)
        return penalised

    def _choose(self, logits: Row) -> int:
        s = self._sampling
        if s.temperature == 0:
            return int(logits.argmax())
        order, sums = self._cut(logits)
        drawn = self._random.random() * sums[-1]
        place = min(int(np.searchsorted(sums, drawn, side="right")), len(sums) - 1)
        return int(order[place])

    def _cut(self, logits: Row) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """The tokens that may be drawn, likeliest first, and the running sum of their weights."""
        s = self._sampling
        size = len(logits)
        count = min(s.top_k or size, size)
        if s.top_p == 1 or s.top_k:
            order = likeliest(logits, count)
            sums = np.cumsum(self._weights(logits[order]))
            return _nucleus(order, sums, s.top_p * float(sums[-1]))
        whole = s.top_p * float(self._weights(logits).sum())
        shortlist = SHORTLIST
        while True:
            order = likeliest(logits, min(shortlist, size))
            sums = np.cumsum(self._weights(logits[order]))
            if sums[-1] > whole or shortlist >= size:
                return _nucleus(order, sums, whole)
            shortlist *= 8

    def _weights(self, logits: Row) -> npt.NDArray[np.float64]:
        scaled = logits.astype(np.float64) / self._sampling.temperature
        weights: npt.NDArray[np.float64] = np.exp(scaled - scaled.max())
        return weights


def likeliest(logits: Row, count: int) -> npt.NDArray[np.intp]:
    """The `count` largest, largest first; equals by number, as a stable sort has them."""
    if count >= len(logits):
        return np.argsort(-logits, kind="stable")
    least = np.partition(logits, -count)[-count]
    found = np.flatnonzero(logits >= least)
    return found[np.argsort(-logits[found], kind="stable")[:count]]


def _nucleus(
    order: npt.NDArray[np.intp], sums: npt.NDArray[np.float64], reach: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """As few of the likeliest as reach `reach`."""
    if reach < sums[-1]:
        sums = sums[: int(np.searchsorted(sums, reach)) + 1]
    return order, sums
