"""Damage that is found: in the database, at the edges of chunks, between parts that belong to
two bundles, and in what a difference is made of."""

import asyncio
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from node import app
from node.config import load
from node.portal.app import build_portal
from sync.bundle import BundleReader, BundleWriter, envelope
from sync.canonical import Digest
from sync.codec.frame import decompress, unpack
from sync.errors import ContentError
from sync.exits import translate
from sync.journal import Journal
from sync.manifest import Manifest
from tests.faults.world import OLD, World
from tests.node.test_updater import Bench, bench, damage, library
from tests.sync import world as wire
from tests.sync.test_journal import BUNDLE, CHUNK, finish, offered, part

__all__ = ["bench"]  # the fixture
PAGE = 4096


# Bits


async def pages(folder: Path) -> dict[str, tuple[int, str]]:
    """What the portal of the node in `folder` answers; the database's own check goes last."""
    found = {}
    async with app.build(load(folder / "node.toml", {}), model=False) as node:
        async with TestClient(TestServer(build_portal(node.services))) as visitor:
            for path in ("/leccion/leccion-0/es", "/buscar?q=texto", "/api/version"):
                async with visitor.get(path) as answer:
                    found[path] = answer.status, await answer.text()
        try:
            node.store.check()
        except ContentError:
            found["check"] = 500, ""
    return found


@pytest.mark.fault(4, "in any page of the database")
def test_a_bit_in_any_page_of_the_database_shows_no_other_lesson(world: World) -> None:
    """Either nothing that is read has changed, or it is an error in words and the check says so;
    a lesson's text is never another one, since it is an object with a hash."""
    healthy = (world.old / "data" / "node.db").read_bytes()
    outcomes = set()
    for number in range(len(healthy) // PAGE):
        folder = world.copy(world.old, "flipped")
        data = bytearray(healthy)
        data[number * PAGE + (number * 7 + 3) % (PAGE if number % 2 else 12)] ^= 1 << number % 8
        (folder / "data" / "node.db").write_bytes(data)
        try:
            found = asyncio.run(pages(folder))
        except (ContentError, sqlite3.DatabaseError) as error:
            outcomes.add(type(translate(error)).__name__)
            continue
        status, text = found["/leccion/leccion-0/es"]
        assert status != 200 or OLD in text, number
        failed = any(status >= 500 for status, _ in found.values())
        assert not failed or "check" in found, number
        outcomes.add("found" if failed else "served")
    assert "served" in outcomes
    assert {"ContentError", "found"} & outcomes
    assert outcomes <= {"ContentError", "found", "served"}


def test_damage_that_shows_while_reading_ends_with_its_code() -> None:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    assert isinstance(translate(error), ContentError)


# Edges


@pytest.mark.fault(5, "a download at every edge of a chunk")
@pytest.mark.parametrize("aside", [-1, 0, 1])
def test_a_download_cut_at_the_edge_of_any_chunk_goes_on_there(tmp_path: Path, aside: int) -> None:
    for edge in range(CHUNK, len(BUNDLE), CHUNK):
        length = edge + aside
        part(tmp_path).write_bytes(BUNDLE[:length])
        download = Journal(tmp_path).open(offered())
        assert download.wanted() == (length, len(BUNDLE))
        assert finish(download) == len(BUNDLE) - length
        download.discard()


# Mixtures


def read(bundle: bytes, base: Manifest, held: wire.World) -> Manifest:
    """What `bundle` leads to."""
    reader = BundleReader(bundle, base)
    for _ in reader.objects(held.read):
        pass
    return reader.target_manifest()


@pytest.mark.fault(8, "the groups of two bundles")
def test_the_groups_of_two_bundles_are_no_bundle() -> None:
    """The header of one version over the payload of another, of the same length."""
    held = wire.World()
    base = held.manifest(wire.library(3))
    files = wire.library(3)
    made = []
    for word in (b"condor", b"vicuna"):
        files["nueva.bin"] = b"\0" + word * 50
        files["lessons/leccion-000.es.json"] = wire.prose(0).replace(b"0.3 ", b"0.3 " + word)
        target = held.manifest(files)
        made.append((target, BundleWriter(base, target, held.read).write()))
    (wanted, one), (_, two) = made
    spliced = one[: envelope.extent(one)] + two[envelope.extent(two) :]
    assert read(one, base, held) == wanted
    with pytest.raises(ContentError, match="bundle"):
        read(spliced, base, held)


# Bombs


@contextmanager
def little_memory(more: int) -> Iterator[None]:
    """While the body runs, this process may take at most `more` bytes of addresses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (held + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def frame(window_log: int, data: bytes, magic: bytes = b"") -> bytes:
    """A frame of one raw block that asks for a window of 2**window_log bytes."""
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    window = bytes([0x80, window_log - 10 << 3])
    return magic + window + len(data).to_bytes(4, "little") + block


@pytest.mark.fault(12, "a window beyond the limit")
def test_a_frame_that_asks_for_a_huge_window_gets_none() -> None:
    with little_memory(256 * 1024 * 1024):
        assert unpack(frame(31, b"x" * 300), 300) == b"x" * 300
        ordinary = frame(31, b"x" * 300, bytes.fromhex("28b52ffd"))
        assert decompress(ordinary, 300) == b"x" * 300
    with pytest.raises(ContentError, match="too much memory"):
        unpack(frame(41, b"x"), 1)


# The base of a difference


@pytest.mark.fault(20, "it comes damaged again and again")
async def test_a_base_that_cannot_be_mended_is_asked_for_a_few_times_and_no_more(
    bench: Bench,
) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    damage(bench)
    held = bench.place.store.manifest()
    assert held
    name = held.by_path()["lessons/leccion-0.es.json"].hash
    bench.city.objects[name] = b"not that object"
    bench.city.deltas = True
    bench.city.asked.clear()
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("damaged", 1)
    assert len(bench.city.asked) < 12


@pytest.mark.fault(21, "a bundle for another base")
async def test_a_hub_that_offers_a_bundle_for_another_base_costs_the_whole_channel_at_most(
    bench: Bench,
) -> None:
    bench.city.publish(library("Uno."))
    bench.city.publish(library("Dos."))
    await bench.updater.sync()
    bench.city.publish(library("Tres."))
    one, two, three = bench.city.versions
    false = bench.city.bundle(one, three)[0]
    bench.city.false_offer = msgspec.structs.replace(false, base=two.root)
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("damaged", 2)
    assert bench.text().endswith("Dos.")
    assert len(bench.city.asked) < 40
    bench.city.false_offer = None
    assert (await bench.updater.sync()).kind == "updated"
    assert bench.text().endswith("Tres.")


# Paths


@pytest.mark.fault(11, "a symlink in the place of an object")
async def test_a_symlink_in_the_place_of_an_object_is_replaced_and_nothing_behind_it_touched(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    secret = tmp_path / "secret"
    secret.write_text("mine", encoding="utf-8")
    held = bench.place.store.manifest()
    assert held
    path = bench.place.blobs.path(Digest(held.entries[-1].hash))
    path.unlink()
    path.symlink_to(secret)
    bench.restart()
    assert "1 damaged" in (await bench.updater.sync()).message
    assert not path.is_symlink()
    assert secret.read_text(encoding="utf-8") == "mine"
    shutil.rmtree(path.parent)
    path.parent.symlink_to(tmp_path)
    bench.restart()
    await bench.updater.sync()
    assert secret.read_text(encoding="utf-8") == "mine"
