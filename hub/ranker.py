"""Ranker: which draft an editor should see first, and why.

| factor | value 0..1 |
|---|---|
| relevance | cosine of the draft to the brief |
| support | largest cosine of the draft to a reference passage of the brief |
| novelty | 1 - largest cosine of the draft to a lesson we have in its language |
| fluency | nats a token under the decoder, from `clumsy_nats` (0) to `fluent_nats` (1) |
| gates | share of the gates passed |

* The score is the mean of the factors by weight; a factor without anything to measure (no
  passages, no lessons) is left out, not counted as zero.
* `share` of a factor is the part of the score that it gave; shares sum to 1.
* A text longer than the encoder reads is the mean of its parts.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hub.brief import Brief, Encoder
from hub.candidate import Factor, GateResult, Ranking
from hub.config import RankerTable
from sync.lesson import Lesson

PART_WORDS = 90  # of Spanish: rarely more than the 256 tokens that MiniLM reads
Vectors = NDArray[np.float32]


class Scorer(Protocol):
    """What tells how likely a text is; `models.engine.engine.Engine`."""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Mean nats a token of each text."""
        ...


class Ranker:
    """Scores drafts with an encoder and a decoder."""

    def __init__(self, encoder: Encoder, scorer: Scorer, weights: RankerTable) -> None:
        self._encoder = encoder
        self._scorer = scorer
        self._weights = weights

    def rank(
        self,
        brief: Brief,
        drafts: Sequence[Lesson],
        gates: Sequence[Sequence[GateResult]],
        catalogue: Vectors,
    ) -> list[Ranking]:
        """One ranking a draft, in their order. `catalogue`: unit vectors [lessons, dimension]."""
        if not drafts:
            return []
        vectors = np.stack([text_vector(self._encoder, m.markdown) for m in drafts])
        asked = self._encoder.encode([brief.text, *brief.passages])
        nats = self._scorer.score([m.markdown for m in drafts])
        return [
            self._ranking(vector, asked, catalogue, nat, results)
            for vector, nat, results in zip(vectors, nats, gates, strict=True)
        ]

    def _ranking(
        self,
        vector: Vectors,
        asked: Vectors,
        catalogue: Vectors,
        nats: float,
        gates: Sequence[GateResult],
    ) -> Ranking:
        w = self._weights
        parts = [("relevance", float(asked[0] @ vector), w.relevance)]
        if len(asked) > 1:
            parts.append(("support", float((asked[1:] @ vector).max()), w.support))
        if len(catalogue):
            parts.append(("novelty", 1.0 - float((catalogue @ vector).max()), w.novelty))
        parts.append(("fluency", fluency(nats, w.fluent_nats, w.clumsy_nats), w.fluency))
        if gates:
            parts.append(("gates", sum(g.passed for g in gates) / len(gates), w.gates))
        return combine(parts)


def combine(parts: Sequence[tuple[str, float, float]]) -> Ranking:
    """The ranking from (name, value, weight); values are held to 0..1."""
    held = [(name, min(1.0, max(0.0, value)), weight) for name, value, weight in parts]
    gained = sum(value * weight for _, value, weight in held)
    total = sum(weight for _, _, weight in held)
    factors = tuple(
        Factor(name, value, weight, value * weight / gained if gained else 0.0)
        for name, value, weight in held
    )
    return Ranking(gained / total if total else 0.0, factors)


def fluency(nats: float, fluent: float, clumsy: float) -> float:
    """Nats a token as 0 (`clumsy` or worse) to 1 (`fluent` or better)."""
    if not np.isfinite(nats):
        return 0.0
    if fluent >= clumsy:
        return 1.0 if nats <= fluent else 0.0
    return min(1.0, max(0.0, (clumsy - nats) / (clumsy - fluent)))


def text_vector(encoder: Encoder, text: str) -> Vectors:
    """The unit vector [dimension] of a text of any length."""
    words = text.split()
    parts = [" ".join(words[i : i + PART_WORDS]) for i in range(0, len(words), PART_WORDS)]
    mean = encoder.encode(parts or [text]).mean(axis=0)
    length = float(np.linalg.norm(mean))
    unit: Vectors = (mean / length if length else mean).astype(np.float32)
    return unit
