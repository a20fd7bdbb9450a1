"""Health: how each of several roads fares, so that the next question goes to one that answers.

* A road that failed rests: twice as long after each failure in a row, with jitter. A road that
  rests is asked only when no other could answer.
* What a road said and the judge refused is doubted: it rests too, and in the same round it
  comes last.
* What each road brought is counted, in all and for the round.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sync.transport.retrying import Backoff

REST = Backoff(first_s=60.0, most_s=3600.0)
T = TypeVar("T")


class Health:
    """One road. `name` is what people call it."""

    def __init__(self, name: str, roster: "Roster") -> None:
        self.name = name
        self.failed_total = 0
        self.bytes_total = 0
        self.failures = 0
        """In a row."""
        self.resting_until = 0.0
        """By the roster's clock."""
        self._roster = roster

    def failed(self) -> None:
        """It did not answer, or died, or told a falsehood."""
        self.failures += 1
        self.failed_total += 1
        # Half a rest at least: a road that just failed is not asked again at once.
        chance = (1 + self._roster.chance()) / 2
        self.resting_until = self._roster.clock() + REST.wait_s(self.failures, chance)

    def well(self, size: int = 0) -> None:
        """It answered, with `size` bytes of payload."""
        self.failures, self.resting_until = 0, 0.0
        self.bytes_total += size
        self._roster.answered(self, size)

    @property
    def ready(self) -> bool:
        """True when it does not rest."""
        return self._roster.clock() >= self.resting_until


class Roster:
    """All roads of a node, and what happened in the round that runs."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.clock, self.chance = clock, chance
        self.roads: list[Health] = []
        self._last: Health | None = None
        self._doubted: list[Health] = []
        self._carried: dict[str, int] = {}

    def add(self, name: str) -> Health:
        """The health of one more road, the least preferred so far."""
        made = Health(name, self)
        self.roads.append(made)
        return made

    def answered(self, road: Health, size: int) -> None:
        """Notes who spoke last."""
        self._last = road
        if size:
            self._carried[road.name] = self._carried.get(road.name, 0) + size

    def order(self, roads: Iterable[tuple[Health, T]]) -> Sequence[tuple[Health, T]]:
        """Those to ask first come first."""
        return sorted(roads, key=lambda one: (one[0] in self._doubted, not one[0].ready))

    def doubt(self) -> bool:
        """What came last is refused. True when a road is left that was not doubted this round."""
        if self._last is not None and self._last not in self._doubted:
            self._doubted.append(self._last)
            self._last.failed()
        return len(self._doubted) < len(self.roads)

    def carried(self) -> dict[str, int]:
        """Bytes of payload by road in this round, which ends."""
        told, self._carried = self._carried, {}
        self._doubted, self._last = [], None
        return told
