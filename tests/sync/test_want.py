"""What is asked for over Kafka, what is answered, and what is neither."""

import pytest

from sync.bundle.header import MAX_OBJECT_BYTES
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.want import (
    MAX_BYTES,
    Answer,
    Want,
    answer_from_bytes,
    answer_to_bytes,
    object_fits,
    want_from_bytes,
    want_to_bytes,
)

A, B = digest(b"a"), digest(b"b")


@pytest.mark.parametrize(
    ("want", "key", "name"),
    [
        (Want("escuela", target=A), "escuela/none", A),
        (Want("escuela", target=A, base=B), f"escuela/{B[:16]}", A),
        (Want("escuela", object=B), f"object/{B}", B),
    ],
)
def test_a_want_comes_out_as_it_went_in(want: Want, key: str, name: Digest) -> None:
    data = want_to_bytes(want)
    assert len(data) < MAX_BYTES
    assert want_from_bytes(data) == want
    assert (want.key, want.name) == (key, name)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"CHS1", b"CHW2{}", b"CHW1", b"CHW1{}", b"CHW1[]",
        want_to_bytes(Want("escuela", target=A, object=B)),
        want_to_bytes(Want("escuela", base=A, object=B)),
        want_to_bytes(Want("escuela", base=A)),
        want_to_bytes(Want("escuela", target=Digest("../../etc/passwd"))),
        want_to_bytes(Want("e" * 81, target=A)),
        want_to_bytes(Want("escuela", target=A))[:-1],
        want_to_bytes(Want("escuela", target=A)).replace(b"}", b',"x":1}'),
        b"CHW1" + b" " * 2000 + want_to_bytes(Want("escuela", target=A))[4:],
    ],
)  # fmt: skip
def test_what_asks_for_nothing_that_can_be_given_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        want_from_bytes(data)


def test_an_answer_comes_out_as_it_went_in() -> None:
    for answer in (Answer(A, 5, 100), Answer(A, None)):
        assert answer_from_bytes(answer_to_bytes(answer)) == answer
    odd = (Answer(A, -1), Answer(Digest("x"), 1), Answer(A, 1, 2**40))
    for wrong in (b"", b"{}", *map(answer_to_bytes, odd)):
        with pytest.raises(ContentError):
            answer_from_bytes(wrong)
    assert [object_fits(Answer(A, 0, size)) for size in (0, 1, 65536, 65537)] == [0, 1, 1, 2]
    with pytest.raises(ContentError):
        object_fits(Answer(A, 0, MAX_OBJECT_BYTES + 1))
