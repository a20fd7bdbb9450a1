"""Sticks: what FAT remembers of times, and folders that vanish between any two reads."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from sync.bundle import Offer
from sync.canonical import Digest
from sync.errors import TransportError
from sync.transport.directory import DirectorySink, DirectorySource
from tests.node.stick import fill
from tests.node.test_updater import Bench, bench, library

__all__ = ["bench"]  # the fixture
MOST_READS = 40


def fat_times(stick: Path, at: float) -> None:
    """Gives every file the time `at`, as FAT keeps it: in steps of two seconds."""
    even = at // 2 * 2
    for path in stick.rglob("*"):
        os.utime(path, (even, even))


@pytest.mark.fault(19, "times of FAT, two seconds apart")
async def test_news_of_the_same_two_seconds_are_news(bench: Bench, tmp_path: Path) -> None:
    """The same source object, the same names, the same times; also times of another century."""
    stick = DirectorySource(tmp_path / "stick")
    for number, (words, at) in enumerate(
        [("Uno.", 1e9), ("Dos.", 1e9 + 1), ("Tres.", 0), ("Cuatro.", 4e9)], 1
    ):
        bench.city.publish(library(words))
        fill(tmp_path / "stick", bench.city)
        fat_times(tmp_path / "stick", at)
        outcome = await bench.updater.sync(stick)
        assert (outcome.kind, bench.version) == ("updated", number)
        assert words in bench.text()


class Pulled(DirectorySource):
    """A stick that somebody pulls out before its n-th read, for the pocket beside it."""

    def __init__(self, folder: Path, left: int) -> None:
        super().__init__(folder)
        self._stick, self.left = folder, left

    def _read(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._stick.rename(self._stick.with_name("pocket"))

    async def head(self, channel: str) -> bytes:
        self._read()
        return await super().head(channel)

    async def root(self, number: int) -> bytes | None:
        self._read()
        return await super().root(number)

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        self._read()
        return await super().offer(channel, base, target)

    async def object(self, name: Digest) -> bytes:
        self._read()
        return await super().object(name)

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        while start < stop:
            self._read()
            async with aclosing(super().chunks(bundle, start, min(start + 500, stop))) as pieces:
                async for piece in pieces:
                    start += len(piece)
                    yield piece


@pytest.mark.fault(19, "a folder that vanishes between two reads")
async def test_a_stick_pulled_out_before_any_read_installs_nothing_by_halves(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library("Uno."))
    await bench.updater.sync()
    version = 1
    for left in range(1, MOST_READS):
        bench.city.publish(library(f"{left}. vez."))
        fill(tmp_path / "stick", bench.city)
        pulled = Pulled(tmp_path / "stick", left)
        outcome = await bench.updater.sync(pulled)
        if pulled.left > 0:
            assert outcome.kind == "updated"
            break
        assert (outcome.kind, bench.version) == ("unreachable", version), left
        assert not (tmp_path / "stick").exists()
        (tmp_path / "pocket").rename(tmp_path / "stick")
        assert (await bench.updater.sync(DirectorySource(tmp_path / "stick"))).kind == "updated"
        version = bench.version
    else:
        pytest.fail("no sync came to its end")
    assert version > 3


async def test_a_stick_that_is_gone_is_not_made_for_what_waits(tmp_path: Path) -> None:
    sink = DirectorySink(tmp_path / "stick")
    with pytest.raises(TransportError, match="not found"):
        await sink.samples(b"block")
    assert not (tmp_path / "stick").exists()
