"""Measurements arrive to the bit, in few bytes, and damage never passes for a value."""

import contextlib
import math
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.canonical import encode
from sync.codec.raw import compress, decompress
from sync.columns import ABSENT, STALE, bits_of
from sync.errors import ContentError
from sync.samples import LIMITS, MAGIC, Block, Limits, Series, decode_block, encode_block
from sync.seal import seal
from tests.sync.telemetry import START, measured

NAN = float("nan")
OTHER_NAN = struct.unpack("<d", bytes.fromhex("efbeadde0000f8ff"))[0]


def block(*values: tuple[float, ...], **changes: object) -> Block:
    """One series for each of `values`, a value a minute."""
    times = tuple(START + i * 60_000 for i in range(len(values[0])))
    series = tuple(Series(f"m{i}", (), column) for i, column in enumerate(values))
    made = Block("ccatca-1", "0f9a7c3e", 1, "rtc", times, series)
    return msgspec.structs.replace(made, **changes)


def bits(value: Block) -> list[list[int]]:
    return [[bits_of(v) for v in series.values] for series in value.series]


def assert_comes_back(value: Block) -> None:
    again = decode_block(encode_block(value))
    assert bits(again) == bits(value)
    without = tuple(msgspec.structs.replace(s, values=()) for s in value.series)
    assert msgspec.structs.replace(again, series=without) == msgspec.structs.replace(
        value, series=without
    )


# To the bit


DOUBLES = st.floats(width=64) | st.sampled_from([ABSENT, STALE, NAN, OTHER_NAN, -0.0, 0.0])
VALUES = st.one_of(
    DOUBLES,
    st.integers(-(2**53), 2**53).map(float),
    st.integers(-(10**6), 10**6).map(lambda n: n / 100),
    st.sampled_from([0.0, 4096.0, 8192.0]),
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    steps = draw(st.lists(st.integers(1, 10**6), max_size=8))
    times = [draw(st.integers(0, 2**52))]
    for step in steps:
        times.append(times[-1] + step)
    column = st.one_of(
        [
            st.lists(kind, min_size=len(times), max_size=len(times)).map(tuple)
            for kind in (VALUES, DOUBLES, st.sampled_from([1.0, ABSENT, STALE, 2.5]))
        ]
    )
    names = st.tuples(
        st.from_regex(r"[a-z_:]{1,9}", fullmatch=True),
        st.dictionaries(
            st.sampled_from(["kind", "route", "le"]), st.sampled_from(["", "ñandú", "0.5"])
        ).map(lambda labels: tuple(sorted(labels.items()))),
    )
    chosen = draw(st.lists(names, max_size=5, unique=True))
    return Block(
        node=draw(st.sampled_from(["n", "ccatca-1"])),
        epoch=draw(st.sampled_from(["e", "0f9a-7c3e"])),
        seq=draw(st.integers(0, 2**53 - 1)),
        clock=draw(st.sampled_from(["rtc", "trusted", "unknown"])),
        times=tuple(times),
        series=tuple(Series(name, labels, draw(column)) for name, labels in chosen),
    )


@settings(max_examples=200)
@given(blocks())
def test_a_block_comes_back_to_the_bit(value: Block) -> None:
    assert_comes_back(value)


@given(st.lists(st.floats(width=64), min_size=1, max_size=20))
def test_any_doubles_come_back_to_the_bit(values: list[float]) -> None:
    assert_comes_back(block(tuple(values)))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_any_bits_come_back(patterns: list[int]) -> None:
    values = tuple(struct.unpack("<d", struct.pack("<Q", p))[0] for p in patterns)
    assert_comes_back(block(values))


@pytest.mark.parametrize(
    "values",
    [
        (0.0, -0.0, 0.0),
        (math.inf, -math.inf, 1.0),
        (5e-324, 1.7976931348623157e308),
        (2.0**53, -(2.0**53), 2.0**53),
        (2.0**53 + 2, 1.0),
        (0.1, 0.2, 0.30000000000000004),
        (0.29, 1.005, 8.615),
        (9007199254740.993, 0.001),
        (ABSENT, ABSENT),
        (STALE,),
        (ABSENT, 1.5, STALE),
        (OTHER_NAN, 1.0),
    ],
)
def test_awkward_values_come_back_to_the_bit(values: tuple[float, ...]) -> None:
    assert_comes_back(block(values))


def test_what_is_missing_and_what_has_ended_are_told_apart() -> None:
    again = decode_block(encode_block(block((1.0, ABSENT, STALE))))
    assert again.series[0].values == (1.0, ABSENT, STALE)
    assert bits_of(ABSENT) != bits_of(STALE)
    assert all(map(math.isnan, (ABSENT, STALE)))


# Few bytes


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_an_hour_of_a_node_costs_three_quarters_of_a_byte_a_sample(seed: int) -> None:
    hour = measured(seed)
    sealed = encode_block(hour)
    samples = len(hour.times) * len(hour.series)
    assert samples == 3600
    assert decode_block(sealed) == hour
    assert len(sealed) <= 0.75 * samples
    assert len(sealed) <= 0.65 * len(compress(encode(hour)))


def test_a_day_of_a_node_costs_half_a_byte_a_sample() -> None:
    day = measured(5, minutes=1440)
    assert len(encode_block(day)) <= 0.55 * len(day.times) * len(day.series)


def test_a_series_that_stands_still_costs_next_to_nothing() -> None:
    still = [tuple([4.5] * 60) for _ in range(50)]
    assert len(encode_block(block(*still))) < 350


# Rules


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"node": "María"}, "not the id of a node"),
        ({"epoch": "a b"}, "not an epoch"),
        ({"seq": 2**53}, "not a sequence number"),
        ({"clock": "sundial"}, "clock 'sundial'"),
        ({"times": ()}, "0 times"),
        ({"times": (5, 5)}, "times do not rise"),
        ({"times": (-1, 5)}, "times do not rise"),
        ({"times": (5, 2**53)}, "times do not rise"),
        ({"times": (1, 2, 3)}, "2 values at 3 times"),
        ({"series": (Series("1m", (), (1.0, 2.0)),)}, "series '1m'"),
        ({"series": (Series("m", (("node", "x"),), (1.0, 2.0)),)}, r"labels \['node'\]"),
        ({"series": (Series("m", (("__a", "x"),), (1.0, 2.0)),)}, "labels"),
        ({"series": (Series("m", (("b", "x"), ("a", "x")), (1.0, 2.0)),)}, "labels"),
        ({"series": (Series("m", (("a", "x"), ("a", "y")), (1.0, 2.0)),)}, "labels"),
        ({"series": (Series("m", (("a", "x\n"),), (1.0, 2.0)),)}, "text 'x"),
        ({"series": (Series("m", (("a", "\ud800"),), (1.0, 2.0)),)}, "text"),
        ({"series": (Series("m", (("a", "x" * 201),), (1.0, 2.0)),)}, "text"),
        ({"series": (Series("m", (), (1.0, 2.0)),) * 2}, "occurs twice"),
    ],
)
def test_a_block_that_breaks_a_rule_is_not_sealed(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ContentError, match=why):
        encode_block(block((1.0, 2.0), **changes))


