"""The contract of a road, over every road there is; then what only a road of wires can do."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from sync.bundle import BundleReader, BundleWriter, Offer, digests_to_bytes, offer, offer_to_bytes
from sync.canonical import Digest, digest
from sync.errors import ContentError, TransportError
from sync.files import atomic_write
from sync.journal import Journal
from sync.transport import RefusedError, Sink, Source, gathered
from sync.transport.directory import (
    DirectorySink,
    DirectorySource,
    DirectoryWriter,
    Layout,
)
from sync.transport.http import HttpSink, HttpSource, Timeouts
from sync.transport.limited import RateLimited
from sync.transport.retrying import Backoff, Retrying
from sync.transport.windowed import Windowed, window
from tests.sync.hub import Fault, Hub, Shelf
from tests.sync.world import World, noise

CHANNEL = "escuela"


@dataclass(frozen=True)
class Road:
    """A road to one shelf."""

    source: Source
    sink: Sink


def shelf() -> Shelf:
    """One channel version as a bundle of several chunks, an object, a head and two roots."""
    world = World()
    target = world.manifest({"foto.bin": noise(5, 70_000)})
    data = BundleWriter(None, target, world.read).write()
    made = offer(CHANNEL, None, target, data, chunk_size=10_000)
    return Shelf(
        heads={CHANNEL: b'{"signed":"head"}'},
        roots={1: b"root one", 2: b"root two"},
        offers=[(made, data)],
        digests={made.bundle: digests_to_bytes(BundleReader(data).header, target)},
        objects=dict(world.objects),
    )


def stick(folder: Path, given: Shelf) -> Path:
    """`given` on a stick, as the hub writes it."""
    writer = DirectoryWriter(folder)
    for number, data in given.roots.items():
        writer.put_root(number, data)
    for made, data in given.offers:
        writer.put_digests(made, given.digests[made.bundle])
        writer.put_bundle(made, data)
    for data in given.objects.values():
        writer.put_object(data)
    for channel, data in given.heads.items():
        writer.put_head(channel, data)
    return folder


@pytest.fixture
def given() -> Shelf:
    return shelf()


@pytest.fixture
def hub(given: Shelf) -> Hub:
    return Hub(given)


@pytest.fixture
async def server(hub: Hub) -> AsyncIterator[TestServer]:
    running = TestServer(hub.app, host="127.0.0.1")
    await running.start_server()
    yield running
    await running.close()


@pytest.fixture
async def http(server: TestServer) -> AsyncIterator[Road]:
    url = str(server.make_url("/"))
    async with aiohttp.ClientSession() as session:
        yield Road(HttpSource(session, url), HttpSink(session, url))


@pytest.fixture(params=["http", "directory", "retrying", "limited", "windowed"])
async def road(
    request: pytest.FixtureRequest, given: Shelf, tmp_path: Path, server: TestServer
) -> AsyncIterator[Road]:
    folder = stick(tmp_path / "stick", given)
    async with aiohttp.ClientSession() as session:
        url = str(server.make_url("/"))
        yield {
            "http": Road(HttpSource(session, url), HttpSink(session, url)),
            "directory": Road(DirectorySource(folder), DirectorySink(folder)),
            "retrying": Road(
                Retrying(DirectorySource(folder), sleep=naps()[1]), DirectorySink(folder)
            ),
            "limited": Road(
                RateLimited(DirectorySource(folder), 1e6, clock=lambda: 0.0, sleep=naps()[1]),
                DirectorySink(folder),
            ),
            "windowed": Road(
                Windowed(DirectorySource(folder), [window("22:00-06:00")], lambda: 0),
                DirectorySink(folder),
            ),
        }[request.param]


async def test_a_road_gives_the_head_and_every_root(road: Road, given: Shelf) -> None:
    assert await road.source.head(CHANNEL) == given.heads[CHANNEL]
    assert await road.source.root(1) == b"root one"
    assert await road.source.root(2) == b"root two"
    assert await road.source.root(3) is None


async def test_a_channel_that_is_not_there_is_refused(road: Road) -> None:
    with pytest.raises(RefusedError, match="not found"):
        await road.source.head("otra")


@pytest.mark.parametrize("channel", ["../x", "", "a/b", "Escuela", "a" * 81])
async def test_a_name_that_is_no_channel_goes_nowhere(road: Road, channel: str) -> None:
    with pytest.raises(ContentError, match="not a channel"):
        await road.source.head(channel)


async def test_a_road_gives_an_offer_or_says_there_is_none(road: Road, given: Shelf) -> None:
    made = given.offers[0][0]
    assert await road.source.offer(CHANNEL, None, made.target) == made
    assert await road.source.offer(CHANNEL, digest(b"unknown base"), made.target) is None


async def test_a_road_tells_the_digests_of_a_bundle_or_not(road: Road, given: Shelf) -> None:
    made = given.offers[0][0]
    told = await road.source.digests(CHANNEL, None, made.target)
    assert told == b"".join(map(bytes.fromhex, given.objects))
    assert await road.source.digests(CHANNEL, digest(b"unknown base"), made.target) is None


async def test_a_road_gives_any_range_of_a_bundle(road: Road, given: Shelf) -> None:
    made, data = given.offers[0]
    for start, stop in [(0, 1), (0, made.size), (9_999, 20_001), (made.size - 1, made.size)]:
        assert await road.source.chunk_range(made.bundle, start, stop) == data[start:stop]
        pieces = [piece async for piece in road.source.chunks(made.bundle, start, stop)]
        assert b"".join(pieces) == data[start:stop]
        assert all(pieces)


async def test_a_range_past_the_end_and_an_unknown_bundle_are_failures(
    road: Road, given: Shelf
) -> None:
    made = given.offers[0][0]
    with pytest.raises(TransportError):
        await road.source.chunk_range(made.bundle, 0, made.size + 1)
    with pytest.raises(RefusedError):
        await road.source.chunk_range(digest(b"unknown"), 0, 10)
    with pytest.raises(ContentError):
        await road.source.chunk_range(Digest("../../etc/passwd"), 0, 10)


async def test_a_road_gives_one_object_whole(road: Road, given: Shelf) -> None:
    [(name, data)] = given.objects.items()
    assert await road.source.object(name) == data
    with pytest.raises(RefusedError):
        await road.source.object(digest(b"unknown"))
    with pytest.raises(ContentError):
        await road.source.object(Digest("x"))


async def test_a_road_gives_an_object_in_pieces_like_a_bundle(road: Road, given: Shelf) -> None:
    [(name, data)] = given.objects.items()
    pieces = [piece async for piece in road.source.chunks(name, 1000, len(data))]
    assert len(pieces) > 1
    assert b"".join(pieces) == data[1000:]


async def test_a_road_takes_blocks_and_knows_those_it_has(road: Road) -> None:
    assert await road.sink.samples(b"block one")
    assert not await road.sink.samples(b"block one")
    assert await road.sink.events(b"block one")
    assert await road.sink.samples(b"block two")


async def test_a_bundle_begun_on_one_road_is_completed_on_another(
    http: Road, hub: Hub, given: Shelf, tmp_path: Path
) -> None:
    made, data = given.offers[0]
    journal = Journal(tmp_path / "journal")
    hub.faults["truncate"] = 1
    with pytest.raises(TransportError):
        await fetch(http.source, journal, made)
    begun = journal.open(made)
    span = begun.wanted()
    assert span is not None
    assert 0 < span[0] < made.size
    source = DirectorySource(stick(tmp_path / "stick", given))
    path = await fetch(source, journal, made)
    assert path.read_bytes() == data
    assert hub.sent["bundle"] >= span[0]


async def fetch(source: Source, journal: Journal, made: Offer) -> Path:
    """As the updater does it: ask for what is wanted, feed what comes."""
    download = journal.open(made)
    while span := download.wanted():
        start, stop = span
        async for piece in source.chunks(made.bundle, start, stop):
            download.feed(start, piece)
            start += len(piece)
    return download.complete()


async def test_twenty_cuts_cost_no_byte_twice(http: Road, hub: Hub, tmp_path: Path) -> None:
    made, data = hub.shelf.offers[0]
    journal = Journal(tmp_path)
    hub.faults["truncate"] = 20
    for _ in range(20):
        with pytest.raises(TransportError):
            await fetch(http.source, journal, made)
    assert (await fetch(http.source, journal, made)).read_bytes() == data
    assert hub.sent["bundle"] == made.size


async def collect(pieces: AsyncIterator[bytes], into: bytearray) -> None:
    """Adds the pieces to `into`, also those before a failure."""
    async for piece in pieces:
        into += piece


def naps() -> tuple[list[float], Callable[[float], Awaitable[None]]]:
    """A sleep that takes no time and remembers."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    return slept, sleep


