"""Packed heads: fewer bytes of the road, the same bytes that were signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import varint
from sync.codec.frame import pack
from sync.errors import ContentError
from sync.head import MAX_HEAD_BYTES, PATTERN, head_to_bytes, pack_head, unpack_head
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
    varint.append(out, MAX_HEAD_BYTES + 1)
    with pytest.raises(ContentError, match="at most 65536"):
        unpack_head(bytes(out) + pack(bytes(MAX_HEAD_BYTES + 1), PATTERN))
