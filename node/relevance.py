"""Relevance: does a lesson that was found answer the question, or does it only share words?

Pure. A wrong answer to a child is worse than none, so a hit must earn its place:

* Each word of the question that carries meaning weighs its rarity in the library; a word
  the library does not have at all weighs most. A guessed match (beginning, misspelling)
  counts in part.
* The lesson must be *about* the question (its title or keywords have some of the weight)
  and have enough of it; or, when the question names no subject of a lesson, nearly every
  word must occur in the lesson and most of them in the very passage.

The thresholds are measured in `tests/node/test_tutor.py` on questions in pupils' words.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from node.store.search import SURE, Hit, Result

ABOUT = 0.15
"""Least share of the question that title and keywords must have."""
ABOUT_AND_COVERED = 0.78
"""Least sum of that share and the share that the whole lesson has."""
EVERYTHING = 0.95
HERE = 0.6
"""Shares of the lesson and of the passage that do without a matching title."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of a question's weight is found where, each from 0 to 1."""

    about: float
    covered: float
    here: float

    @property
    def relevant(self) -> bool:
        """True when the hit answers the question."""
        on_subject = self.about >= ABOUT and self.about + self.covered >= ABOUT_AND_COVERED
        said = self.covered >= EVERYTHING and self.here >= HERE
        return on_subject or said


def shares(result: Result, hit: Hit) -> Shares:
    """How much of the question `hit` has."""
    whole = sum(term.rarity for term in result.terms) or 1.0

    def share(stems: Iterable[str]) -> float:
        held = set(stems)
        found = (term for term in result.terms if term.stem in held)
        return sum(term.rarity * SURE[term.how] for term in found) / whole

    return Shares(share(hit.about), share(hit.covered), share(hit.here))
