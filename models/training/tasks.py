"""Grounded exercises: teach a small model to copy from a passage instead of inventing.

From every text we make, by rule, "passage + questions -> the sentences that answer them", and
from every lesson of the sample library the same from its quiz. The prompts are those of
`models.prompts`, so the tutor's questions are in-distribution.
"""

import random
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models import prompts

PASSAGE_CHARS = 700
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÁÉÍÓÚÑ¿¡])")
_DEFINITION = {
    "es": re.compile(
        r"^(El|La|Los|Las|Un|Una) ((?:[\wáéíóúñü]+ ){0,3}[\wáéíóúñü]+) (es|son) "
        r"(?:un|una|el|la|los|las) "
    ),
    "en": re.compile(r"^(The|A|An) ((?:\w+ ){0,3}\w+) (is|are) (?:a|an|the|one) "),
}
_CAUSE = {
    "es": re.compile(r"^([A-ZÁÉÍÓÚÑ][^.:;()]{15,90}) porque ([^.;()]{10,120})\.$"),
    "en": re.compile(r"^([A-Z][^.:;()]{15,90}) because ([^.;()]{10,120})\.$"),
}
_ASK = {
    "es": (
        "¿Qué {verb} {noun}?",
        "¿Por qué {fact}?",
        "Porque {cause}.",
        ("¿Qué dice el texto sobre {}?", "¿Qué sabes de {}?", "Explica: {}."),
    ),
    "en": (
        "What {verb} {noun}?",
        "Why: {fact}?",
        "Because {cause}.",
        ("What does the text say about {}?", "Explain: {}."),
    ),
}
_WORD = re.compile(r"[a-záéíóúñü]{6,}")


@dataclass(frozen=True, slots=True)
class LessonFile:
    """What training needs of one sample lesson."""

    title: str
    topic: str
    grade: str
    language: str
    body: str
    quiz: tuple[tuple[str, str], ...]


def read_lessons(folder: Path) -> list[LessonFile]:
    """The sample library's lessons (Markdown with TOML front matter), sorted by path."""
    lessons = []
    for path in sorted(folder.rglob("*.md")):
        _, front, body = path.read_text(encoding="utf-8").split("+++\n", 2)
        meta = tomllib.loads(front)
        quiz = tuple(
            (q["question"], f"{q['choices'][q['answer']]}. {q['explanation']}")
            for q in meta["quiz"]
        )
        lessons.append(
            LessonFile(
                meta["title"], meta["topic"], meta["grade"], meta["language"], body.strip(), quiz
            )
        )
    return lessons


def lesson_examples(lesson: LessonFile) -> Iterator[str]:
    """The lesson from its prompt, then its quiz as grounded answers and as practice."""
    start = prompts.lesson(lesson.title, lesson.topic, lesson.grade, lesson.language)
    yield start + lesson.body
    blocks = [b for b in re.split(r"\n\s*\n", lesson.body) if not b.startswith("#")]
    for question, reply in lesson.quiz:
        passage = max(blocks, key=lambda b: _overlap(b, question + " " + reply))
        yield prompts.answer(passage, question, lesson.language) + " " + reply
        yield (
            prompts.practice(passage, lesson.language)
            + f" {question}\n{prompts.words(lesson.language).answer}: {reply}"
        )
    if lesson.language in _ASK:
        for block in blocks:
            if made := passage_exercise(block, lesson.language, random.Random(len(block)), limit=4):
                yield made


def grounded_examples(documents: Iterable[str], language: str, rng: random.Random) -> Iterator[str]:
    """One exercise from each paragraph of a fair length."""
    for document in documents:
        for paragraph in document.split("\n"):
            if 200 <= len(paragraph) <= PASSAGE_CHARS and (
                made := passage_exercise(paragraph, language, rng, limit=4)
            ):
                yield made


def passage_exercise(passage: str, language: str, rng: random.Random, limit: int) -> str:
    """One document: `passage`, then up to `limit` questions, each answered by its sentence.

    Empty when the rules find no question. Several answers to one passage make half of what
    the model reads here copying, which is what it must learn.
    """
    pairs = list(_questions(passage, language, rng))
    rng.shuffle(pairs)
    if not pairs:
        return ""
    w = prompts.words(language)
    (question, reply), *more = pairs[:limit]
    text = prompts.answer(passage, question, language) + " " + reply
    return text + "".join(f"\n{w.question}: {q}\n{w.answer}: {a}" for q, a in more)


def _questions(passage: str, language: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    what, why, because, about = _ASK[language]
    sentences = _SENTENCE.split(passage)
    for sentence in sentences:
        if (defined := _DEFINITION[language].match(sentence)) and len(sentence) < 300:
            noun = f"{defined[1].lower()} {defined[2]}"
            yield what.format(verb=defined[3], noun=noun), sentence
        if cause := _CAUSE[language].match(sentence):
            fact = cause[1][0].lower() + cause[1][1:]
            yield why.format(fact=fact), because.format(cause=cause[2])
    lowered = passage.lower()
    for sentence in sentences:
        rare = [w for w in _WORD.findall(sentence.lower()) if lowered.count(w) == 1]
        if rare and 40 <= len(sentence) <= 300:
            yield rng.choice(about).format(rng.choice(rare)), sentence


def _overlap(block: str, text: str) -> int:
    return len(set(_WORD.findall(block.lower())) & set(_WORD.findall(text.lower())))
