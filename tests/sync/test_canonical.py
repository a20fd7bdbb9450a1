"""One value, one encoding; nothing from outside gets in unbounded or untyped."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import canonical
from sync.errors import ContentError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    x: int
    y: int


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_does_not_change_the_bytes(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical.encode(value) == canonical.encode(backwards)


def test_a_struct_comes_back_from_its_bytes() -> None:
    point = Point(3, -4)
    assert canonical.decode(canonical.encode(point), Point, limit=100, what="point") == point


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"x":1}', b'{"x":1,"y":"2"}', b'{"x":1,"y":2,"z":3}', b"\xff\xfe", b"[" * 5000],
)
def test_what_does_not_fit_is_a_content_error_that_names_the_thing(data: bytes) -> None:
    with pytest.raises(ContentError, match="point"):
        canonical.decode(data, Point, limit=10_000, what="point")


def test_a_value_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ContentError, match="11 bytes, more than the 10 allowed"):
        canonical.decode(b" " * 11, Point, limit=10, what="point")


def test_a_digest_is_64_lower_case_hexadecimal_digits() -> None:
    good = canonical.digest(b"chaski")
    assert canonical.parse_digest(good) == good
    for bad in ("", good[:-1], good.upper(), good + "\n", "../" + good[3:]):
        with pytest.raises(ContentError):
            canonical.parse_digest(bad)
