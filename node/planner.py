"""Planner: in which order the parts of a new version travel, and how many of them now. Pure.

* A part is what can be shown by itself once it is here: a group of a bundle.
* Order = (rank x demand x fit) per byte. Rank is the signed priority, demand what pupils of
  this node looked for in vain and what a class works with, fit the school's interests.
* What nothing can be read without (the channel's description) is first; what fits not at all
  is last and never lost.
* A budget is never exceeded. A part too large for what is left waits for the next day, and what
  is left then begins it: it comes over days instead of never.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from node.interests import InterestsTable, Traits

MAX_RANK = 100
ASSIGNED = 3.0
"""How much more a lesson counts that a class works with."""
MOST_MISSED = 4.0
"""How much more a lesson can count because it was looked for."""
ENOUGH = 0.5
"""Share of a search's words that a lesson's labels must have."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A search that found nothing here: the stems of its words, and how often."""

    words: frozenset[str]
    times: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry that is to come. `priority` 0 is the most urgent, 99 the least."""

    path: str
    priority: int
    traits: Traits
    words: frozenset[str] = frozenset()
    """Stems of what is known of it: title, slug, topic."""
    assigned: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A group to fetch: `size` bytes that bring `entries`, of which `missing` must still come.

    The order goes by `size`, so that a cut does not change it; the budget by `missing`.
    """

    number: int
    size: int
    entries: tuple[Wanted, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Portion:
    """What a budget allows of parts in order. Byte counts never exceed the budget."""

    now: tuple[Part, ...]
    begun: Part | None
    """The first that does not fit whole; `begun_bytes` of it do."""
    begun_bytes: int
    later: tuple[Part, ...]
    """All that is not whole after this, `begun` too, in order."""

    @property
    def size(self) -> int:
        """Bytes to fetch now."""
        return sum(part.missing for part in self.now) + self.begun_bytes


class Planner:
    """Orders the parts for one school."""

    def __init__(self, interests: InterestsTable, missed: Collection[Missed] = ()) -> None:
        self._interests = interests
        self._missed: dict[str, list[Missed]] = {}
        for one in missed:
            for word in one.words:
                self._missed.setdefault(word, []).append(one)

    def worth(self, entry: Wanted) -> float:
        """rank x demand x fit of one entry."""
        rank = (MAX_RANK - entry.priority) / MAX_RANK
        return rank * self.demand(entry) * self._interests.fit(entry.traits)

    def demand(self, entry: Wanted) -> float:
        """1 for what nobody asked for, and up."""
        near = {id(one): one for word in entry.words for one in self._missed.get(word, ())}
        asked = sum(
            one.times
            for one in near.values()
            if len(one.words & entry.words) >= ENOUGH * len(one.words)
        )
        missed = min(1 + math.log2(1 + asked), MOST_MISSED)
        return missed * (ASSIGNED if entry.assigned else 1.0)

    def order(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """All `parts`, the most worth a byte first; equals stay in the order of the bundle."""
        return tuple(sorted(parts, key=self._key))

    def _key(self, part: Part) -> tuple[bool, float, int]:
        needed = any(entry.traits.kind == "channel" for entry in part.entries)
        worth = sum(self.worth(entry) for entry in part.entries)
        return not needed, -worth / max(1, part.size), part.number


def portion(ordered: Sequence[Part], budget: int | None) -> Portion:
    """What of `ordered` may come within `budget` bytes; None: all."""
    left = math.inf if budget is None else max(0, budget)
    now: list[Part] = []
    later: list[Part] = []
    for part in ordered:
        if part.missing <= left:
            now.append(part)
            left -= part.missing
        else:
            later.append(part)
    begun = later[0] if later else None
    return Portion(tuple(now), begun, int(left) if begun else 0, tuple(later))
