"""A lesson that is handed in arrives as it was, or not at all."""

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.canonical import digest
from sync.errors import ContentError
from sync.events import EventBlock, decode_events, encode_events, event
from sync.parcel import (
    MAX_FILES,
    MAX_PARCEL_BYTES,
    MAX_PARCEL_CHARS,
    MAX_PARTS,
    PART_BYTES,
    Parcel,
    file_name,
    from_bytes,
    lesson_id,
    parcel,
    part_data,
    part_from,
    parts,
    tidy_text,
    to_bytes,
)
from tests.pictures import SECRET, jpeg, pdf, png


def handed(**changes: Any) -> Parcel:
    """What a teacher typed, with `changes`."""
    fields: dict[str, Any] = {
        "title": "El  ayni ", "author": "Rosa Quispe", "licence": "CC-BY-4.0", "language": "es",
        "topic": "matematica", "grade": "primaria-3", "text": "Hoy por ti.\r\n\r\nMañana por mí.",
    }  # fmt: skip
    return parcel(**(fields | changes))


def test_a_parcel_comes_back_as_it_was_without_what_photos_tell() -> None:
    made = handed(files=[("C:\\fotos\\chacra 1.JPG", jpeg()), ("a.png", png()), ("b.pdf", pdf())])
    data = to_bytes(made)
    assert from_bytes(data) == made
    assert made.cover.title == "El ayni"
    assert made.cover.text == "Hoy por ti.\n\nMañana por mí."
    assert [(f.name, f.kind) for f in made.cover.files] == [
        ("chacra 1.JPG", "jpeg"), ("a.png", "png"), ("b.pdf", "pdf"),
    ]  # fmt: skip
    assert SECRET not in data


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"title": ""}, "title"),
        ({"author": " \n"}, "author"),
        ({"title": "x" * 121}, "title"),
        ({"licence": "none"}, "licence"),
        ({"language": "fr"}, "language"),
        ({"grade": "primaria-9"}, "grade"),
        ({"topic": "../etc"}, "topic"),
        ({"text": " \n"}, "neither text nor a file"),
        ({"text": "x" * (MAX_PARCEL_CHARS + 1)}, "text"),
        ({"files": [("a.jpg", jpeg())] * (MAX_FILES + 1)}, "files"),
        ({"files": [("a.svg", b"<svg onload=alert(1)>")]}, "neither JPEG nor PNG nor PDF"),
        ({"files": [("a.jpg", jpeg(body=bytes(MAX_PARCEL_BYTES)))]}, "bytes"),
    ],
)
def test_what_cannot_travel_is_refused_in_words(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ContentError, match=wrong):
        handed(**changes)


def test_a_parcel_travels_in_parts_that_fit_blocks_in_any_order() -> None:
    body = random.Random(7).randbytes(5 * PART_BYTES).replace(b"\xff", b"\xfe")
    data = to_bytes(handed(files=[("a.jpg", jpeg(body=body))]))
    made = parts(data)
    assert len(made) == 6
    told = [event("upload_part", 0, part_data(part)) for part in reversed(made)]
    sealed = [encode_events(EventBlock("n", "e", n, (one,))) for n, one in enumerate(told)]
    assert max(len(block) for block in sealed) < PART_BYTES * 1.02 + 400
    back = [part_from(decode_events(block).events[0].data) for block in sealed]
    assert b"".join(p.data for p in sorted(back, key=lambda p: p.number)) == data
    assert {p.upload for p in back} == {digest(data)}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"number": "1"}, "number 1 of 1"),
        ({"parts": str(MAX_PARTS + 1)}, "number 0"),
        ({"parts": "0.5"}, "invalid literal"),
        ({"parts": "2"}, "in the middle"),
        ({"data": "YQ=="}, "digest"),
        ({"data": "Y"}, "part"),
        ({"check": "0" * 64}, "digest"),
        ({"upload": None}, "upload"),
    ],
)
def test_a_part_out_of_bounds_or_damaged_is_refused(
    changes: dict[str, str | None], wrong: str
) -> None:
    (part,) = parts(to_bytes(handed()))
    data = {k: v for k, v in (part_data(part) | changes).items() if v is not None}
    with pytest.raises(ContentError, match=wrong):
        part_from(data)


WHOLE = to_bytes(handed(files=[("a.jpg", jpeg()), ("b.pdf", pdf())]))


@given(st.integers(0, len(WHOLE) - 1))
def test_a_parcel_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ContentError):
        from_bytes(WHOLE[:length])


@given(st.data())
def test_a_forged_parcel_is_refused_or_keeps_every_rule(data: st.DataObject) -> None:
    forged = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        forged[data.draw(st.integers(0, len(forged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ContentError):
        assert to_bytes(from_bytes(bytes(forged))) == bytes(forged)


def test_a_file_that_still_tells_about_its_maker_is_refused_by_the_other_side() -> None:
    made = handed(files=[("a.jpg", jpeg())])
    dirty = jpeg()
    file = made.cover.files[0]
    cover = type(made.cover)(
        **{k: getattr(made.cover, k) for k in made.cover.__struct_fields__ if k != "files"},
        files=(type(file)(file.name, file.kind, len(dirty)),),
    )
    with pytest.raises(ContentError, match="was not cleaned"):
        from_bytes(to_bytes(Parcel(cover, (dirty,))))


@given(st.text(max_size=200) | st.text("\r\n \t#\x00é\u0301", max_size=60))
def test_tidying_twice_changes_nothing_more(text: str) -> None:
    assert tidy_text(tidy_text(text)) == tidy_text(text)
    assert file_name(file_name(text)) == file_name(text)
    assert "/" not in file_name(text)


def test_the_id_of_the_lesson_is_known_before_the_hub_has_it() -> None:
    name = digest(WHOLE)
    assert lesson_id(name, "¿Qué es el Ayni?") == f"que-es-el-ayni-{name[:8]}"
    assert lesson_id(name, "???") == f"leccion-{name[:8]}"
    assert len(lesson_id(name, "x " * 200)) <= 80
