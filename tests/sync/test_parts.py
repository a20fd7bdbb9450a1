"""Long objects: as a row of parts, so that neither side ever holds one in memory."""

import contextlib
import tracemalloc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import varint
from sync.bundle import BundleReader, BundleWriter, DamagedBaseError
from sync.bundle.cutter import Cutter
from sync.bundle.header import MIN_PART_BYTES
from sync.bundle.parts import read_parts
from sync.canonical import digest
from sync.codec.edit import EditCodec
from sync.codec.raw import RawCodec
from sync.codec.tensor import TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from sync.files import ObjectStore
from sync.manifest import Manifest
from tests.sync.world import World, noise, prose

CODECS = {codec.name: codec for codec in (RawCodec(), ZpatchCodec(), EditCodec(), TensorCodec())}
PART = 8 * MIN_PART_BYTES


def told(new: bytes, old: bytes = b"") -> bytes:
    """The payload for `new`, in parts of at most PART old and new bytes."""
    out = bytearray()
    assert Cutter(PART).write(new, old, out.extend) == len(out)
    return bytes(out)


def read(payload: bytes, size: int, old: bytes = b"") -> bytes:
    def piece(at: int, count: int) -> bytes:
        return payload[at : at + count]

    return b"".join(read_parts(piece, len(payload), size, old, CODECS))


def many_texts(first: int, count: int) -> bytes:
    return b"".join(prose(n) for n in range(first, first + count))


@cache
def long_text() -> bytes:
    return many_texts(0, 900)


def test_a_long_object_comes_back_from_nothing() -> None:
    for new in (long_text(), noise(1, 500_000), bytes(700_000), b"x", b""):
        assert read(told(new), len(new)) == new


def test_what_nothing_squeezes_costs_its_length_and_a_few_bytes() -> None:
    new = noise(2, 1_000_000)
    assert len(told(new)) < len(new) + 100


@pytest.mark.parametrize("shift", [1, 3000, 200_000])
def test_bytes_that_moved_are_found_where_they_were(shift: int) -> None:
    old = noise(3, 900_000)
    new = noise(4, shift) + old
    payload = told(new, old)
    assert read(payload, len(new), old) == new
    assert len(payload) < shift + 20_000


def test_a_long_text_edited_here_and_there_costs_little() -> None:
    old = long_text()
    new = old[:50_000] + b"una nota" + old[50_000:300_000] + old[310_000:] + b"fin"
    payload = told(new, old)
    assert read(payload, len(new), old) == new
    assert len(payload) < 2000


def test_what_resembles_nothing_of_its_base_is_told_from_nothing() -> None:
    old, new = noise(5, 600_000), noise(6, 600_000)
    payload = told(new, old)
    assert read(payload, len(new), old) == new
    assert len(payload) < len(new) + 100


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_mixture_of_old_and_new_comes_back(data: st.DataObject) -> None:
    old = long_text()[:400_000]
    pieces = st.tuples(st.integers(0, 399_000), st.integers(0, 150_000))
    new = b"".join(
        old[at : at + size] if data.draw(st.booleans()) else noise(at, size // 8)
        for at, size in data.draw(st.lists(pieces, min_size=1, max_size=6))
    )
    assert read(told(new, old), len(new), old) == new


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damage_gives_a_content_error_or_the_right_number_of_bytes(data: st.DataObject) -> None:
    old, new, good = example()
    damaged = bytearray(good)
    at = data.draw(st.one_of(st.integers(0, len(good) - 1), st.integers(0, 20)))
    if data.draw(st.booleans()):
        damaged[at] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[at:]
    with contextlib.suppress(ContentError):
        assert len(read(bytes(damaged), len(new), old)) == len(new)


@cache
def example() -> tuple[bytes, bytes, bytes]:
    old = long_text()[:200_000]
    new = noise(8, 5000) + old[:120_000] + noise(9, 700) + old[120_000:]
    return old, new, told(new, old)


def head(*numbers: int) -> bytes:
    out = bytearray()
    for number in numbers:
        varint.append(out, number)
    return bytes(out)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "cut short"),
        (head(4), "at most 3"),
        (head(0, 100_001), "at most 100000"),
        (head(0, 0, 0, 1) + b"\0", "a part of 0 bytes"),
        (head(0, 65_535, 0, 65_536) + bytes(65_536), "a part of 65535 bytes"),
        (head(1, 100_000, 51), "at most 50"),
        (head(1, 100_000, 50, 1, 9), "outside its base"),
        (head(1, 100_000, 50, 2, 9), "outside its base"),
        (head(0, 100_000, 0, 100_002), "at most 100001"),
        (head(0, 100_000, 0, 100_001) + bytes(100_000), "ends early"),
        (head(0, 100_000, 0, 100_001) + bytes(100_002), "1 bytes too many"),
        (head(0, 100_000, 0, 3) + bytes(3), "frame: 2 bytes stored where 100000"),
    ],
)
def test_a_part_that_breaks_a_bound_is_refused(payload: bytes, why: str) -> None:
    """The base has 50 bytes, the object 100000."""
    with pytest.raises(ContentError, match=why):
        read(payload, 100_000, bytes(50))


WHOLE = 200_000


