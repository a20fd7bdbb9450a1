"""Guessing what comes next: an answer about a passage says again what the passage says.

* A guess is what followed the last time the same three (or two) tokens stood in prompt or
  answer. It costs a look into a table; the model checks all guessed tokens in one run.
* A guess is never believed, only checked: see `sampler`. What is written is what would have
  been written without it.
* How far to guess follows from how often this sequence's guesses were right and what a run of
  so many rows costs on this machine. Where it does not pay the guesses are not checked, but
  still compared with what comes, so that it is noticed when they begin to be right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 3
"""Tokens in a row that make two places alike; SHORTEST when no more are."""
SHORTEST = 2
MEMORY = 0.9
"""Weight of what was seen before, against one guess seen now."""
STEPS = 20
"""Hit rates are rounded to 1/STEPS, so that the table of `reach` stays small."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a run of the model costs here: seconds = fixed + row * rows."""

    fixed: float
    row: float

    @classmethod
    def of(cls, one: float, many: float, rows: int) -> "Pace":
        """From the seconds that a run of one row and a run of `rows` took."""
        row = max((many - one) / (rows - 1), one / 100)
        return cls(max(one - row, 0.0), row)


class Lookup:
    """Where each few tokens stood last in one growing sequence."""

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}
        self.extend(tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        """More of the sequence."""
        for token in tokens:
            end = len(self._tokens)  # what ends here is followed by `token`
            for size in range(SHORTEST, LONGEST + 1):
                if end >= size:
                    self._places[tuple(self._tokens[end - size :])] = end
            self._tokens.append(token)

    def guess(self, count: int) -> list[int]:
        """At most `count` tokens that may come next."""
        for size in range(LONGEST, SHORTEST - 1, -1):
            place = self._places.get(tuple(self._tokens[-size:]))
            if place is not None:
                return self._tokens[place : place + count]
        return []


class Luck:
    """How often one sequence's guesses are right; a little hopeful at first."""

    def __init__(self) -> None:
        self._right = 1.5
        self._seen = 2.0

    @property
    def rate(self) -> float:
        """Share of the guessed tokens that were right, the late ones counting more."""
        return round(STEPS * self._right / self._seen) / STEPS

    def saw(self, right: int, wrong: int) -> None:
        """So many guessed tokens came, and so many others came instead of one."""
        for hit in (True,) * right + (False,) * wrong:
            self._right = MEMORY * self._right + hit
            self._seen = MEMORY * self._seen + 1


@lru_cache(maxsize=4096)
def reach(pace: Pace, rate: float, running: int, limit: int) -> int:
    """How many guessed tokens to check in one run; 0 when one token a run is faster.

    Alone (`running` 1), the run of the guesses is the run of the sequence's turn. Beside others
    it is one more run, made when the first guess has come true in the common one.
    """
    lone = running == 1
    best, best_rate = 0, running / (pace.fixed + pace.row * running)
    for count in range(1, limit + 1):
        rows = count + 1 if lone else count
        expected = sum(rate**i for i in range(rows))
        if (speed := expected / (pace.fixed + pace.row * rows)) > best_rate:
            best, best_rate = count, speed
    return best