@pytest.mark.fault(18, "a wrong Content-Range")
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("busy", "503"),
        ("truncate", "payload|Response|closed|disconnect"),
        ("short", "bytes early"),
        ("elsewhere", "got 'bytes 1-"),
        ("unsaid", "does not say which"),
    ],
)
async def test_a_fault_of_the_link_is_an_error_once_and_passes(
    http: Road, hub: Hub, fault: Fault, why: str
) -> None:
    made, data = hub.shelf.offers[0]
    hub.faults[fault] = 1
    with pytest.raises(TransportError, match=why) as caught:
        await http.source.chunk_range(made.bundle, 0, made.size)
    assert not isinstance(caught.value, RefusedError)
    assert caught.value.hint
    hub.faults[fault] = 2
    slept, sleep = naps()
    again = Retrying(http.source, sleep=sleep, chance=lambda: 1.0)
    assert await again.chunk_range(made.bundle, 0, made.size) == data
    assert len(slept) == 2


@pytest.mark.fault(18, "200 in place of 206")
async def test_the_whole_file_instead_of_a_part_is_cut(http: Road, hub: Hub) -> None:
    made, data = hub.shelf.offers[0]
    for start, stop in [(0, 10), (30_000, 50_000), (60_000, made.size)]:
        hub.faults["whole"] = 1
        assert await http.source.chunk_range(made.bundle, start, stop) == data[start:stop]


