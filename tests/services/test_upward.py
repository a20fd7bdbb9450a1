"""What a village tells and hands in, over each road: once, whatever happens on the way."""

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from hub import stick
from hub.answers import RefusedError
from hub.app import build_app
from hub.blocks import Blocks
from hub.config import HubConfig, HubTable, IntakeTable, ReviewTable, ServerTable
from hub.intake import Intake
from hub.library import Library
from hub.review import Review
from node.handing import Handing
from node.telemetry.clock import Clock as NodeClock
from node.telemetry.forwarder import Forwarded, Forwarder
from node.telemetry.metrics import Metrics
from node.telemetry.recorder import Recorder
from node.telemetry.spool import Spool
from node.worker import Worker
from sync.errors import TransportError
from sync.events import decode_events
from sync.identity import NodeKey, SignedSink
from sync.transport import Sink
from sync.transport.directory import DirectorySink
from sync.transport.http import HttpSink, Timeouts
from sync.transport.kafka import Collector
from sync.transport.kafka_road import KafkaSink
from tests.hub.fakes import CHANNEL, a_lesson
from tests.hub_web.reports import NOW
from tests.node.village import village
from tests.pictures import jpeg
from tests.services.mock_broker import mock_broker
from tests.sync.test_parcel import handed

# kafka-python leaves the sockets of attempts that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <:ResourceWarning",
    "ignore:Exception ignored in. <(ssl|socket):pytest.PytestUnraisableExceptionWarning",
)
NODE = "ocongate"
BODY = random.Random(3).randbytes(120_000).replace(b"\xff", b"\xfe")
PHOTO = jpeg(body=BODY)


