"""Blocks from Kafka, into the same intake as those over HTTP."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hub.blocks import Blocks
from hub.intake import Intake
from hub.library import Library
from hub.metrics import Metrics
from hub.uplink import Uplink
from hub.worker import Worker
from sync.errors import TransportError
from sync.events import Event, EventBlock, encode_events
from tests.hub.fakes import Clock


def block(seq: int, clock: Clock) -> bytes:
    """A block of one missed search."""
    at = int(clock.now * 1000)
    event = Event("search_missed", at, {"query": "el maíz", "language": "es"})
    return encode_events(EventBlock("nodo-1", "epoca", seq, (event,)))


class Topic:
    """A topic in memory, which fails as often as `failures` says; `emptied` when all is done."""

    def __init__(self, pages: list[list[bytes]], failures: int = 0) -> None:
        self.pages, self.failures = pages, failures
        self.at = self.stored = 0
        self.emptied = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def connect(self) -> "Topic":
        self.at = self.stored
        return self

    def take(self, wait_s: float) -> list[bytes]:
        if self.at < len(self.pages):
            self.at += 1
            return self.pages[self.at - 1]
        return []

    def done(self) -> None:
        if self.failures:
            self.failures -= 1
            raise TransportError("the broker went away")
        self.stored = self.at
        if self.stored == len(self.pages):
            self.loop.call_soon_threadsafe(self.emptied.set)

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


async def nap(seconds: float) -> None:
    """Time passes at once."""


async def run(topic: Topic, folder: Path, metrics: Metrics, clock: Clock) -> int:
    """Until everything in `topic` was taken and marked as done; how many searches were missed."""
    clerk = Worker("clerk")
    library = clerk.make(Library, folder / "hub.db")
    blocks = clerk.make(Blocks, folder / "intake.db", max_names=100, max_bytes=10**6)
    uplink = Uplink(topic.connect, Intake(blocks, library, clock), clerk, metrics, nap)
    task, emptied = asyncio.create_task(uplink.run()), asyncio.create_task(topic.emptied.wait())
    await asyncio.wait({task, emptied}, return_when=asyncio.FIRST_COMPLETED)
    assert emptied.done(), task
    task.cancel()
    await asyncio.wait({task})
    missed = clerk.make(library.missed_searches, 10)
    for close in (library.close, blocks.close):
        clerk.make(close)
    await clerk.close()
    return len(missed)


def counted(metrics: Metrics, outcome: str, kind: str = "events") -> float:
    name = "chaski_hub_blocks_total"
    found = metrics.registry.get_sample_value(name, {"kind": kind, "outcome": outcome})
    return found or 0.0


async def test_blocks_are_stored_once_also_when_the_broker_sends_them_again(
    tmp_path: Path, metrics: Metrics
) -> None:
    clock = Clock()
    topic = Topic([[block(1, clock), block(2, clock)], [block(2, clock)]], failures=2)
    assert await run(topic, tmp_path, metrics, clock) == 1
    assert counted(metrics, "stored") == 2
    assert counted(metrics, "duplicate") == 5


async def test_a_block_that_is_refused_does_not_stop_the_others(
    tmp_path: Path, metrics: Metrics
) -> None:
    clock = Clock()
    topic = Topic([[b"", b"CHS1 nonsense", b"CHE1 nonsense", block(1, clock)]])
    assert await run(topic, tmp_path, metrics, clock) == 1
    assert counted(metrics, "stored") == 1
    assert counted(metrics, "damaged") == 1
    assert counted(metrics, "damaged", "samples") == 2