@pytest.mark.fault(18, "another file under the address")
async def test_another_file_under_the_address_is_refused(http: Road, hub: Hub) -> None:
    made = hub.shelf.offers[0][0]
    hub.faults["other"] = 1
    with pytest.raises(RefusedError, match="another file"):
        await http.source.chunk_range(made.bundle, 0, 10)


@pytest.mark.fault(4, "in a chunk on its way")
@pytest.mark.fault(18, "changed bytes")
async def test_changed_bytes_are_found_by_the_journal_and_fetched_again(
    http: Road, hub: Hub, tmp_path: Path
) -> None:
    made, data = hub.shelf.offers[0]
    hub.faults["changed"] = 1
    with pytest.raises(ContentError, match="chunk 0 is not the one announced"):
        await fetch(http.source, Journal(tmp_path), made)
    assert (await fetch(http.source, Journal(tmp_path), made)).read_bytes() == data


@pytest.mark.fault(17, "a bundle that stalls")
@pytest.mark.fault(16, "a connection that nobody answers")
async def test_a_silent_link_is_an_error(server: TestServer, hub: Hub) -> None:
    made, data = hub.shelf.offers[0]
    hub.faults["stall"] = 1
    async with aiohttp.ClientSession() as session:
        source = HttpSource(session, str(server.make_url("/")), Timeouts(read_s=0.1))
        got = bytearray()
        with pytest.raises(TransportError, match="silent for too long"):
            await collect(source.chunks(made.bundle, 0, made.size), got)
        assert data.startswith(got)
        assert len(got) == made.size // 2


