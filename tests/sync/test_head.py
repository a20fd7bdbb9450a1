"""Packed heads: fewer bytes of the road, the same bytes that were signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import varint
from sync.canonical import digest
from sync.codec.frame import pack
from sync.errors import ContentError
from sync.head import MAX_HEAD_BYTES, PATTERN, Head, head_to_bytes, pack_head, unpack_head
from tests.simulator import Simulator


def test_a_head_is_packed_to_a_quarter() -> None:
    data = head_to_bytes(Simulator().publish("uno"))
    packed = pack_head(data)
    assert unpack_head(packed) == data
    assert len(packed) < 400 < len(data) / 4


@given(st.binary(max_size=300))
def test_whatever_is_packed_comes_back(data: bytes) -> None:
    assert unpack_head(pack_head(data)) == data


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_break_the_format(data: bytes) -> None:
    try:
        assert len(unpack_head(data)) <= MAX_HEAD_BYTES
    except ContentError:
        return


def test_a_head_that_would_unpack_to_more_than_a_head_is_refused() -> None:
    out = bytearray()
    frame = pack(bytes(MAX_HEAD_BYTES + 1), PATTERN)
    varint.append(out, 2 * MAX_HEAD_BYTES + 2)
    varint.append(out, len(frame))
    with pytest.raises(ContentError, match="at most 131073"):
        unpack_head(bytes(out) + frame)


@pytest.mark.parametrize(
    ("text", "digits", "why"),
    [
        (b"", b"", "head"),
        (b"#" * 40_000, bytes(20_000), "more than 65536 bytes"),
        (b"#", b"", "ends 32 bytes early"),
        (b"{}", b"x", "1 bytes too many"),
        (b'{"channel":"a","snapshot":"%s","targets":"","timestamp":""}' % (b"^" * 300), b"",
         "more than 16384"),
    ],
)  # fmt: skip
def test_a_shorthand_that_lies_is_refused(text: bytes, digits: bytes, why: str) -> None:
    out, frame = bytearray(), pack(text, PATTERN)
    varint.append(out, 2 * len(text) + 1)
    varint.append(out, len(frame))
    with pytest.raises(ContentError, match=why):
        unpack_head(bytes(out) + frame + digits)


@given(st.text('#%^\\"aé0', max_size=30))
def test_a_head_with_signs_of_its_own_comes_back(text: str) -> None:
    head = Head("escuela", timestamp=text, snapshot=digest(text.encode()) + text, targets=text)
    assert unpack_head(pack_head(head_to_bytes(head))) == head_to_bytes(head)


def test_whatever_is_no_head_is_packed_as_it_is() -> None:
    for data in (b"", b"{}", b"0" * 64):
        assert unpack_head(pack_head(data)) == data
