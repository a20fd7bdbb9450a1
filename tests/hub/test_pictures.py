"""Pictures in lessons: carried by the channel, and described for who cannot see them."""

from pathlib import Path

import pytest

from hub.config import ReviewTable
from hub.library import Library
from hub.pictures import Picture, check_pictures, pictures
from hub.review import Review
from hub.shelf import Shelf
from hub.stock import Stock
from sync.errors import ContentError
from sync.inventory import About
from tests.hub.fakes import Clock, a_lesson

WATER = "![El agua **baja**](assets/agua.svg)"


def shows(*blocks: str) -> list[Picture]:
    return list(pictures(a_lesson(body=blocks)))


def test_every_picture_of_a_text_is_found_and_nothing_else() -> None:
    assert shows(
        WATER,
        "Un [enlace](assets/otra.svg) y `![código](no.svg)` y \\![nada](no.svg).",
        "| a | b |\n|---|---|\n| ![uno](assets/%C3%B1.png) | ![dos][x] |\n\n[x]: assets/dos.png",
    ) == [
        Picture("assets/agua.svg", "El agua **baja**"),
        Picture("assets/ñ.png", "uno"),
        Picture("assets/dos.png", "dos"),
    ]


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("![](assets/agua.svg)", "no description"),
        ("![  ](assets/agua.svg)", "no description"),
        ("![agua](assets/no.svg)", "not among"),
        ("![agua](http://example.org/agua.svg)", "not among"),
        ("![agua](/assets/agua.svg)", "not among"),
        ("![agua](assets/agua.pdf)", "no kind"),
        ("![agua]()", "no kind"),
    ],
)
def test_a_picture_that_readers_would_miss_is_refused(block: str, why: str) -> None:
    check_pictures(a_lesson(body=(WATER,)), {"assets/agua.svg"}.__contains__)
    with pytest.raises(ContentError, match=why):
        check_pictures(a_lesson(body=(block,)), {"assets/agua.svg"}.__contains__)


def test_a_text_is_not_approved_before_its_picture_is_there(
    tmp_path: Path, library: Library, clock: Clock
) -> None:
    review = Review(library, ReviewTable(), clock)
    lesson = a_lesson(body=(WATER,))
    with pytest.raises(ContentError, match="not among"):
        review.bring_in(lesson, ["Rosa"])
    waiting = review.bring_in(lesson, [])
    with pytest.raises(ContentError, match="not among"):
        review.approve(waiting.candidate, "Rosa")
    file = tmp_path / "agua.svg"
    file.write_bytes(b"<svg/>")
    Stock(library, Shelf(tmp_path / "published"), clock).add(
        file, About("assets/agua.svg", "Agua", "Ana", "CC0"), person="Rosa"
    )
    assert review.approve(waiting.candidate, "Rosa").state == "approved"