def versions(world: World) -> tuple[Manifest, Manifest]:
    """Two versions with one long object between two short ones."""
    old = world.manifest({"a.json": prose(1), "v.bin": noise(1, 900_000), "z.json": prose(2)})
    new = noise(1, 900_000)[:500_000] + b"more" + noise(1, 900_000)[500_000:]
    return old, world.manifest({"a.json": prose(1) + b"x", "v.bin": new, "z.json": prose(3)})


def written(world: World, base: Manifest | None, target: Manifest) -> bytes:
    return BundleWriter(base, target, world.read, whole_bytes=WHOLE, group_bytes=PART).write()


def held(folder: Path, world: World, version: Manifest) -> ObjectStore:
    """A node's store with the objects of `version`."""
    store = ObjectStore(folder)
    for entry in version.entries:
        store.put(world.objects[entry.hash])
    return store


def left_over(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.tmp") if path.is_file()]


def test_a_long_object_is_told_from_its_base_like_any_other(tmp_path: Path) -> None:
    world = World()
    base, target = versions(world)
    data = written(world, base, target)
    store = held(tmp_path, world, base)
    reader = BundleReader(data, base)
    assert [group.codec for group in reader.header.groups].count("parts") == 1
    assert len(data) < 2500
    made = list(reader.pour(store))
    assert reader.target_manifest() == target
    assert all(store.get(e.hash) == world.objects[e.hash] for e in [*made, *target.entries])
    assert not left_over(tmp_path)
    assert dict(reader.objects(store.get)) == {e: world.objects[e.hash] for e in made}


def test_a_renamed_model_is_told_from_the_one_that_went() -> None:
    world = World()
    base = world.manifest({"m-1.onnx": noise(1, 900_000), "other.onnx": noise(2, 600_000)})
    target = world.manifest({"m-2.onnx": noise(1, 900_000) + b"x", "other.onnx": noise(2, 600_000)})
    data = written(world, base, target)
    [packed] = BundleReader(data, base).header.objects()
    assert packed.base is not None
    assert packed.base.path == "m-1.onnx"
    assert len(data) < 1500


def test_a_long_object_that_became_empty_or_short_is_told_too(tmp_path: Path) -> None:
    world = World()
    base = world.manifest({"a.bin": noise(1, 900_000), "b.bin": noise(2, 900_000)})
    target = world.manifest({"a.bin": b"", "b.bin": noise(2, 10)})
    reader = BundleReader(written(world, base, target), base)
    assert len(list(reader.pour(held(tmp_path, world, base)))) == 2
    assert reader.target_manifest() == target


def test_the_base_of_a_long_object_is_hashed_before_it_is_believed(tmp_path: Path) -> None:
    world = World()
    base, target = versions(world)
    data = written(world, base, target)
    store = held(tmp_path, world, base)
    [video] = [entry for entry in base.entries if entry.path == "v.bin"]
    damaged = bytearray(world.objects[video.hash])
    damaged[450_000] ^= 1
    store.path(video.hash).write_bytes(damaged)
    with pytest.raises(DamagedBaseError, match=r"base of v\.bin") as caught:
        list(BundleReader(data, base).pour(store))
    assert caught.value.entry == video
    store.path(video.hash).unlink()
    with pytest.raises(DamagedBaseError, match="cannot be read"):
        list(BundleReader(data, base).pour(store))
    assert not left_over(tmp_path)


def test_a_damaged_part_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    world = World()
    _, target = versions(world)
    data = bytearray(written(world, None, target))
    data[-400_000] ^= 1
    store = ObjectStore(tmp_path)
    reader = BundleReader(bytes(data))
    with pytest.raises(ContentError, match=r"group 1: damaged \(parts\)"):
        list(reader.pour(store))
    assert not left_over(tmp_path)
    [video] = [entry for entry in target.entries if entry.path == "v.bin"]
    assert not store.has(video.hash)


def test_a_long_object_is_never_in_memory_on_either_side(tmp_path: Path) -> None:
    world = World()
    target = world.manifest({"v.bin": noise(1, 9_000_000)})
    hub = held(tmp_path / "hub", world, target)
    bundle, node = tmp_path / "bundle", ObjectStore(tmp_path / "node")
    with watched(3_500_000):
        BundleWriter(
            None, target, hub.get, opened=hub.opened, whole_bytes=WHOLE, group_bytes=PART
        ).write_file(bundle)
    with watched(3_500_000):
        reader = BundleReader(bundle)
        assert [entry.path for entry in reader.pour(node)] == ["v.bin"]
        assert reader.target_manifest() == target
    assert node.get(target.entries[0].hash) == world.objects[target.entries[0].hash]


@contextlib.contextmanager
def watched(most: int) -> Iterator[None]:
    """At most so many bytes of Python's are in memory meanwhile."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most


def test_a_bundle_written_to_a_file_is_the_one_in_memory(tmp_path: Path) -> None:
    world = World()
    base, target = versions(world)
    path = tmp_path / "bundle"
    BundleWriter(base, target, world.read, whole_bytes=WHOLE, group_bytes=PART).write_file(path)
    assert digest(path.read_bytes()) == digest(written(world, base, target))
    assert sorted(tmp_path.iterdir()) == [path]
