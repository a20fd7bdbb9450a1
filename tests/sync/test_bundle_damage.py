"""Damage catalogue of the bundle: wherever it is hurt, the answer is a ContentError that
names the bundle and the part, or the bundle still gives exactly its target."""

import zlib
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import varint
from sync.bundle import BundleReader, BundleWriter, envelope, table
from sync.bundle.header import Header, Label, Row
from sync.canonical import Digest
from sync.codec.frame import pack
from sync.errors import ContentError
from sync.manifest import Manifest
from tests.sync.world import World, library, noise, prose


@cache
def example() -> tuple[World, Manifest, Manifest, bytes]:
    """A bundle with every codec, three groups, references, new rows and removals."""
    world = World()
    base = world.manifest({**library(6), "foto.bin": noise(1, 600)})
    files = {
        "lessons/leccion-000.es.json": prose(0).replace(b"0.3 ", b"0.3 condor "),
        "lessons/leccion-001.es.json": prose(1),
        "lessons/movida.es.json": prose(2),
        "foto.bin": noise(1, 600) + b"more",
        "nueva.bin": noise(77, 300),
    }
    target = world.manifest(files)
    data = BundleWriter(base, target, world.read, group_bytes=1000).write()
    return world, base, target, data


def read(data: bytes) -> Manifest:
    """All of the bundle, as a node does it."""
    world, base, _, _ = example()
    reader = BundleReader(data, base)
    for _ in reader.objects(world.read):
        pass
    return reader.target_manifest()


def test_the_example_has_a_group_of_every_codec() -> None:
    _, base, target, data = example()
    assert {g.codec for g in BundleReader(data, base).header.groups} == {"raw", "zpatch", "edit"}
    assert read(data) == target


@pytest.mark.fault(5, "a bundle at any byte")
def test_a_bundle_cut_anywhere_is_a_content_error_that_names_it() -> None:
    _, _, _, data = example()
    for length in range(len(data)):
        with pytest.raises(ContentError, match=r"bundle [0-9a-f]{12}, header: "):
            read(data[:length])


def test_bytes_at_the_end_are_a_content_error() -> None:
    with pytest.raises(ContentError, match="were announced"):
        read(example()[3] + b"\0")


@pytest.mark.fault(4, "in any byte of a bundle")
def test_a_flipped_bit_anywhere_is_found() -> None:
    _, _, target, data = example()
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        try:
            assert read(bytes(damaged)) == target
        except ContentError as error:
            assert str(error).startswith("bundle ")  # noqa: PT017
            assert ", header: " in str(error) or ", group " in str(error)  # noqa: PT017


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_bytes_overwritten_anywhere_never_give_another_version(data: st.DataObject) -> None:
    _, _, target, good = example()
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=6))
        damaged[at : at + len(piece)] = piece
    try:
        assert read(bytes(damaged)) == target
    except ContentError as error:
        assert str(error).startswith("bundle ")  # noqa: PT017


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_random_bytes_are_no_bundle(noise_: bytes) -> None:
    with pytest.raises(ContentError):
        read(noise_)


def forged(columns: bytes, payload: bytes = b"") -> bytes:
    """A bundle with a right check around any table: what malice would send."""
    _, base, target, _ = example()
    frame = pack(columns, "\n".join(e.path for e in base.entries).encode())
    out = bytearray(b"CHB\x02\x01") + bytes.fromhex(target.root[:16] + base.root[:16])
    varint.append(out, len(columns))
    varint.append(out, len(frame))
    out += frame
    return bytes(out) + zlib.crc32(out).to_bytes(4, "little") + payload


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_a_forged_table_gives_a_content_error(data: st.DataObject) -> None:
    _, base, target, good = example()
    columns = bytearray(table.write(BundleReader(good, base).header, base))
    payload = good[envelope.extent(good) :]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(columns) - 1))
        columns[at] = data.draw(st.integers(0, 255))
    try:
        assert read(forged(bytes(columns), payload)) == target
    except ContentError as error:
        assert str(error).startswith("bundle ")  # noqa: PT017


LESSON: Row = ("lesson", 1, "", "")


def header() -> Header:
    _, base, _, good = example()
    return BundleReader(good, base).header


