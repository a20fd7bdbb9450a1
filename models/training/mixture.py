"""What the model reads, and when: stages of text, drawn anew for every pass.

Four stages: broad text, subjects, then (at twice the context, while the learning rate
anneals) subjects with lessons and grounded exercises, and last mostly those.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from models import prompts
from models.training import corpus, tasks

Tokens = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the schedule: until which progress, at which context, on which text."""

    name: str
    until: float
    context: int
    batch: int


STAGES = (
    Stage("broad", 0.31, 256, 16),
    Stage("subjects", 0.74, 256, 16),
    Stage("lessons", 0.755, 512, 8),
    Stage("tutor", 1.0, 512, 8),
)


class Mixture:
    """Endless token streams, one pass at a time, drawn anew for every pass."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, lessons: Path | None) -> None:
        self.tokenizer = tokenizer
        self.lessons = lessons
        self.sources = corpus.read_sources(folder)
        self.end = tokenizer.token_to_id(prompts.END_OF_TEXT)
        self._cache: dict[str, Tokens] = {}

    def encode(self, text: str) -> Tokens:
        known = self._cache.get(text)
        if known is None:
            known = np.array([*self.tokenizer.encode(text).ids, self.end], np.uint16)
            self._cache[text] = known
        return known

    def epoch(self, stage: str, number: int, at_least: int) -> Tokens:
        """A shuffled pass over the stage's documents, repeated up to `at_least` tokens."""
        rng = random.Random(f"{stage}/{number}")
        texts = getattr(self, f"_{stage}")(rng)
        rng.shuffle(texts)
        tokens = np.concatenate([self.encode(t) for t in texts])
        return np.tile(tokens, -(-at_least // len(tokens)))

    def _broad(self, rng: random.Random) -> list[str]:
        return [t for s in self.sources for t in (s.unfiltered or s.train)]

    def _subjects(self, rng: random.Random) -> list[str]:
        texts: list[str] = []
        for source in self.sources:
            if source.name.startswith("openstax"):
                half = "_en" in source.name
                texts += _share(rng, source.train, 0.5 if half else 1.0)
                texts += _share(rng, source.unfiltered, 0.5)
            else:
                texts += (
                    _share(rng, source.train, 0.08) if len(source.train) > 1000 else source.train
                )
        return texts

    def _lessons(self, rng: random.Random) -> list[str]:
        return self._subjects(rng) + self._exercises(rng, 4000) + self._library(copies=2)

    def _tutor(self, rng: random.Random) -> list[str]:
        subjects = [t for s in self.sources if s.name.startswith("openstax") for t in s.train]
        half = rng.sample(subjects, len(subjects) // 2)
        return half + self._exercises(rng, 12_000) + self._library(copies=4)

    def _exercises(self, rng: random.Random, limit: int) -> list[str]:
        made: list[str] = []
        for source in self.sources:
            if corpus.heading(source.name):
                made += tasks.grounded_examples(source.train, corpus.language(source.name), rng)
        return rng.sample(made, min(len(made), limit))

    def _library(self, copies: int) -> list[str]:
        lessons = tasks.read_lessons(self.lessons) if self.lessons else []
        return [text for lesson in lessons for text in tasks.lesson_examples(lesson)] * copies


def _share(rng: random.Random, texts: tuple[str, ...], share: float) -> list[str]:
    return list(texts) if share >= 1 else rng.sample(texts, int(len(texts) * share))
