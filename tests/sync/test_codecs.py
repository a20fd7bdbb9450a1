"""Codecs: what goes in comes out, small; what is damaged is a ContentError, never more bytes."""

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import varint
from sync.codec import Codec, lzma2
from sync.codec.edit import EditCodec
from sync.codec.frame import LZMA, pack, unpack
from sync.codec.raw import RawCodec, compress, decompress
from sync.codec.script import LineDiffer, Operation, Script
from sync.codec.tensor import TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from tests.sync.world import noise, prose

CODECS: tuple[Codec, ...] = (RawCodec(), ZpatchCodec(), EditCodec(), TensorCodec())
QUICK = settings(deadline=None, max_examples=60)

texts = st.lists(st.sampled_from([b"papa ", b"sol\n", b"\xc3\xb1a", b"\n", b"0", b"lluvia."])).map(
    b"".join
)
anything = st.one_of(st.binary(max_size=200), texts)


def no_differ(old: bytes, new: bytes) -> Script | None:
    return None


def stream(*numbers: int) -> bytes:
    """An unpacked stream of `numbers`."""
    body = bytearray()
    for number in numbers:
        varint.append(body, number)
    return bytes([len(body) << 1]) + bytes(body)


def literals(data: bytes) -> bytes:
    return bytes([len(data) << 1]) + data


@pytest.mark.parametrize("codec", CODECS, ids=lambda c: c.name)
@QUICK
@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=5))
def test_every_group_comes_back(codec: Codec, pairs: list[tuple[bytes, bytes]]) -> None:
    olds, news = [o for o, _ in pairs], [n for _, n in pairs]
    payload = codec.encode(olds, news)
    assert codec.decode(payload, olds, [len(n) for n in news]) == news


@pytest.mark.parametrize("codec", CODECS, ids=lambda c: c.name)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damage_gives_a_content_error_or_objects_of_the_right_size(
    codec: Codec, data: st.DataObject
) -> None:
    olds: Sequence[bytes] = [prose(1), prose(2, 3), b""]
    news = [prose(1).replace(b"sol", b"luna"), prose(2, 5), b"nuevo"]
    sizes = [len(n) for n in news]
    payload = bytearray(codec.encode(olds, news))
    at = data.draw(st.integers(0, len(payload) - 1))
    if data.draw(st.booleans()):
        payload[at] ^= data.draw(st.integers(1, 255))
    else:
        del payload[at:]
    try:
        found = codec.decode(bytes(payload), olds, sizes)
    except ContentError:
        return
    assert [len(n) for n in found] == sizes


def test_a_word_changed_in_a_text_costs_little_more_than_the_word() -> None:
    old = prose(3, 200)
    new = old.replace(b"3.77 ", b"3.77 relampago ").replace(b"3.150 ", b"")
    assert len(EditCodec().encode([old], [new])) < 40
    assert len(EditCodec().encode([old], [new])) < len(ZpatchCodec().encode([old], [new]))


def test_a_base_that_serves_two_objects_is_in_the_dictionary_once() -> None:
    old = noise(1, 3000)
    one = ZpatchCodec().encode([old], [old[:2000]])
    two = ZpatchCodec().encode([old, old], [old[:2000], old[1000:]])
    assert len(two) < len(one) + 20


def test_an_object_that_has_no_script_travels_whole() -> None:
    codec = EditCodec(no_differ)
    olds, news = [prose(1), b""], [prose(1)[:-9], prose(2)]
    payload = codec.encode(olds, news)
    assert codec.decode(payload, olds, [len(n) for n in news]) == news


def test_a_script_that_would_not_pay_is_not_sent() -> None:
    old, new = prose(4, 40), prose(5, 40)
    assert len(EditCodec().encode([old], [new])) <= len(ZpatchCodec().encode([old], [new])) + 30


