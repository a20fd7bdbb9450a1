"""Candidate: a lesson that waits for a person, with all that was measured of it.

* `lesson` is whole: approving it adds who approved, nothing else.
* Every number that put a candidate where it stands in the list is kept: gates with their
  reasons, factors with value, weight and share of the score.
"""

from typing import Literal

import msgspec

from sync.lesson import Lesson

State = Literal["waiting", "approved", "rejected", "stopped"]
Origin = Literal["generated", "import", "edit", "upload"]


class GateResult(msgspec.Struct, frozen=True):
    """What one gate measured and said. A draft that fails a `hard` gate is never approved."""

    gate: str
    passed: bool
    value: float
    reason: str
    hard: bool = False


class Factor(msgspec.Struct, frozen=True):
    """One part of a score: `value` 0..1, `share` the part of the score that it gave, 0..1."""

    name: str
    value: float
    weight: float
    share: float


class Ranking(msgspec.Struct, frozen=True):
    """The score (0..1) of a draft and why."""

    score: float
    factors: tuple[Factor, ...]


class Draft(msgspec.Struct, frozen=True):
    """What the generator wrote for a brief, before anybody judged it."""

    lesson: Lesson
    tokens: int
    reason: str
    """Why the model stopped: "end" of text, "length", "deadline"."""


class Decision(msgspec.Struct, frozen=True):
    """One person's word on a candidate. `at` is unix time, seconds."""

    candidate: int
    verdict: Literal["approve", "reject"]
    person: str
    reason: str
    at: float


class Candidate(msgspec.Struct, frozen=True):
    """One row of the review list. `at` is unix time, seconds."""

    id: int
    origin: Origin
    state: State
    lesson: Lesson
    at: float
    brief: int | None = None
    score: float | None = None
    factors: tuple[Factor, ...] = ()
    gates: tuple[GateResult, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who said yes so far, in order."""
        return tuple(d.person for d in self.decisions if d.verdict == "approve")
