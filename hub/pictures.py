"""Pictures: what a lesson shows. Each is a file of the channel, with words for who cannot see it.

* `![what it shows](assets/agua.svg)`: the path is that of the file in the channel.
* A picture on another server would not load in a village: it is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from markdown_it import MarkdownIt

from sync.errors import ContentError
from sync.inventory import PICTURES
from sync.lesson import Lesson


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture in a text: where it is in the channel, and its description."""

    path: str
    words: str


def pictures(lesson: Lesson) -> Iterator[Picture]:
    """The pictures of `lesson`, in order of reading."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for block in lesson.body:
        for token in parser.parse(block):
            for child in token.children or ():
                if child.type == "image":
                    yield Picture(unquote(str(child.attrGet("src") or "")), child.content.strip())


def check_pictures(lesson: Lesson, carries: Callable[[str], bool]) -> None:
    """Raises ContentError for a picture that readers would miss; `carries` knows the files."""
    for picture in pictures(lesson):
        which = f"lesson {lesson.id} ({lesson.language}): picture {picture.path[:120]!r}"
        if not picture.words:
            raise ContentError(
                f"{which} has no description",
                hint="say between the square brackets what it shows; some cannot see it",
            )
        if PurePosixPath(picture.path).suffix.lower() not in PICTURES:
            raise ContentError(
                f"{which} is of no kind that every phone shows",
                hint=f"use one of {', '.join(sorted(PICTURES))}",
            )
        if not carries(picture.path):
            raise ContentError(
                f"{which} is not among the channel's files",
                hint="`chaski-hub files add FILE` brings it in, `files list` shows the paths",
            )
