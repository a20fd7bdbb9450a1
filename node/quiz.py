"""Quiz: marking, as a value. Pure; pages and events are made elsewhere.

* A sheet of answers is one choice or None a question; what does not fit the quiz counts as
  not answered, never as an error: a pupil may hold a page of the version before.
* The written form of a sheet, `1.-.0`, is short enough for an address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sync.lesson import Question

Sheet = tuple[int | None, ...]
State = Literal["right", "wrong", "unanswered"]

MAX_WRITTEN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """One question, what the pupil chose, and whether it is right."""

    question: Question
    chosen: int | None

    @property
    def state(self) -> State:
        """`right`, `wrong` or `unanswered`."""
        if self.chosen is None:
            return "unanswered"
        return "right" if self.chosen == self.question.answer else "wrong"


@dataclass(frozen=True, slots=True)
class Result:
    """A marked quiz."""

    marks: tuple[Mark, ...]

    @property
    def right(self) -> int:
        """How many answers are right."""
        return sum(mark.state == "right" for mark in self.marks)

    @property
    def answered(self) -> int:
        """How many questions have an answer."""
        return sum(mark.chosen is not None for mark in self.marks)

    @property
    def total(self) -> int:
        """How many questions there are."""
        return len(self.marks)

    @property
    def passed(self) -> bool:
        """True when every answer is right."""
        return self.total > 0 and self.right == self.total


def mark(quiz: Sequence[Question], sheet: Sheet) -> Result:
    """The quiz marked. A sheet that is too short is filled with None, one too long is cut."""
    filled = (*sheet[: len(quiz)], *(None for _ in quiz[len(sheet) :]))
    return Result(
        tuple(
            Mark(
                question, chosen if chosen is not None and chosen < len(question.choices) else None
            )
            for question, chosen in zip(quiz, filled, strict=True)
        )
    )


def write(sheet: Sheet) -> str:
    """The sheet as text: `1.-.0`."""
    return ".".join("-" if chosen is None else str(chosen) for chosen in sheet)


def marks(result: Result) -> str:
    """Which answers are right, without saying what they were: `1.-.0`."""
    signs = {"right": "1", "wrong": "0", "unanswered": "-"}
    return ".".join(signs[one.state] for one in result.marks)


def read(text: str) -> Sheet:
    """The sheet that `write` wrote; anything else reads as not answered."""
    return tuple(choice(part) for part in text[:MAX_WRITTEN_CHARS].split(".")) if text else ()


def choice(text: str | None) -> int | None:
    """One choice as a form sends it: a digit, else None."""
    return int(text) if text and len(text) == 1 and text in "0123456789" else None


def sheet_of(values: Iterable[str | None]) -> Sheet:
    """A sheet from form values in the order of the questions."""
    return tuple(choice(value) for value in values)
