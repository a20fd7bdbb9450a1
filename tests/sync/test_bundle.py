"""Bundles: from one version to another, whatever changed, in few bytes and bounded memory."""

import itertools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.bundle import (
    BundleReader,
    BundleWriter,
    DamagedBaseError,
    Offer,
    digests_from_bytes,
    digests_to_bytes,
    offer,
    offer_from_bytes,
    offer_to_bytes,
)
from sync.bundle.header import MAX_OBJECT_BYTES
from sync.bundle.memory import Forgetful
from sync.canonical import digest, encode
from sync.codec.script import Script
from sync.errors import ContentError
from sync.files import ObjectStore
from sync.manifest import Entry, Manifest, manifest
from tests.sync.world import World, library, noise, prose

WORLD_GROUP = 20_000


def travel(world: World, base: Manifest | None, target: Manifest) -> tuple[bytes, BundleReader]:
    """Writes a bundle, reads it as a node that holds only `base`, and checks what comes."""
    data = BundleWriter(base, target, world.read).write()
    reader = BundleReader(data, base)
    held = {e.hash: world.objects[e.hash] for e in base.entries} if base else {}
    for entry, content in reader.objects(held.__getitem__):
        assert digest(content) == entry.hash
        held[entry.hash] = content
    assert reader.target_manifest() == target
    assert {e.hash for e in target.entries} <= set(held)
    return data, reader


def test_three_words_changed_in_a_channel_of_78_lessons_cost_a_few_hundred_bytes() -> None:
    world = World()
    files = library(78)
    base = world.manifest(files)
    for number in (5, 30, 70):
        path = f"lessons/leccion-{number:03}.es.json"
        files[path] = files[path].replace(b".6 ", b".6 relampago ")
    data, _ = travel(world, base, world.manifest(files))
    assert len(data) < 200


def test_many_small_edits_travel_as_scripts() -> None:
    world = World()
    files = library(40)
    base = world.manifest(files)
    for number, path in enumerate(files):
        words = files[path].split(b" ")
        for place in (3, 30, 60, 80):
            words[place + number % 7] = b"" if place == 60 else b"pago%d" % number
        files[path] = b" ".join(words)
    data, reader = travel(world, base, world.manifest(files))
    assert [g.codec for g in reader.header.groups] == ["edit"]
    assert len(data) < 1200


def test_a_first_installation_takes_the_same_path() -> None:
    world = World()
    target = world.manifest(library(20))
    data, reader = travel(world, None, target)
    assert reader.header.base is None
    assert reader.header.channel == "escuela"
    assert len(data) < target.size / 2


def test_an_equal_version_is_a_bundle_without_groups() -> None:
    world = World()
    base = world.manifest(library(3))
    data, reader = travel(world, base, base)
    assert reader.header.groups == ()
    assert len(data) < 100


def test_moves_copies_and_new_attributes_cost_no_payload() -> None:
    world = World()
    files = library(10)
    base = world.manifest(files)
    moved = {f"antes/{path}": content for path, content in files.items()}
    moved["copia.json"] = prose(4)
    target = world.manifest(moved)
    first = target.entries[0]
    changed = Entry(first.path, first.hash, first.size, "asset", 7, "", "qu")
    target = manifest("escuela", [changed, *target.entries[1:]])
    _, reader = travel(world, base, target)
    assert reader.header.groups == ()
    assert len(reader.header.references) == 11


def test_a_content_that_two_new_paths_share_travels_once() -> None:
    world = World()
    target = world.manifest({"a.json": prose(1), "b.json": prose(1), "c.json": prose(2)})
    _, reader = travel(world, None, target)
    assert [o.label.path for o in reader.header.objects()] == ["a.json", "c.json"]


def test_lessons_that_swap_their_contents_are_references() -> None:
    world = World()
    base = world.manifest({"a.json": prose(1), "b.json": prose(2)})
    _, reader = travel(world, base, world.manifest({"a.json": prose(2), "b.json": prose(1)}))
    assert reader.header.groups == ()


def test_removals_are_in_the_header() -> None:
    world = World()
    files = library(10)
    base = world.manifest(files)
    kept = dict(list(files.items())[3:7])
    _, reader = travel(world, base, world.manifest(kept))
    assert [e.path for e in reader.header.removed] == [p for p in files if p not in kept]


