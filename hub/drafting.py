"""Drafting: brief -> drafts -> gates -> ranking -> the review list. Brings the parts together.

* The model works outside of any transaction; then the brief and all its candidates are kept
  in one.
* The vectors of the catalogue are kept in the library, so each lesson is encoded once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hub.brief import Brief, Encoder, with_passages
from hub.demand import Demand
from hub.gates import CopyIndex, Gates, stopped
from hub.generator import Generator
from hub.library import Library
from hub.ranker import Ranker, Vectors, text_vector
from sync.canonical import digest
from sync.lesson import Lesson


@dataclass(frozen=True, slots=True)
class Drafted:
    """What came of one brief: the numbers of its candidates, and how many drafts had no text."""

    brief: int
    candidates: tuple[int, ...]
    empty: int


class Drafting:
    """One way from a brief to the review list. `encoder_version` names the vectors kept."""

    def __init__(
        self,
        library: Library,
        generator: Generator,
        gates: Gates,
        ranker: Ranker,
        encoder: Encoder,
        encoder_version: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._library = library
        self._generator = generator
        self._gates = gates
        self._ranker = ranker
        self._encoder = encoder
        self._encoder_version = encoder_version
        self._clock = clock

    def draft(
        self, brief: Brief, n: int, missed: Demand | None = None, number: int | None = None
    ) -> Drafted:
        """Writes, judges and ranks `n` drafts for `brief` and puts them on the review list.

        `missed` is the wish that the brief answers; it is noted as answered. `number` is that of
        a brief that is kept already. Raises ModelError.
        """
        lessons = [revision.lesson for revision in self._library.lessons()]
        brief = with_passages(brief, lessons, self._encoder)
        drafts = self._generator.generate(brief, n, self._library.drafts_of(brief))
        texts = [draft.lesson for draft in drafts]
        known = CopyIndex([*(m.markdown for m in lessons), *brief.passages])
        judged = [self._gates.judge(text, known) for text in texts]
        others = [m for m in lessons if m.language == brief.language]
        rankings = self._ranker.rank(brief, texts, judged, self._catalogue(others))
        now = self._clock()
        with self._library.transaction():
            if number is None:
                number = self._library.add_brief(brief, n, now)
            else:
                self._library.order_drafts(number, n)
            if missed:
                self._library.settle_missed(missed.searches, missed.language, number)
            candidates = tuple(
                self._library.add_candidate(
                    "generated", text, now, brief=number, score=ranking.score,
                    factors=ranking.factors, gates=results,
                    state="stopped" if stopped(results) else "waiting",
                )
                for text, results, ranking in zip(texts, judged, rankings, strict=True)
            )  # fmt: skip
        return Drafted(number, candidates, n - len(drafts))

    def _catalogue(self, lessons: Sequence[Lesson]) -> Vectors:
        """Unit vectors [lessons, dimension]."""
        texts = {digest(m.markdown.encode()): m.markdown for m in lessons}
        rows = {name: self._library.vector(name, self._encoder_version) for name in texts}
        new = {n: text_vector(self._encoder, texts[n]) for n, row in rows.items() if row is None}
        with self._library.transaction():
            for name, vector in new.items():
                self._library.keep_vector(name, self._encoder_version, vector)
        found = [row for row in (rows | new).values() if row is not None]
        return np.stack(found) if found else np.zeros((0, 0), np.float32)
