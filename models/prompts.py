"""The prompt formats the shipped models are trained on.

Training, the hub's generator and the node's tutor must agree to the letter: a small
model is only good in-distribution. They all build their prompts here.

* A prompt ends where the model starts to write; it never ends in a space (the byte-level
  tokenizer glues the space to the next word).
* A completion ends with the end-of-text token.
"""

from dataclasses import dataclass

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Words:
    """The fixed words of one language."""

    lesson: str
    topic: str
    grade: str
    story: str
    passage: str
    question: str
    answer: str
    practice: str


WORDS = {
    "es": Words("Lección", "Tema", "Grado", "Cuento", "Texto", "Pregunta", "Respuesta", "Práctica"),
    "en": Words("Lesson", "Topic", "Grade", "Story", "Text", "Question", "Answer", "Practice"),
    "qu": Words("Yachachiy", "Tema", "Grado", "Willakuy", "Qillqa", "Tapuy", "Kutichiy", "Ruway"),
}


def words(language: str) -> Words:
    """The fixed words of `language`; Spanish where we have none of its own."""
    return WORDS.get(language, WORDS["es"])


def titled(heading: str, text: str) -> str:
    """A whole document as pre-training sees it: heading word, title line, body."""
    return f"{heading}: {text}"


def lesson(title: str, topic: str, grade: str, language: str = "es") -> str:
    """Prompt for a lesson draft."""
    w = words(language)
    return f"{w.lesson}: {title}\n{w.topic}: {topic}. {w.grade}: {grade}.\n\n"


def answer(passage: str, question: str, language: str = "es") -> str:
    """Prompt for a short answer grounded on `passage`."""
    w = words(language)
    return f"{w.passage}: {passage}\n{w.question}: {question}\n{w.answer}:"


def practice(passage: str, language: str = "es") -> str:
    """Prompt for one practice question on `passage`; the model writes question and answer."""
    w = words(language)
    return f"{w.passage}: {passage}\n{w.practice}:"