async def test_a_hub_that_is_not_there_is_an_error_with_a_hint(server: TestServer) -> None:
    url = str(server.make_url("/"))
    await server.close()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TransportError) as caught:
            await HttpSource(session, url).head(CHANNEL)
        assert "see that the hub runs" in caught.value.hint
        with pytest.raises(TransportError):
            await HttpSource(session, "no address").head(CHANNEL)


@pytest.mark.fault(17, "a head without end")
@pytest.mark.fault(18, "gzip on the way")
@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        ("recoded", TransportError, "re-coded on the way"),
        ("forbidden", RefusedError, "403"),
        ("moved", RefusedError, "302"),
        ("endless", TransportError, "more than the"),
    ],
)
async def test_a_small_answer_that_cannot_be_right_is_an_error(
    http: Road, hub: Hub, fault: Fault, kind: type[Exception], why: str
) -> None:
    hub.faults[fault] = 1
    with pytest.raises(kind, match=why):
        await http.source.head(CHANNEL)
    assert await http.source.head(CHANNEL) == hub.shelf.heads[CHANNEL]


@pytest.mark.fault(18, "a captive portal")
async def test_a_captive_portal_is_no_hub(http: Road, hub: Hub) -> None:
    hub.faults["nonsense"] = 4
    made = hub.shelf.offers[0][0]
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: http.source.offer(CHANNEL, None, made.target),
        lambda: http.source.head(CHANNEL),
        lambda: http.source.root(2),
        lambda: http.sink.samples(b"block"),
    ]
    for ask in asks:
        with pytest.raises(TransportError, match="a web page instead") as caught:
            await ask()
        assert not isinstance(caught.value, RefusedError)
        assert "sign in" in caught.value.hint


async def test_a_block_that_the_hub_will_never_take_is_refused(http: Road, hub: Hub) -> None:
    with pytest.raises(RefusedError, match="422"):
        await http.sink.samples(b"bad block")
    hub.faults["busy"] = 1
    with pytest.raises(TransportError, match="503") as caught:
        await http.sink.events(b"block")
    assert not isinstance(caught.value, RefusedError)
    assert await http.sink.events(b"block")


async def test_requests_ask_for_plain_bytes_of_one_version(http: Road, hub: Hub) -> None:
    made = hub.shelf.offers[0][0]
    await http.source.chunk_range(made.bundle, 5, 10)
    await http.source.head(CHANNEL)
    bundle, head = (request.headers for request in hub.requests)
    assert bundle["Range"] == "bytes=5-9"
    assert bundle["If-Match"] == f'"{made.bundle}"'
    assert "If-Range" not in bundle
    assert bundle["Accept-Encoding"] == head["Accept-Encoding"] == "identity"


@pytest.mark.fault(21, "an offer for another question")
async def test_an_offer_for_another_question_is_a_content_error(
    given: Shelf, tmp_path: Path
) -> None:
    made = given.offers[0][0]
    asked = digest(b"another target")
    path = Layout(tmp_path).offer(CHANNEL, None, asked)
    atomic_write(path, offer_to_bytes(made))
    with pytest.raises(ContentError, match="another version"):
        await DirectorySource(tmp_path).offer(CHANNEL, None, asked)


@pytest.mark.fault(19, "copied in part")
async def test_a_stick_with_half_a_file_is_a_failure_of_the_road(
    given: Shelf, tmp_path: Path
) -> None:
    made, data = given.offers[0]
    stick(tmp_path, given)
    (tmp_path / "bundles" / made.bundle).write_bytes(data[:15_000])
    got = bytearray()
    with pytest.raises(TransportError, match="bytes early") as caught:
        await collect(DirectorySource(tmp_path).chunks(made.bundle, 0, made.size), got)
    assert got == data[:15_000]
    assert not isinstance(caught.value, RefusedError)