def test_a_lesson_renamed_and_edited_is_told_from_the_old_one() -> None:
    world = World()
    files = library(10)
    base = world.manifest(files)
    files["lessons/otro-nombre.es.json"] = files.pop("lessons/leccion-004.es.json") + b"fin\n"
    data, reader = travel(world, base, world.manifest(files))
    [packed] = reader.header.objects()
    assert packed.base is not None
    assert packed.base.path == "lessons/leccion-004.es.json"
    assert len(data) < 200


def test_a_path_with_a_new_text_is_told_from_whoever_resembles_it() -> None:
    world = World()
    base = world.manifest({"a.json": prose(1), "b.json": prose(2)})
    target = world.manifest({"a.json": prose(2) + b"y algo\n", "b.json": prose(2)})
    _, reader = travel(world, base, target)
    [packed] = reader.header.objects()
    assert packed.base is not None
    assert packed.base.path == "b.json"


def test_a_path_between_two_resembling_ones_keeps_its_own_base() -> None:
    world = World()
    base = world.manifest({"a.json": prose(1), "b.json": prose(1) + b"b\n"})
    target = world.manifest({"a.json": prose(1) + b"a\n", "b.json": prose(1) + b"b\n"})
    _, reader = travel(world, base, target)
    [packed] = reader.header.objects()
    assert packed.base is not None
    assert packed.base.path == "a.json"


def test_binaries_are_patched_and_strangers_travel_as_they_are() -> None:
    world = World()
    picture = noise(1, 5000)
    base = world.manifest({"a.bin": picture})
    data, reader = travel(world, base, world.manifest({"a.bin": picture + b"end"}))
    assert [g.codec for g in reader.header.groups] == ["zpatch"]
    assert len(data) < 150
    data, reader = travel(world, None, world.manifest({"a.bin": picture}))
    assert [g.codec for g in reader.header.groups] == ["raw"]
    assert len(data) < 5200


def test_empty_objects_travel() -> None:
    world = World()
    base = world.manifest({"a.json": b"", "b.json": b"x"})
    travel(world, None, base)
    travel(world, base, world.manifest({"a.json": b"x", "b.json": b"", "c.json": b"y"}))
    travel(world, base, world.manifest({}))
    travel(world, world.manifest({}), base)


def test_groups_are_bounded_and_the_most_valuable_come_first() -> None:
    world = World()
    entries = [
        world.entry(f"{n:02}.json", prose(n, 40), priority=(90, 10, 50)[n % 3]) for n in range(12)
    ]
    target = manifest("escuela", entries)
    data = BundleWriter(None, target, world.read, group_bytes=WORLD_GROUP).write()
    reader = BundleReader(data)
    assert len(reader.header.groups) > 1
    for group in reader.header.groups:
        assert sum(o.size for o in group.objects) <= WORLD_GROUP
    order = [(e.priority, e.path) for e, _ in reader.objects(world.read)]
    assert order == sorted(order)


def test_an_object_larger_than_a_group_is_alone_in_one() -> None:
    world = World()
    files = {"a.json": prose(1), "b.bin": noise(2, 3 * WORLD_GROUP), "c.json": prose(3)}
    data = BundleWriter(None, world.manifest(files), world.read, group_bytes=WORLD_GROUP).write()
    groups = BundleReader(data).header.groups
    assert [[o.label.path for o in g.objects] for g in groups] == [
        ["a.json", "c.json"],
        ["b.bin"],
    ]


def test_an_object_that_fits_no_bundle_is_refused_with_a_way_out() -> None:
    world = World()
    huge = Entry("modelo.bin", digest(b"huge"), MAX_OBJECT_BYTES + 1, "model")
    with pytest.raises(ContentError, match=r"modelo\.bin: 1,073,741,825 bytes") as caught:
        BundleWriter(None, manifest("escuela", [huge]), world.read).write()
    assert caught.value.hint == "publish it in parts"


def test_the_same_versions_give_the_same_bytes() -> None:
    world = World()
    base, target = world.manifest(library(9)), world.manifest({**library(8), "x": prose(8) + b"."})
    bundles = {BundleWriter(base, target, world.read).write() for _ in range(3)}
    assert len(bundles) == 1


