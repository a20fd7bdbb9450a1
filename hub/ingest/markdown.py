"""Lessons as Markdown files with TOML front matter, one a language: `ID.LANG.md`.

    +++
    id = "soroche"            topic, language, grade, summary, keywords, author, license,
    title = "El soroche"      source; optional: translation_of, review, model, seed
    [[quiz]]                  question, choices, answer (from 0), hint, explanation
    +++

    The body in Markdown; a blank line ends a block.

* `parse` and `render` are each other's inverse, but for who approved: that is the review's.
* What does not fit is a ContentError that names the file and the key.
* `channel.toml` in the library's folder describes the channel and its topics.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from hub import toml
from sync.errors import ContentError
from sync.lesson import (
    MAX_CHANNEL_BYTES,
    MAX_LESSON_BYTES,
    Channel,
    Grade,
    Language,
    Lesson,
    Line,
    Provenance,
    Question,
    Slug,
    blocks,
    lesson_from_bytes,
    to_bytes,
)

FENCE = "+++\n"
_FENCE = re.compile(r"^\+\+\+[ \t]*\n", re.MULTILINE)
CHANNEL_FILE = "channel.toml"
MAX_FILES = 20_000
T = TypeVar("T")


class FrontMatter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The keys of a lesson file, in the order they are written."""

    id: Slug
    title: Line
    topic: Slug
    language: Language
    grade: Grade
    summary: Line
    keywords: Annotated[tuple[Line, ...], msgspec.Meta(max_length=24)]
    author: Line
    license: Line
    source: Line
    translation_of: str = ""
    review: str = ""
    model: str = ""
    seed: int | None = None
    quiz: Annotated[tuple[Question, ...], msgspec.Meta(max_length=40)] = ()


class Folder(msgspec.Struct, frozen=True):
    """What one folder holds."""

    channel: Channel
    lessons: tuple[Lesson, ...]


def read_folder(folder: Path) -> Folder:
    """The channel and every lesson in and below `folder`, by path. README and LICENSE are let be.

    Raises ContentError, before anything is imported: which file, which key, what is wrong.
    """
    channel = read_channel(folder / CHANNEL_FILE)
    paths = sorted(p for p in folder.rglob("*.*.md") if p.is_file())
    if len(paths) > MAX_FILES:
        raise ContentError(f"{folder}: {len(paths)} lessons, more than the {MAX_FILES} allowed")
    topics = {topic.id for topic in channel.topics}
    lessons = []
    for path in paths:
        lesson = read_lesson(path)
        if path.name != f"{lesson.id}.{lesson.language}.md":
            raise ContentError(
                f"{path}: keys id and language say {lesson.id}.{lesson.language}.md",
                hint="rename the file or mend the keys; each lesson has one place",
            )
        if lesson.topic not in topics:
            raise ContentError(
                f"{path}: key topic: {lesson.topic!r} is not in {CHANNEL_FILE}",
                hint=f"topics there: {', '.join(sorted(topics))}",
            )
        lessons.append(lesson)
    _refuse_twice(folder, lessons)
    return Folder(channel, tuple(lessons))


def read_channel(path: Path) -> Channel:
    """Raises ContentError: missing, not TOML, or a key is wrong."""
    text = _read(path, MAX_CHANNEL_BYTES)
    return _convert(_toml(text, str(path)), Channel, str(path))


def read_lesson(path: Path) -> Lesson:
    """Raises ContentError: missing, too large, no front matter, or a key is wrong."""
    return parse(_read(path, MAX_LESSON_BYTES), str(path))


def parse(text: str, what: str) -> Lesson:
    """The lesson in `text`; `what` names it in errors. Raises ContentError."""
    plain = text.replace("\r\n", "\n").removeprefix("\ufeff")
    parts = _FENCE.split(plain, maxsplit=2)
    if len(parts) != 3 or parts[0].strip():
        raise ContentError(
            f"{what}: no front matter", hint="begin the file with +++, the keys, and +++ again"
        )
    meta = _convert(_toml(parts[1], what), FrontMatter, what)
    body = blocks(parts[2])
    if not body:
        raise ContentError(f"{what}: no text after the front matter")
    lesson = Lesson(
        id=meta.id, language=meta.language, title=meta.title, topic=meta.topic, grade=meta.grade,
        summary=meta.summary, keywords=meta.keywords, body=body, quiz=meta.quiz,
        translation_of=meta.translation_of, review=meta.review,
        provenance=Provenance(meta.author, meta.license, meta.source, meta.model, meta.seed),
    )  # fmt: skip
    return checked(lesson, what)


def checked(lesson: Lesson, what: str) -> Lesson:
    """`lesson` when it keeps every rule of one; `what` names it. Raises ContentError."""
    try:
        return lesson_from_bytes(to_bytes(lesson))
    except ContentError as error:
        raise ContentError(f"{what}: {error}", hint=error.hint) from error


def render(lesson: Lesson) -> str:
    """`lesson` as a file that `parse` reads back."""
    by = lesson.provenance
    meta = FrontMatter(
        id=lesson.id, title=lesson.title, topic=lesson.topic, language=lesson.language,
        grade=lesson.grade, summary=lesson.summary, keywords=lesson.keywords, quiz=lesson.quiz,
        author=by.author, license=by.license, source=by.source, model=by.model, seed=by.seed,
        translation_of=lesson.translation_of, review=lesson.review,
    )  # fmt: skip
    keys: dict[str, Any] = msgspec.to_builtins(meta)
    return f"{FENCE}{toml.dumps(keys)}{FENCE}\n{lesson.markdown}\n"


def _refuse_twice(folder: Path, lessons: list[Lesson]) -> None:
    seen: set[str] = set()
    for lesson in lessons:
        if lesson.path in seen:
            raise ContentError(
                f"{folder}: lesson {lesson.id}.{lesson.language} is there twice",
                hint="remove one of the two files",
            )
        seen.add(lesson.path)


def _read(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise ContentError(f"{path}: larger than the {limit} bytes allowed")
        return data.decode("utf-8")
    except OSError as error:
        raise ContentError(
            f"{path}: {error.strerror}", hint="give the path of the file or folder"
        ) from error
    except UnicodeDecodeError as error:
        raise ContentError(f"{path}: not UTF-8: {error}", hint="save it as UTF-8") from error


def _toml(text: str, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ContentError(
            f"{what}: front matter: {error}", hint="mend the line it names"
        ) from error


def _convert(value: dict[str, Any], kind: type[T], what: str) -> T:
    """msgspec says `Object missing required field` or `... - at $.key`; both name the key."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        said = re.sub(r" - at `\$\.?(.*)`$", r" (key \1)", str(error))
        raise ContentError(f"{what}: {said}", hint="mend the key it names") from error
