"""Numbers on the wire have one form and are read within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import varint
from sync.errors import ContentError
from sync.varint import Cursor


@given(st.lists(st.integers(0, 2**63 - 1)))
def test_numbers_come_back(numbers: list[int]) -> None:
    out = bytearray()
    for number in numbers:
        varint.append(out, number)
    cursor = Cursor(bytes(out), "x")
    assert [cursor.number(2**63) for _ in numbers] == numbers
    cursor.end()


@given(st.integers(-(2**40), 2**40))
def test_signed_numbers_come_back_and_small_ones_are_short(number: int) -> None:
    out = bytearray()
    varint.append(out, varint.zigzag(number))
    assert Cursor(bytes(out), "x").signed(2**40) == number
    assert len(out) == 1 or abs(number) >= 64


@pytest.mark.fault(12, "a number that overflows")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut short"),
        (b"\x80", "cut short"),
        (b"\xff" * 9, "too long"),
        (b"\xff" * 9 + b"\x01", "too long"),
        (b"\x80\x00", "shortest form"),
        (b"\x65", "at most 100"),
    ],
)
def test_a_bad_number_is_a_content_error(data: bytes, why: str) -> None:
    with pytest.raises(ContentError, match=why):
        Cursor(data, "x").number(100)


def test_reading_past_the_end_and_leaving_bytes_are_content_errors() -> None:
    cursor = Cursor(b"\x02ab", "table")
    with pytest.raises(ContentError, match="table: ends 1 bytes early"):
        cursor.take(4)
    with pytest.raises(ContentError, match="3 bytes too many"):
        cursor.end()
    assert cursor.text(10) == "ab"
    cursor.end()


def test_a_text_is_utf8() -> None:
    out = bytearray()
    varint.append_text(out, "niña")
    assert Cursor(bytes(out), "x").text(10) == "niña"
    with pytest.raises(ContentError):
        Cursor(b"\x01\xff", "x").text(10)