def test_scripts_come_from_the_differ_that_is_given() -> None:
    world = World()
    asked: list[tuple[bytes, bytes]] = []

    def differ(old: bytes, new: bytes) -> Script | None:
        asked.append((old, new))
        return None

    base = world.manifest({"a.json": prose(1)})
    target = world.manifest({"a.json": prose(1) + b"x"})
    data = BundleWriter(base, target, world.read, memory=Forgetful(differ)).write()
    assert asked == [(prose(1), prose(1) + b"x")]
    assert [g.codec for g in BundleReader(data, base).header.groups] == ["zpatch"]


def test_a_writer_whose_objects_are_damaged_publishes_nothing() -> None:
    world = World()
    target = world.manifest(library(3))
    world.objects[target.entries[1].hash] = b"other bytes"
    with pytest.raises(ContentError):
        BundleWriter(None, target, world.read).write()


paths = st.sampled_from([f"{folder}/{n}.json" for folder in "ab" for n in range(6)])
contents = st.sampled_from([prose(n % 4, 3) + b"x" * (n // 4) for n in range(12)] + [b"", b"\0\1"])
versions = st.dictionaries(paths, contents, max_size=8)


@settings(deadline=None, max_examples=120)
@given(old=st.none() | versions, new=versions, group=st.integers(1, 2000))
def test_any_version_leads_to_any_other(
    old: dict[str, bytes] | None, new: dict[str, bytes], group: int
) -> None:
    world = World()
    base = None if old is None else world.manifest(old)
    target = world.manifest(new)
    data = BundleWriter(base, target, world.read, group_bytes=group).write()
    reader = BundleReader(data, base)
    assert dict(reader.objects(world.read)) == {
        e: world.objects[e.hash] for e, _ in BundleReader(data, base).objects(world.read)
    }
    assert reader.target_manifest() == target


def test_a_bundle_is_read_from_a_file_group_by_group(tmp_path: Path) -> None:
    world = World()
    target = world.manifest({f"{n}.bin": noise(n, 100_000) for n in range(20)})
    data = BundleWriter(None, target, world.read, group_bytes=200_000).write()
    path = tmp_path / digest(data)
    path.write_bytes(data)
    tracemalloc.start()
    reader = BundleReader(path)
    for _ in reader.objects(world.read):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.target_manifest() == target
    assert reader.name == digest(data)[:12]
    assert peak < 1_000_000 < len(data)


@pytest.mark.fault(21, "a bundle for another base")
def test_a_bundle_for_another_base_is_refused_with_both_names() -> None:
    world = World()
    base, other = world.manifest(library(2)), world.manifest(library(3))
    data = BundleWriter(base, other, world.read).write()
    for held in (other, None):
        with pytest.raises(ContentError, match=f"made for base {base.root[:12]}"):
            BundleReader(data, held)


def test_a_damaged_base_object_is_named_so_that_it_can_be_fetched() -> None:
    world = World()
    base = world.manifest(library(3))
    target = world.manifest({**library(3), "lessons/leccion-001.es.json": prose(1) + b"x"})
    data = BundleWriter(base, target, world.read).write()
    damaged = base.entries[1].hash
    del world.objects[damaged]
    reader = BundleReader(data, base)
    with pytest.raises(DamagedBaseError, match="group 0: base of lessons/leccion-001") as caught:
        list(reader.objects(world.read))
    assert caught.value.digest == damaged
    world.put(prose(1))
    list(reader.objects(world.read))
    assert reader.target_manifest() == target


def test_an_offer_says_what_will_travel() -> None:
    world = World()
    base, target = world.manifest(library(2)), world.manifest(library(4))
    data = BundleWriter(base, target, world.read).write()
    made = offer("escuela", base, target, data, chunk_size=100)
    assert made.bundle == digest(data)
    assert (made.base, made.target, made.size) == (base.root, target.root, len(data))
    assert made.full_size == target.size
    assert made.unpacked == len(prose(2)) + len(prose(3))
    assert made.chunk_count == len(made.chunks) == -(-len(data) // 100)
    for number in range(made.chunk_count):
        start, stop = made.span(number)
        assert digest(data[start:stop]) == made.chunk_digest(number)
    assert offer_from_bytes(offer_to_bytes(made)) == made


def test_an_offer_of_one_chunk_lists_none() -> None:
    world = World()
    target = world.manifest(library(1))
    data = BundleWriter(None, target, world.read).write()
    made = offer("escuela", None, target, data)
    assert made.chunks == ()
    assert made.chunk_digest(0) == made.bundle
    assert made.span(0) == (0, len(data))


@pytest.mark.parametrize(
    "change",
    [
        {"chunks": ()},
        {"chunks": ("0" * 64,) * 3},
        {"size": 0},
        {"size": 2**40},
        {"chunk_size": 1},
        {"bundle": "../../etc"},
        {"base": "x"},
        {"target": "A" * 64},
        {"more": 1},
        {"groups": -1},
    ],
)
def test_an_offer_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    good = Offer(
        "escuela", None, digest(b"t"), digest(b"b"), 150, 10, 10, 1, 100, (digest(b"c"),) * 2
    )
    fields = {name: getattr(good, name) for name in good.__struct_fields__}
    assert offer_from_bytes(encode(fields)) == good
    with pytest.raises(ContentError):
        offer_from_bytes(encode({**fields, **change}))


# A bundle of which only a part is here


def two_versions(world: World) -> tuple[Manifest, Manifest]:
    """Twelve lessons; then four of them changed, one new, one moved, one gone."""
    files = library(12)
    base = world.manifest(files)
    for number in (1, 4, 7, 10):
        files[f"lessons/leccion-{number:03}.es.json"] = prose(100 + number)
    files["lessons/nueva.es.json"] = prose(500)
    files["lessons/mudada.es.json"] = files.pop("lessons/leccion-003.es.json")
    del files["lessons/leccion-005.es.json"]
    return base, world.manifest(files)


def test_header_and_digests_make_the_manifest_before_anything_has_come(tmp_path: Path) -> None:
    world = World()
    base, target = two_versions(world)
    data = BundleWriter(base, target, world.read, group_bytes=3_000).write()
    told = digests_to_bytes(BundleReader(data, base).header, target)
    assert len(told) == 5 * 32
    reader = BundleReader(data, base)
    (tmp_path / "part").write_bytes(data[: reader.spans()[0][0]])
    begun = BundleReader(tmp_path / "part", base, len(data))
    assert begun.promised(digests_from_bytes(told)) == target


def test_any_group_is_read_by_itself_from_a_file_with_holes(tmp_path: Path) -> None:
    world = World()
    base, target = two_versions(world)
    data = BundleWriter(base, target, world.read, group_bytes=3_000).write()
    spans = BundleReader(data, base).spans()
    assert len(spans) > 3
    assert spans[-1][1] == len(data)
    for number, (start, stop) in enumerate(spans):
        part = tmp_path / f"part{number}"
        part.write_bytes(data[: spans[0][0]] + bytes(start - spans[0][0]) + data[start:stop])
        begun = BundleReader(part, base, len(data))
        store = ObjectStore(tmp_path / f"objects{number}")
        for entry in base.entries:
            store.put(world.read(entry.hash))
        for entry in begun.pour_group(number, store):
            assert digest(store.get(entry.hash)) == target.by_path()[entry.path].hash
        with pytest.raises(ContentError, match="group"):
            list(begun.pour_group(number - 1, store))


@pytest.mark.parametrize("wrong", [b"", b"x" * 31, bytes(5 * 32), bytes(6 * 32)])
def test_false_digests_promise_nothing(wrong: bytes) -> None:
    world = World()
    base, target = two_versions(world)
    reader = BundleReader(BundleWriter(base, target, world.read).write(), base)
    with pytest.raises(ContentError):
        reader.promised(digests_from_bytes(wrong))


# Groups and what they are worth


def tiered(world: World, count: int) -> Manifest:
    """`count` lessons of ten priorities, in no order of them."""
    files = library(count)
    return manifest(
        "escuela",
        [
            world.entry(path, data, priority=10 * ((n * 7) % 10))
            for n, (path, data) in enumerate(files.items())
        ],
    )


def test_a_large_group_is_cut_where_the_priority_changes() -> None:
    world = World()
    target = tiered(world, 60)
    data = BundleWriter(None, target, world.read, grain_bytes=1_000).write()
    groups = BundleReader(data).header.groups
    tiers = [{packed.label.row[1] for packed in group.objects} for group in groups]
    assert len(groups) > 3
    assert all(max(a) < min(b) for a, b in itertools.pairwise(tiers))


def test_equal_priorities_and_small_groups_are_not_cut() -> None:
    world = World()
    equal = world.manifest(library(60))
    for target, grain in ((equal, 100), (tiered(world, 60), 10**6)):
        data = BundleWriter(None, target, world.read, grain_bytes=grain).write()
        assert len(BundleReader(data).header.groups) == 1
