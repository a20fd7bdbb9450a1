"""Brief: what a lesson draft shall be about. Made by a person, or from missed searches.

* A brief is a value; `digest` names its content, so the same brief asked for twice goes on
  counting seeds instead of repeating drafts.
* Reference passages are blocks of lessons that we have, nearest in meaning to the brief.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from sync.canonical import Digest, digest, encode
from sync.lesson import Grade, Language, Lesson, Line, Slug

MAX_PASSAGES = 3
MIN_PASSAGE_WORDS = 12


class Encoder(Protocol):
    """What turns texts into vectors; `models.encoder.Encoder`."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [len(texts), dimension], each row of length 1."""
        ...


class Brief(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The order for a lesson."""

    topic: Slug
    title: Line
    grade: Grade
    language: Language
    keywords: Annotated[tuple[Line, ...], msgspec.Meta(max_length=24)] = ()
    passages: Annotated[tuple[str, ...], msgspec.Meta(max_length=20)] = ()
    origin: Literal["person", "missed"] = "person"

    @property
    def digest(self) -> Digest:
        """Names what is asked for; passages and origin do not count."""
        asked = (self.topic, self.title, self.grade, self.language, self.keywords)
        return digest(encode(asked))

    @property
    def text(self) -> str:
        """The brief as one text, for the encoder."""
        return f"{self.title}. {', '.join(self.keywords)}" if self.keywords else self.title


def slug(title: str) -> str:
    """`title` as a lesson id: lower case, no accents, words joined by hyphens, 60 characters."""
    folded = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", folded)
    short = "-".join(words)[:60].strip("-")
    return short or "leccion"


def with_passages(brief: Brief, lessons: Sequence[Lesson], encoder: Encoder) -> Brief:
    """`brief` with the nearest blocks of the lessons of its topic and language."""
    blocks = [
        block
        for lesson in lessons
        if lesson.topic == brief.topic and lesson.language == brief.language
        for block in lesson.body
        if len(block.split()) >= MIN_PASSAGE_WORDS
    ]
    if not blocks:
        return brief
    vectors = encoder.encode([brief.text, *blocks])
    order = np.argsort(-(vectors[1:] @ vectors[0]), kind="stable")[:MAX_PASSAGES]
    return msgspec.structs.replace(brief, passages=tuple(blocks[i] for i in order))


def from_missed(
    query: str, language: Language, lessons: Sequence[Lesson], encoder: Encoder
) -> Brief | None:
    """A brief for what pupils looked for in vain: topic and grade of the nearest lesson.

    None when there is no lesson to take them from.
    """
    if not lessons:
        return None
    vectors = encoder.encode([query, *(f"{m.title}. {', '.join(m.keywords)}" for m in lessons)])
    nearest = lessons[int(np.argmax(vectors[1:] @ vectors[0]))]
    title = query[:1].upper() + query[1:]
    return Brief(nearest.topic, title, nearest.grade, language, (), (), "missed")