def rewritten(changed: Header) -> bytes:
    """The example with another header and a right check."""
    _, base, _, good = example()
    return envelope.write(changed, base) + good[envelope.extent(good) :]


def with_first(**changes: Any) -> Header:
    """The header whose first group differs."""
    whole = header()
    return replace(whole, groups=(replace(whole.groups[0], **changes), *whole.groups[1:]))


def with_object(**changes: Any) -> Header:
    """The header whose first packed object differs."""
    first = header().groups[0].objects[0]
    return with_first(objects=(replace(first, **changes), *header().groups[0].objects[1:]))


def test_a_rewritten_header_is_read_as_the_original() -> None:
    assert rewritten(header()) == example()[3]


@pytest.mark.fault(11, "upwards and absolute")
@pytest.mark.fault(12, "more produced than declared")
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda: replace(header(), target=Digest("0" * 64)), "manifest: root"),
        (lambda: replace(header(), removed=()), "manifest: root"),
        (lambda: replace(header(), references=()), "manifest: root"),
        (lambda: with_object(size=7_000_000), "frame|bytes"),
        (lambda: with_object(size=33_554_432), "group 0: 33\\d{6} bytes, more than 16777216"),
        (lambda: with_object(base=None), "frame|edit|damaged"),
        (lambda: with_first(codec="parts"), "group 0: parts"),
        (lambda: with_first(codec="parts", objects=tuple(header().objects())), "objects in parts"),
        (lambda: with_first(codec="parts", length=70_000_000), "longer packed than unpacked"),
        (lambda: with_object(label=Label("../../etc/passwd", LESSON)), "unsafe"),
        (lambda: with_object(label=Label("A\0", LESSON)), "unsafe path"),
        (lambda: with_object(label=Label("x", ("model", 1, "", ""))), "manifest: root"),
        (lambda: with_object(label=Label("LESSONS/movida.es.json", LESSON)), "collide"),
        (lambda: with_first(objects=()), "group 0: empty"),
        (lambda: with_first(check=0), "group 0: damaged"),
        (lambda: with_first(codec="raw"), "group 0: frame"),
        (lambda: with_first(length=20_000), "longer packed than unpacked"),
        (lambda: with_first(length=1), "were announced"),
        (lambda: with_first(objects=header().groups[0].objects * 20_000), "more than 8000000"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(changed: object, why: str) -> None:
    assert callable(changed)
    with pytest.raises(ContentError, match=why):
        read(rewritten(changed()))


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"PK\x03\x04", "not a bundle"),
        (b"CHB\x01", "bundle format 1, this program reads 2"),
        (b"CHB\x02\x82", "unknown flags 0x82"),
        (b"CHB\x02\x01" + bytes(16) + b"\xff\xff\xff\xff\x7f", "at most 16777216"),
    ],
)
def test_a_header_that_cannot_be_ours_says_why(start: bytes, why: str) -> None:
    with pytest.raises(ContentError, match=why):
        read(start + bytes(200))


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (b"\0" + b"\xff\xff\x7f\0\0", "at most 200000"),
        (b"\0" + b"\0\0\1" + b"\x70" + b"\0", "base has no entry 112"),
        (b"\0" + b"\0\1\0" + b"\0" + b"\1" + b"\0\0", "there is no object 0"),
        (b"\0" + b"\0\1\0" + b"\1" + b"\0" + b"\1" + b"\0", "there is no row 1"),
        (b"\0" + b"\0\1\0" + b"\1" + b"\0" + b"\0" + b"\0" + b"x", "1 new paths for 0"),
        (b"\0" + b"\0\1\0" + b"\0" + b"\0" + b"\0" + b"\0" + b"\xff", "header: "),
        (b"\0" + b"\1\0\0" + b"\2\1\5" + bytes(4) + b"\0\1\5\0\0x", "no base of its own"),
        (b"\0" + b"\1\0\0" + b"\0\1\5" + bytes(4) + b"\0\0\5\0\0x", "'x' has no attributes"),
        (b"\0" + b"\1\0\0" + b"\7\1\5", "at most 4"),
    ],
)
def test_a_column_that_points_nowhere_is_refused(columns: bytes, why: str) -> None:
    with pytest.raises(ContentError, match=why):
        read(forged(columns))