@pytest.mark.fault(12, "copies beyond the target")
@pytest.mark.fault(12, "operations without length")
@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (stream(1, 9, 0, 1) + literals(b"x"), "at most 4"),
        (stream(1, 0, 9, 1) + literals(b"x"), "at most 4"),
        (stream(1, 0, 0, 9) + literals(b"x"), "at most 5"),
        (stream(1, 2, 0, 0) + literals(b""), "does nothing"),
        (stream(1, 0, 0, 3) + literals(b"x"), "2 bytes early"),
        (stream(0) + literals(b""), "came out otherwise"),
        (stream() + literals(b""), "counts: a number is cut"),
        (stream(1) + literals(b"x"), "copies: a number is cut"),
        (stream(1, 0, 0) + literals(b"x"), "insertions: a number is cut"),
        (stream(1, 0, 0, 1, 0) + literals(b"x"), "bytes too many"),
        (b"\x0a\x01\x00\x00\x01\xff" + literals(b"x"), "bytes too many"),
        (stream(1, 0, 0, 1) + literals(b"xy"), "bytes too many"),
        (stream(1, 0, 0, 1) + literals(b"x") + b"z", "too many"),
        (stream(*[1] * 26), "at most"),
    ],
)
def test_a_script_that_breaks_a_bound_is_refused(payload: bytes, why: str) -> None:
    """The base has 4 bytes, the object 5."""
    with pytest.raises(ContentError, match=why):
        EditCodec().decode(payload, [b"base"], [5])


@pytest.mark.fault(12, "more produced than declared")
def test_a_frame_that_declares_another_size_is_refused_before_it_is_inflated() -> None:
    bomb = pack(bytes(50_000_000))
    assert len(bomb) < 9000
    with pytest.raises(ContentError, match="100"):
        unpack(bomb, 100)
    with pytest.raises(ContentError, match="where at most 37 is allowed"):
        EditCodec().decode(bytes([0x7F, 120]) + bomb, [b""], [2])
    with pytest.raises(ContentError, match="declares 50000000 bytes"):
        decompress(compress(bytes(50_000_000)), 100)


@QUICK
@given(anything, anything)
def test_a_frame_comes_back_and_is_never_longer_than_a_byte_more(
    data: bytes, dictionary: bytes
) -> None:
    packed = pack(data, dictionary)
    assert len(packed) <= len(data) + 1
    assert unpack(packed, len(data), dictionary) == data


@pytest.mark.parametrize(
    "bad", [b"", b"\0", b"\0abc", pack(b"a" * 90)[:-1], pack(b"a" * 90) + b"x"]
)
def test_a_damaged_frame_is_a_content_error(bad: bytes) -> None:
    with pytest.raises(ContentError, match="frame"):
        unpack(bad, 90)


@pytest.mark.parametrize("data", [b"", b"x", prose(1), noise(1, 1000)])
def test_what_was_compressed_is_decompressed_up_to_its_limit(data: bytes) -> None:
    packed = compress(data)
    assert decompress(packed, len(data)) == data
    if data:
        with pytest.raises(ContentError):
            decompress(packed, len(data) - 1)


def test_no_flipped_byte_of_a_compressed_block_gives_other_bytes() -> None:
    packed = compress(prose(1))
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 0x55
        try:
            assert decompress(bytes(damaged), len(prose(1))) == prose(1)
        except ContentError as error:
            assert "frame" in str(error)  # noqa: PT017


def applied(old: bytes, script: Script) -> bytes:
    out, at = b"", 0
    for copy, delete, insert in script:
        out += old[at : at + copy] + insert
        at += copy + delete
    return out + old[at:]


@settings(deadline=None, max_examples=200)
@given(anything, anything)
def test_a_script_leads_from_the_old_text_to_the_new(old: bytes, new: bytes) -> None:
    script = LineDiffer()(old, new)
    if script is not None:
        assert applied(old, script) == new
        assert all(o.delete or o.insert for o in script)


