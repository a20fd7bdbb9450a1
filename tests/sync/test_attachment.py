"""Photos and PDFs are known by their bytes and tell nothing about who made them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.attachment import MAX_PIXELS, cleaned, kind_of
from sync.errors import ContentError
from tests.pictures import SECRET, jpeg, pdf, png


@pytest.mark.parametrize(("data", "kind"), [(jpeg(), "jpeg"), (png(), "png"), (pdf(), "pdf")])
def test_a_file_is_what_its_bytes_say(data: bytes, kind: str) -> None:
    assert kind_of(data, "archivo.exe") == kind
    with pytest.raises(ContentError, match="neither JPEG nor PNG nor PDF"):
        kind_of(b"MZ" + data, "foto.jpg")


@pytest.mark.parametrize("data", [jpeg(), png()])
def test_a_picture_loses_what_tells_about_its_maker_and_nothing_else(data: bytes) -> None:
    assert SECRET in data
    once = cleaned(data, "foto")
    assert SECRET not in once
    assert cleaned(once, "foto") == once
    assert once in (jpeg(told=b""), png(told=b""))


def test_what_a_phone_hangs_behind_or_between_scans_of_a_photo_goes_too() -> None:
    plain = jpeg(told=b"")
    scan = plain[plain.index(b"\xff\xda") : -2]
    comment = b"\xff\xfe" + (len(SECRET) + 2).to_bytes(2, "big") + SECRET
    told = plain[:-2] + comment + scan + b"\xff\xd9" + b"\0\0\0\x18ftypmp42" + SECRET
    assert cleaned(told, "foto") == plain[:-2] + scan + b"\xff\xd9"


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (jpeg(40_000, 40_000), "points"),
        (png(MAX_PIXELS, 2), "points"),
        (png(0, 2), "points"),
        (jpeg()[:20], "damaged"),
        (png()[:-4], "damaged"),
        (b"\xff\xd8\xff\xda\x00\x02" + b"x" * 9, "damaged"),
        (b"\x89PNG\r\n\x1a\n" + png()[33:], "damaged"),
        (pdf()[:-6], "damaged"),
        (pdf(b"/S /JavaScript"), "start something"),
        (pdf(b"/S /Launch"), "start something"),
        (b"<html>", "neither"),
        (b"", "neither"),
    ],
)
def test_what_is_damaged_huge_or_starts_something_is_refused(data: bytes, wrong: str) -> None:
    with pytest.raises(ContentError, match=wrong):
        cleaned(data, "archivo")


@given(st.sampled_from([jpeg(), png(), pdf()]), st.data())
def test_no_damage_is_more_than_a_refusal(data: bytes, draws: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draws.draw(st.integers(1, 5))):
        damaged[draws.draw(st.integers(0, len(data) - 1))] = draws.draw(st.integers(0, 255))
    with contextlib.suppress(ContentError):
        once = cleaned(bytes(damaged), "archivo")
        assert cleaned(once, "archivo") == once