async def test_a_stick_with_huge_or_strange_files_is_a_failure_of_the_road(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.head(CHANNEL).parent.mkdir(parents=True)
    with layout.head(CHANNEL).open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TransportError, match="more than the"):
        await DirectorySource(tmp_path).head(CHANNEL)
    layout.root(1).mkdir(parents=True)
    with pytest.raises(TransportError, match="directory"):
        await DirectorySource(tmp_path).root(1)


async def test_a_sink_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(b"a file where a folder should be")
    with pytest.raises(TransportError) as caught:
        await DirectorySink(tmp_path).samples(b"block")
    assert "stick" in caught.value.hint


class Flaky:
    """A Source whose every request fails after `steps[n]` bytes, then gives the rest."""

    def __init__(self, data: bytes, steps: list[int]) -> None:
        self.data = data
        self.steps = steps
        self.asked: list[tuple[int, int]] = []

    async def head(self, channel: str) -> bytes:
        if self.steps:
            self.steps.pop(0)
            raise TransportError("link down")
        return self.data

    async def root(self, number: int) -> bytes | None:
        await self.head("")
        return None

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        return None

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        await self.head("")
        return None

    async def object(self, name: Digest) -> bytes:
        return await self.head("")

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        self.asked.append((start, stop))
        if self.steps:
            size = self.steps.pop(0)
            if size:
                yield self.data[start : start + size]
            raise TransportError("link down")
        yield self.data[start:stop]


async def test_retrying_resumes_where_the_stream_stopped() -> None:
    flaky = Flaky(b"0123456789", [3, 0, 4])
    slept, sleep = naps()
    retrying = Retrying(flaky, Backoff(attempts=3, first_s=2), sleep=sleep, chance=lambda: 0.5)
    assert await retrying.chunk_range(digest(b""), 0, 10) == b"0123456789"
    assert flaky.asked == [(0, 10), (3, 10), (3, 10), (7, 10)]
    assert slept == [1.0, 2.0, 1.0]


async def test_retrying_ends_when_nothing_comes() -> None:
    flaky = Flaky(b"0123456789", [2, 0, 0, 0, 0])
    slept, sleep = naps()
    retrying = Retrying(flaky, Backoff(attempts=4), sleep=sleep, chance=lambda: 1.0)
    with pytest.raises(TransportError, match="link down"):
        await retrying.chunk_range(digest(b""), 0, 10)
    assert flaky.asked == [(0, 10), (2, 10), (2, 10), (2, 10)]
    assert slept == [1.0, 2.0, 4.0]


async def test_retrying_asks_every_question_again() -> None:
    _, sleep = naps()
    questions: list[Callable[[Source], Awaitable[object]]] = [
        lambda source: source.head("x"),
        lambda source: source.root(1),
        lambda source: source.offer("x", None, digest(b"")),
        lambda source: source.object(digest(b"")),
    ]
    for ask in questions:
        flaky = Flaky(b"answer", [0, 0])
        await ask(Retrying(flaky, sleep=sleep))
        assert flaky.steps == []
        with pytest.raises(TransportError):
            await ask(Retrying(Flaky(b"", [0] * 9), Backoff(attempts=9), sleep=sleep))


async def test_a_refusal_is_not_retried(http: Road, hub: Hub) -> None:
    slept, sleep = naps()
    hub.faults["forbidden"] = 1
    with pytest.raises(RefusedError):
        await Retrying(http.source, sleep=sleep).head(CHANNEL)
    assert slept == []


@pytest.mark.parametrize(("failures", "wait"), [(1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (99, 60)])
def test_waits_double_up_to_a_limit_with_full_jitter(failures: int, wait: float) -> None:
    backoff = Backoff()
    assert backoff.wait_s(failures, 1.0) == wait
    assert backoff.wait_s(failures, 0.25) == wait / 4
    assert backoff.wait_s(failures, 0.0) == 0.0