def test_two_words_changed_are_two_short_operations() -> None:
    old = prose(7)
    new = old.replace(b"7.2 ", b"7.2 cuarzo ").replace(b"7.9 ", b"")
    script = LineDiffer()(old, new)
    assert script is not None
    assert [(o.delete, o.insert) for o in script] == [(0, b"cuarzo "), (4, b"")]


def test_equal_texts_have_the_empty_script_and_binaries_none() -> None:
    assert LineDiffer()(b"same\n", b"same\n") == ()
    assert LineDiffer()(noise(1, 100), noise(2, 100)) is None


class Clock:
    """Goes on by `step` seconds at each look."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_a_differ_out_of_time_says_so_and_stays_so() -> None:
    old = prose(1, 100)
    new = b"".join(line for line in prose(1, 100).splitlines(True) if b"sol" not in line)
    slow = LineDiffer(seconds=10, clock=Clock(step=3))
    assert slow(old, new) is None
    assert slow(old, new) is None
    assert LineDiffer(seconds=10, clock=Clock(step=0.001))(old, new) is not None


def test_a_text_that_would_take_quadratic_time_is_not_compared() -> None:
    looks = Clock(step=0)
    old = b"x\n" + b"same\n" * 20_000 + b"y\n"
    new = b"u\n" + b"same\n" * 20_001 + b"v\n"
    assert LineDiffer(clock=looks)(old, new) is None


def test_an_operation_reads_as_copy_delete_insert() -> None:
    assert applied(b"la papa", (Operation(3, 4, b"quinua"),)) == b"la quinua"


def test_texts_are_written_with_lzma2_on_this_machine() -> None:
    """Else bundles from here are 3-10 % longer than they could be."""
    assert lzma2.available()
    assert pack(prose(1, 60), prose(2, 60), text=True)[0] & LZMA


@QUICK
@given(anything, anything, st.integers(0, 4), st.integers(0, 2))
def test_chunks_come_back_whatever_their_properties(
    data: bytes, dictionary: bytes, lc: int, pb: int
) -> None:
    chunks = lzma2.chunks(data, dictionary, lc, pb)
    if chunks is None:
        assert not data
        return
    assert lzma2.unpack(chunks, len(data), dictionary) == data
    inside = lzma2.bare(chunks, len(data))
    if inside is not None:
        assert lzma2.dressed(inside, len(data), lc, pb, alone=not dictionary) == chunks


def test_long_data_is_many_chunks_and_comes_back() -> None:
    data, dictionary = noise(1, 70_000) * 2 + prose(1, 9000), noise(1, 150_000)
    for base in (b"", dictionary):
        packed = pack(data, base, text=True)
        assert packed[0] & LZMA
        assert unpack(packed, len(data), base) == data


@pytest.mark.parametrize("first", [0x0C, 0x58, 0x68, 0x0B, 0x8C, 0xF8, 0x8B])
def test_a_form_that_nobody_writes_is_refused(first: int) -> None:
    with pytest.raises(ContentError, match="unknown form"):
        unpack(bytes([first]) + bytes(20), 30)


def test_chunks_that_hold_more_than_was_declared_are_refused() -> None:
    chunks = lzma2.chunks(bytes(5_000_000), b"", 3, 0)
    assert chunks is not None
    many = bytes([0xB8]) + chunks
    assert unpack(many, 5_000_000) == bytes(5_000_000)
    for size in (1, 4_999_999, 5_000_001):
        with pytest.raises(ContentError, match="frame"):
            unpack(many, size)
    with pytest.raises(ContentError, match="unknown form"):
        unpack(many, 0)


def test_a_dictionary_that_is_not_the_one_gives_other_bytes_or_an_error() -> None:
    packed = pack(prose(1), prose(1, 11), text=True)
    with contextlib.suppress(ContentError):
        assert unpack(packed, len(prose(1)), prose(2, 11)) != prose(1)