class Hub:
    """The databases of a hub where every node must be enrolled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open()
        self.library.set_channel(CHANNEL, NOW)
        Review(self.library, ReviewTable()).bring_in(a_lesson(), ["Rosa"])

    def open(self) -> None:
        self.library = Library(self.folder / "hub.db")
        self.blocks = Blocks(self.folder / "intake.db", max_names=10_000, max_bytes=10**9)
        self.intake = Intake(self.blocks, self.library, signed=True)
        self.refused: list[str] = []

    def close(self) -> None:
        self.library.close()
        self.blocks.close()

    def take(self, block: bytes) -> None:
        """As the uplink does."""
        try:
            self.intake.events(block)
        except RefusedError as error:
            self.refused.append(error.reason)

    @property
    def told(self) -> tuple[int, int, int]:
        """Times a lesson was opened, searches missed, lessons handed in."""
        opened = sum(one.opened for one in self.library.learning.lessons())
        missed = sum(m.times for m in self.library.missed_searches())
        uploads = [c for c in self.library.candidates() if c.origin == "upload"]
        return opened, missed, len(uploads)


@dataclass
class Station:
    """The part of a node that reports."""

    folder: Path
    key: NodeKey = field(default_factory=NodeKey.create)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.village = village(self.folder)
        self.spool = Spool(self.folder / "spool.db", 4_000_000, "boot")
        self.clock = NodeClock(wall=lambda: NOW)
        self.recorder = Recorder(self.spool, Metrics(CollectorRegistry()), self.clock, NODE)
        self.handing = Handing(self.spool, self.village.library, self.clock, NODE, self.folder, 0)
        self.worker = Worker("telemetry")

    def close(self) -> None:
        self.spool.close()
        self.village.store.close()

    def work(self) -> None:
        """A day at school: five openings, a search in vain, a lesson with a photo."""
        for _ in range(5):
            self.recorder.record("lesson_opened", {"lesson": "sumar", "language": "es"})
        self.recorder.record("search_missed", {"query": "volcanes", "language": "es"})
        self.recorder.seal()
        self.handing.hand_in(handed(files=[("foto.jpg", PHOTO)]))

    def forwarder(self, sink: Sink, **how: bool) -> Forwarder:
        return Forwarder(self.spool, SignedSink(sink, self.key), self.worker, **how)

    async def forward(self, sink: Sink, **how: bool) -> Forwarded:
        return await self.forwarder(sink, **how).forward()

    @property
    def state(self) -> str:
        """Of the lesson that was handed in."""
        return self.handing.handed()[0].state


@dataclass
class Road:
    """One road: its end in the village, and how its blocks come to the hub."""

    name: str
    sink: Sink
    arrive: Callable[[], Awaitable[None]]
    answers: bool = False
    """The hub itself acknowledges."""


class Faulty:
    """A sink that loses the answer of every other block, and the link after `after` blocks."""

    def __init__(self, sink: Sink, after: int) -> None:
        self._sink, self._after, self.sent = sink, after, 0

    async def events(self, block: bytes) -> bool:
        return await self._do(self._sink.events, block)

    async def samples(self, block: bytes) -> bool:
        return await self._do(self._sink.samples, block)

    async def _do(self, send: Callable[[bytes], Awaitable[bool]], block: bytes) -> bool:
        if self.sent >= self._after:
            raise TransportError("the link died")
        self.sent += 1
        stored = await send(block)
        if self.sent % 2 == 0:
            raise TransportError("the answer was lost")
        return stored


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    (tmp_path / "hub").mkdir()
    with contextlib.closing(Hub(tmp_path / "hub")) as made:
        yield made


@pytest.fixture
def station(tmp_path: Path, hub: Hub) -> Iterator[Station]:
    with contextlib.closing(Station(tmp_path / "node")) as made:
        hub.blocks.enrol(NODE, made.key.public, NOW)
        yield made


async def nothing() -> None:
    """HTTP: the hub has it already."""


@contextlib.asynccontextmanager
async def by_http(hub: Hub, folder: Path) -> AsyncIterator[Road]:
    config = HubConfig(
        HubTable(str(hub.folder)), ServerTable(port=0), intake=IntakeTable(signed=True)
    )
    async with TestServer(build_app(config)) as server, aiohttp.ClientSession() as session:
        sink = HttpSink(session, str(server.make_url("")).rstrip("/"), Timeouts(5, 5))
        yield Road("http", sink, nothing, answers=True)


@contextlib.asynccontextmanager
async def by_kafka(hub: Hub, folder: Path) -> AsyncIterator[Road]:
    with mock_broker() as broker:
        collector = Collector(broker.table(), folder / "place")
        sink = KafkaSink(broker.table(), NODE)

        async def arrive() -> None:
            while blocks := collector.take(1.0):
                for block in blocks:
                    hub.take(block)
                collector.done()

        try:
            yield Road("broker", sink, arrive)
        finally:
            await sink.close()
            collector.close()


@contextlib.asynccontextmanager
async def by_stick(hub: Hub, folder: Path) -> AsyncIterator[Road]:
    media = folder / "media"
    media.mkdir()

    async def arrive() -> None:
        stick.collect(media, hub.intake)

    (media / "chaski").mkdir()
    yield Road("stick", DirectorySink(media / "chaski"), arrive)


ROADS = {"http": by_http, "broker": by_kafka, "stick": by_stick}


@pytest.fixture(params=list(ROADS))
async def road(request: pytest.FixtureRequest, hub: Hub, tmp_path: Path) -> AsyncIterator[Road]:
    async with ROADS[request.param](hub, tmp_path) as made:
        yield made


async def test_a_day_at_school_arrives_once(road: Road, hub: Hub, station: Station) -> None:
    station.work()
    assert station.state == "waiting"
    done = await station.forward(road.sink, hub_answers=road.answers)
    assert (done.trouble, done.stored) == ("", 4)
    assert station.state == ("received" if road.answers else "sent")
    await road.arrive()
    assert hub.told == (5, 1, 1)
    assert hub.refused == []
    (number,) = [c.id for c in hub.library.candidates() if c.origin == "upload"]
    assert hub.library.heard.attachment(number, 0)[1] == jpeg(told=b"", body=BODY)


async def test_a_link_that_dies_again_and_again_costs_nothing_but_time(
    road: Road, hub: Hub, station: Station
) -> None:
    station.work()
    for _ in range(12):
        await station.forward(Faulty(road.sink, 2), hub_answers=road.answers)
        await road.arrive()
    await station.forward(road.sink)
    await road.arrive()
    assert station.spool.depth().blocks == 0
    assert hub.told == (5, 1, 1)


async def test_blocks_sent_twice_and_in_any_order_count_once(
    road: Road, hub: Hub, station: Station
) -> None:
    station.work()
    seqs = [*station.spool.waiting("uploads"), *station.spool.waiting("events")] * 2
    random.Random(1).shuffle(seqs)
    for seq in seqs:
        block = station.spool.block(seq)
        assert block
        await road.sink.events(station.key.sign(block.data))
        if seq % 2:
            await road.arrive()
    await road.arrive()
    assert hub.told == (5, 1, 1)


async def test_what_takes_every_road_counts_once(
    tmp_path: Path, hub: Hub, station: Station
) -> None:
    station.work()
    async with contextlib.AsyncExitStack() as stack:
        roads = [await stack.enter_async_context(make(hub, tmp_path)) for make in ROADS.values()]
        for one in roads:
            await station.forward(one.sink, keep=True)
        assert station.state == "waiting"
        for one in reversed(roads):
            await one.arrive()
    assert hub.told == (5, 1, 1)


async def test_hostile_blocks_are_refused_and_the_rest_is_kept(
    road: Road, hub: Hub, station: Station
) -> None:
    """Flipped bits, another's key, no key, a foreign program, the wrong kind, too much."""
    station.work()
    good = [
        b for kind in ("events", "uploads") for seq in station.spool.waiting(kind)
        if (b := station.spool.block(seq))
    ]  # fmt: skip
    signed = station.key.sign(good[0].data)
    flipped = bytearray(signed)
    flipped[40] ^= 8
    bad = [
        bytes(flipped), good[0].data, NodeKey.create().sign(good[0].data), b"GET / HTTP/1.1",
        b"CHS2" + signed[4:], signed[: len(signed) // 2],
    ]  # fmt: skip
    for block in [*bad, *(station.key.sign(b.data) for b in good)]:
        with contextlib.suppress(TransportError):  # HTTP says no at once
            await road.sink.events(block)
    await road.arrive()
    assert hub.told == (5, 1, 1)
    if road.name == "broker":
        assert sorted(hub.refused) == ["damaged"] * 4 + ["signature"] * 2


async def test_a_node_that_was_wiped_goes_on_counting(
    road: Road, hub: Hub, station: Station, tmp_path: Path
) -> None:
    station.work()
    await station.forward(road.sink)
    with contextlib.closing(Station(tmp_path / "new", station.key)) as anew:
        anew.work()
        await anew.forward(road.sink)
    await road.arrive()
    assert hub.told == (10, 2, 1)  # the lesson handed in again is the same lesson


async def test_what_leaves_a_node_about_pupils_is_counts_of_a_day(station: Station) -> None:
    station.work()
    [seq] = station.spool.waiting("events")
    block = station.spool.block(seq)
    assert block
    told = decode_events(block.data).events
    assert [e.kind for e in told] == ["search_missed", "learned"]
    assert told[1].data == {"lesson": "sumar", "language": "es", "day": "2027-01-15", "opened": "5"}
    assert told[1].at % 86_400_000 == 0
