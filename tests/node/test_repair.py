"""A long object that is missing or damaged comes whole, in pieces, and goes on where it was."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.fetcher import Fetcher, Room
from node.store.blobs import Blobs
from node.worker import Worker
from sync.bundle.header import MAX_WHOLE_BYTES
from sync.canonical import digest
from sync.errors import ContentError, SpaceError, TransportError
from sync.journal import Journal
from sync.manifest import Entry, Manifest, manifest
from tests.node.city import City
from tests.sync.world import noise

LONG = noise(1, 5000) * (MAX_WHOLE_BYTES // 5000 + 1)


@dataclass
class Bench:
    """A node that lacks one long object, and the city that has it."""

    city: City
    blobs: Blobs
    fetcher: Fetcher
    version: Manifest
    free: int = 10**12

    async def mend(self, *, deep: bool = False) -> int:
        return await self.fetcher.mend(self.city, self.version, deep=deep)

    @property
    def entry(self) -> Entry:
        return self.version.entries[0]

    def asked(self) -> list[str]:
        """From which bytes on objects were asked for."""
        return [what for what in self.city.asked if what.startswith("bundle from")]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    city, blobs, worker = City(tmp_path), Blobs(tmp_path / "objects"), Worker("test")
    city.pieces = 1_000_000
    city.objects[digest(LONG)] = LONG
    fetcher = Fetcher(blobs, Journal(tmp_path / "journal"), worker, Room(lambda: made.free, 100))
    version = manifest("escuela", [Entry("video.mp4", digest(LONG), len(LONG), "asset")])
    made = Bench(city, blobs, fetcher, version)
    yield made
    await worker.close()


async def test_a_long_object_that_is_missing_is_fetched_in_pieces(bench: Bench) -> None:
    assert await bench.mend() == 1
    assert bench.blobs.get(bench.entry.hash) == LONG
    assert "object" not in bench.city.asked
    assert await bench.mend(deep=True) == 0


async def test_a_damaged_one_is_found_and_replaced(bench: Bench) -> None:
    await bench.mend()
    path = bench.blobs.path(bench.entry.hash)
    path.write_bytes(LONG[:-1] + b"x")
    assert await bench.mend(deep=False) == 0
    assert await bench.mend(deep=True) == 1
    assert path.read_bytes() == LONG


async def test_a_link_that_dies_costs_no_byte_twice(bench: Bench) -> None:
    bench.city.dies_after = 7_000_000
    with pytest.raises(TransportError):
        await bench.mend()
    assert not bench.blobs.has(bench.entry.hash)
    assert await bench.mend() == 1
    assert bench.asked() == ["bundle from 0", "bundle from 7000000"]
    assert bench.blobs.get(bench.entry.hash) == LONG


async def test_one_that_came_damaged_is_thrown_away_and_asked_for_again(bench: Bench) -> None:
    bench.city.corrupt = 1
    with pytest.raises(ContentError, match="came damaged"):
        await bench.mend()
    assert not bench.blobs.part(bench.entry.hash).exists()
    assert await bench.mend() == 1
    assert bench.asked() == ["bundle from 0"] * 2


async def test_what_is_left_of_a_longer_one_is_not_added_to(bench: Bench) -> None:
    bench.blobs.part(bench.entry.hash).write_bytes(LONG + b"more")
    assert await bench.mend() == 1
    assert bench.blobs.get(bench.entry.hash) == LONG


async def test_one_that_had_come_whole_before_the_power_went_is_not_asked_for(bench: Bench) -> None:
    bench.blobs.part(bench.entry.hash).write_bytes(LONG)
    assert await bench.mend() == 1
    assert bench.asked() == []
    assert bench.blobs.get(bench.entry.hash) == LONG


async def test_one_for_which_there_is_no_room_is_not_begun(bench: Bench) -> None:
    bench.free = len(LONG) + 99
    with pytest.raises(SpaceError, match="does not fit"):
        await bench.mend()
    assert bench.asked() == []
    bench.free += 1
    assert await bench.mend() == 1


async def test_what_was_begun_and_is_no_longer_wanted_is_collected(bench: Bench) -> None:
    part = bench.blobs.part(bench.entry.hash)
    part.write_bytes(LONG[:9])
    bench.blobs.collect(set())
    assert not part.exists()
