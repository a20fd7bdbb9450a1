"""Lesson, Question, Channel: the teachable content of a channel, as it travels.

* A Lesson is an immutable revision. Its identity in a channel is its path
  (`lessons/<id>.<language>.json`); its identity as bytes is their digest.
* The bytes are indented JSON with fixed key order, one block of the body a line, so that
  a small edit is a small delta and a person can read what travels.
* Language versions of one lesson share the id and have the same number of blocks.
"""

import re
from typing import Annotated, Literal, NewType

import msgspec

from sync.canonical import decode
from sync.errors import ContentError

LessonId = NewType("LessonId", str)
Language = Literal["es", "qu", "en"]
Grade = Literal[
    "primaria-1", "primaria-2", "primaria-3", "primaria-4", "primaria-5", "primaria-6",
    "secundaria-1", "secundaria-2", "secundaria-3", "secundaria-4", "secundaria-5",
]  # fmt: skip

MAX_LESSON_BYTES = 256 * 1024
MAX_CHANNEL_BYTES = 64 * 1024
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One quiz question with exactly one right choice; `answer` counts from 0."""

    question: Line
    choices: Annotated[tuple[Line, ...], msgspec.Meta(min_length=2, max_length=6)]
    answer: Annotated[int, msgspec.Meta(ge=0, le=5)]
    hint: str
    explanation: str


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who answers for a lesson: an author and licence, or a model, its seed and an approver."""

    author: str
    license: str
    source: str
    model: str = ""
    seed: int | None = None
    approver: str = ""


class Lesson(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One revision of one lesson in one language. `body` is Markdown, one block an item."""

    id: Slug
    language: Language
    title: Line
    topic: Slug
    grade: Grade
    summary: Line
    keywords: Annotated[tuple[Line, ...], msgspec.Meta(max_length=24)]
    body: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=400)]
    provenance: Provenance
    quiz: Annotated[tuple[Question, ...], msgspec.Meta(max_length=40)] = ()
    translation_of: str = ""
    review: str = ""

    @property
    def path(self) -> str:
        """Where the lesson lives in its channel."""
        return f"lessons/{self.id}.{self.language}.json"

    @property
    def markdown(self) -> str:
        """The whole body as one Markdown text."""
        return "\n\n".join(self.body)


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subject in the channel: its titles by language and an emoji for its card."""

    id: Slug
    titles: dict[str, Line]
    icon: Line


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`channel.json`: what the channel is, and its topics in order of display."""

    id: Slug
    titles: dict[str, Line]
    description: dict[str, Line]
    license: Line
    topics: Annotated[tuple[Topic, ...], msgspec.Meta(max_length=100)]


CHANNEL_PATH = "channel.json"


def blocks(markdown: str) -> tuple[str, ...]:
    """Markdown cut at blank lines, each block without outer blank lines."""
    return tuple(b.strip("\n") for b in re.split(r"\n[ \t]*\n", markdown.strip()) if b.strip())


def to_bytes(value: Lesson | Channel) -> bytes:
    """The bytes that are hashed and travel."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def lesson_from_bytes(data: bytes) -> Lesson:
    """Raises ContentError when `data` is not a lesson or its quiz points outside its choices."""
    lesson = decode(data, Lesson, limit=MAX_LESSON_BYTES, what="lesson")
    for number, question in enumerate(lesson.quiz, 1):
        if question.answer >= len(question.choices):
            raise ContentError(
                f"lesson {lesson.path}: question {number} has no choice {question.answer}"
            )
    return lesson


def channel_from_bytes(data: bytes) -> Channel:
    """Raises ContentError when `data` is not a channel description."""
    return decode(data, Channel, limit=MAX_CHANNEL_BYTES, what=CHANNEL_PATH)