@pytest.mark.parametrize(
    "limits",
    [
        Limits(block_bytes=100),
        Limits(payload_bytes=100),
        Limits(series=3),
        Limits(times=9),
        Limits(samples=39),
        Limits(labels=0),
        Limits(text_bytes=5),
    ],
)
def test_every_limit_is_kept_when_reading(limits: Limits) -> None:
    hour = block(*[tuple(float(i * j) for i in range(10)) for j in range(4)])
    series = tuple(Series("metric", (("kind", s.name),), s.values) for s in hour.series)
    sealed = encode_block(msgspec.structs.replace(hour, series=series))
    decode_block(sealed)
    with pytest.raises(ContentError):
        decode_block(sealed, limits)


# Damage


SMALL = block((1.0, 2.0, ABSENT, 4.5), (0.1 + 0.2, 1e300, 1e300, -0.0), (7.0, 7.0, 7.0, 7.0))
SEALED = encode_block(SMALL)
PAYLOAD = decompress(SEALED[8:], LIMITS.payload_bytes)


@settings(max_examples=300)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_damage_to_a_byte_is_found(place: int, change: int) -> None:
    damaged = bytearray(SEALED)
    damaged[place] ^= change
    with pytest.raises(ContentError):
        decode_block(bytes(damaged))


def test_every_bit_of_a_block_counts() -> None:
    for place in range(len(SEALED) * 8):
        damaged = bytearray(SEALED)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ContentError):
            decode_block(bytes(damaged))


def test_a_block_cut_short_or_made_longer_is_refused() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(ContentError):
            decode_block(SEALED[:length])
    with pytest.raises(ContentError):
        decode_block(SEALED + b"\0")


def test_a_payload_cut_short_or_made_longer_is_refused() -> None:
    for length in range(len(PAYLOAD)):
        with pytest.raises(ContentError):
            decode_block(seal(MAGIC, PAYLOAD[:length]))
    with pytest.raises(ContentError, match="bytes too many"):
        decode_block(seal(MAGIC, PAYLOAD + b"\0"))


@settings(max_examples=400)
@given(st.data())
def test_a_forged_payload_is_refused_or_is_a_block(data: st.DataObject) -> None:
    payload = bytearray(PAYLOAD)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ContentError):
        assert_comes_back(decode_block(seal(MAGIC, bytes(payload))))


@given(st.binary(max_size=200))
def test_noise_is_no_block(noise: bytes) -> None:
    for bad in (noise, MAGIC + noise, seal(MAGIC, noise)):
        with pytest.raises(ContentError):
            decode_block(bad)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = seal(MAGIC, b"\0" * (LIMITS.payload_bytes + 1))
    assert len(bomb) < 2000
    with pytest.raises(ContentError, match="sample block: frame"):
        decode_block(bomb)


def test_a_block_of_events_is_not_one_of_samples() -> None:
    with pytest.raises(ContentError, match="begins with b'CHE1', not with b'CHS1'"):
        decode_block(seal(b"CHE1", PAYLOAD))


def test_a_later_version_asks_for_a_newer_program() -> None:
    with pytest.raises(ContentError, match="version 3, and only 1 and 2 are known"):
        decode_block(seal(b"CHS3", PAYLOAD))
