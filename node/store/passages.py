"""Passages: the pieces of a lesson that can be found and quoted.

* One for the summary, one for each block of the body, one for each quiz explanation.
* A picture is none: its description, quoted without it, would answer nobody.
* A heading is no passage of its own: it is context of the blocks that follow it.
* Text is plain: Markdown marks are dropped, a table row becomes a line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sync.lesson import Lesson

Place = Literal["summary", "body", "quiz"]

_HEADING = re.compile(r"#{1,6}\s+")
_PICTURE = re.compile(r"\s*!\[[^\]]*\]\([^)]*\)\s*")
_RULE_ROW = re.compile(r"^[\s|:\-]+$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}")
_BULLET = re.compile(r"^\s*(?:[-*+>]|\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of a lesson, as plain text."""

    place: Place
    block: int
    """Index in `lesson.body` or `lesson.quiz`; 0 for the summary."""
    heading: str
    text: str


def passages(lesson: Lesson) -> Iterator[Passage]:
    """The passages of `lesson`, in reading order."""
    yield Passage("summary", 0, "", lesson.summary)
    heading = ""
    for number, block in enumerate(lesson.body):
        text = plain(block)
        if _HEADING.match(block) and "\n" not in block:
            heading = text
        elif text and not _PICTURE.fullmatch(block):
            yield Passage("body", number, heading, text)
    for number, question in enumerate(lesson.quiz):
        if question.explanation:
            yield Passage("quiz", number, plain(question.question), plain(question.explanation))


def plain(markdown: str) -> str:
    """`markdown` without its marks; lines stay lines."""
    return "\n".join(line for raw in markdown.splitlines() if (line := _line(raw)))


def _line(raw: str) -> str:
    if "|" in raw and _RULE_ROW.match(raw):
        return ""
    text = _LINK.sub(r"\1", _HEADING.sub("", _BULLET.sub("", raw), count=1))
    if text.strip().startswith("|"):
        text = " · ".join(cell.strip() for cell in text.strip().strip("|").split("|"))
    return _MARKS.sub("", text).strip()
