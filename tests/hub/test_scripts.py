"""Kept scripts: each change of an object is compared once, whatever asks; a cache, no more."""

import sqlite3
from pathlib import Path

import pytest

from hub.deltas import Deltas
from hub.scripts import Scripts
from sync.bundle import BundleWriter
from sync.codec.script import Differ, LineDiffer, Script
from sync.errors import ContentError
from sync.manifest import Manifest
from tests.sync.world import World, library, noise, prose


class Counting:
    """A differ that counts what it is asked."""

    def __init__(self, silent: bool = False) -> None:
        self.asked = 0
        self.silent = silent
        self._told = LineDiffer()

    def __call__(self, old: bytes, new: bytes) -> Script | None:
        self.asked += 1
        return None if self.silent else self._told(old, new)


def kept(folder: Path, told: Differ, max_bytes: int = 1_000_000) -> Scripts:
    return Scripts(folder / "scripts.db", max_bytes=max_bytes, new_differ=lambda: told)


def ask(scripts: Scripts, *pairs: tuple[bytes, bytes]) -> list[Script | None]:
    """One bundle that compares `pairs`."""
    with scripts.memory() as memory:
        return [memory.script(old, new) for old, new in pairs]


def edit(number: int) -> tuple[bytes, bytes]:
    old = prose(number)
    return old, old.replace(b".4 ", b".4 condor %d " % number)


def test_a_pair_is_compared_once_for_all_bundles(tmp_path: Path) -> None:
    told = Counting()
    first = ask(kept(tmp_path, told), edit(1), edit(1), edit(2))
    assert told.asked == 2
    assert ask(kept(tmp_path, told), edit(2), edit(1)) == [first[2], first[0]]
    assert told.asked == 2
    assert kept(tmp_path, told).count() == 2


def test_what_has_no_script_is_asked_again(tmp_path: Path) -> None:
    told = Counting(silent=True)
    assert ask(kept(tmp_path, told), edit(1)) == [None]
    assert ask(kept(tmp_path, told), edit(1)) == [None]
    assert (told.asked, kept(tmp_path, told).count()) == (2, 0)
    assert ask(kept(tmp_path, LineDiffer()), (noise(1, 99), noise(2, 99))) == [None]


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    told = Counting()
    scripts = kept(tmp_path, told, max_bytes=280)
    ask(scripts, edit(1))
    ask(scripts, edit(2), edit(3))
    ask(scripts, edit(1))
    for number in range(10, 15):
        ask(scripts, edit(1), edit(number))
    assert 1 <= scripts.count() < 6
    asked = told.asked
    ask(scripts, edit(1))
    assert told.asked == asked
    ask(scripts, edit(2))
    assert told.asked == asked + 1


def test_a_damaged_row_is_told_anew(tmp_path: Path) -> None:
    told = Counting()
    [script] = ask(kept(tmp_path, told), edit(1))
    with sqlite3.connect(tmp_path / "scripts.db") as db:
        db.execute("UPDATE scripts SET script = x'00112233445566'")
    db.close()
    assert ask(kept(tmp_path, told), edit(1)) == [script]
    assert told.asked == 2
    assert ask(kept(tmp_path, told), edit(1)) == [script]
    assert told.asked == 2


@pytest.mark.parametrize("rubbish", [b"no database" * 99, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_database_is_begun_anew(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "scripts.db").write_bytes(rubbish)
    told = Counting()
    for _ in range(2):
        assert ask(kept(tmp_path, told), edit(1))[0]
    assert told.asked == 1


def test_a_database_that_somebody_holds_keeps_nothing_and_stops_nobody(tmp_path: Path) -> None:
    told = Counting()
    ask(kept(tmp_path, told), edit(1))
    holder = sqlite3.connect(tmp_path / "scripts.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    scripts = Scripts(tmp_path / "scripts.db", new_differ=lambda: told, busy_seconds=0.01)
    assert ask(scripts, edit(1), edit(2))[1]
    holder.execute("COMMIT")
    holder.close()
    assert scripts.count() == 1


def test_nothing_is_kept_of_a_bundle_that_failed(tmp_path: Path) -> None:
    scripts = kept(tmp_path, Counting())
    world = World()
    target = world.manifest(library(2))
    world.objects.clear()

    def build() -> None:
        with scripts.memory() as memory:
            memory.script(*edit(1))
            BundleWriter(None, target, world.read, memory=memory).write()

    with pytest.raises(ContentError, match="damaged"):
        build()
    assert scripts.count() == 0


def test_ten_bases_to_one_head_compare_as_often_as_objects_changed(tmp_path: Path) -> None:
    """The claim of the design: linear in changes, never in versions times objects."""
    world, told = World(), Counting()
    files, versions = library(12), list[Manifest]()
    changes = 0
    for number in range(11):
        if number:
            path = f"lessons/leccion-{number % 4:03}.es.json"
            files[path] = files[path].replace(b".5 ", b".5 palabra%d " % number)
            changes += 1
        versions.append(world.manifest(files))
    deltas = Deltas(tmp_path / "b", tmp_path / "o", kept(tmp_path, told), world.read)
    for base in versions[:-1]:
        deltas.offer("escuela", base, versions[-1])
    assert told.asked == changes == 10
    assert kept(tmp_path, told).count() == changes


def test_a_group_that_was_written_before_is_not_written_again(tmp_path: Path) -> None:
    """The base stays, the target moves on: what did not change costs nothing."""
    world, told = World(), Counting()
    files = library(30)
    base = world.manifest(files)
    scripts = kept(tmp_path, told)
    for number in range(12):
        path = f"lessons/leccion-{number:03}.es.json"
        files[path] = files[path].replace(b".5 ", b".5 palabra ")

    def build(target: Manifest) -> bytes:
        world.reads.clear()
        with scripts.memory() as memory:
            writer = BundleWriter(base, target, world.read, memory=memory, group_bytes=4000)
            return writer.write()

    first = build(world.manifest(files))
    asked, reads = told.asked, len(world.reads)
    assert build(world.manifest(files)) == first
    assert told.asked == asked
    assert len(world.reads) < reads
    path = "lessons/leccion-029.es.json"
    files[path] = files[path].replace(b".5 ", b".5 palabra ")
    build(world.manifest(files))
    assert told.asked == asked + 1


def test_a_payload_that_rotted_in_the_cache_is_written_again(tmp_path: Path) -> None:
    world, scripts = World(), kept(tmp_path, Counting())
    target = world.manifest(library(5))

    def build() -> bytes:
        with scripts.memory() as memory:
            return BundleWriter(None, target, world.read, memory=memory).write()

    first = build()
    with sqlite3.connect(tmp_path / "scripts.db") as db:
        db.execute("UPDATE scripts SET script = script || x'00' WHERE length(pair) = 32")
    db.close()
    assert build() == first
