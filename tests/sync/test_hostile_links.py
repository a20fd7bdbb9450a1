"""Links that are slow, half dead or in somebody's hands, through a real relay: each ends as the
road's own failure, and the next road, or the next try, goes on from there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from sync.errors import TransportError
from sync.journal import Journal
from sync.transport import RefusedError, Source
from sync.transport.directory import DirectorySource
from sync.transport.fallback import Fallback
from sync.transport.http import HttpSink, HttpSource, Timeouts
from sync.transport.retrying import Retrying
from tests.sync.hub import Fault, Hub
from tests.sync.test_roads import CHANNEL, collect, fetch, naps, shelf, stick
from tests.sync.wire import Trouble, Wire

QUICK = Timeouts(connect_s=0.2, read_s=0.2, window_s=60.0)


@dataclass
class Link:
    """A hub behind a wire, and the road through it."""

    hub: Hub
    wire: Wire
    source: HttpSource
    sink: HttpSink


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    hub = Hub(shelf())
    server = TestServer(hub.app, host="127.0.0.1")
    await server.start_server()
    assert server.port
    # One connection a request, so that each meets its own trouble.
    connector = aiohttp.TCPConnector(force_close=True)
    async with Wire(server.port) as wire, aiohttp.ClientSession(connector=connector) as session:
        source = HttpSource(session, wire.url, QUICK, clock=wire.clock)
        yield Link(hub, wire, source, HttpSink(session, wire.url, QUICK))
    await server.close()


@pytest.mark.parametrize("trouble", ["drop", "half-open", "cut", "trickle"])
async def test_a_bad_link_is_trouble_that_passes_and_what_came_is_kept(
    link: Link, trouble: Trouble, tmp_path: Path
) -> None:
    made, data = link.hub.shelf.offers[0]
    # aiohttp asks once more by itself where nothing came at all.
    link.wire.troubles = [trouble] * (2 if trouble == "drop" else 1)
    link.wire.cut_at = 30_000
    got = bytearray()
    with pytest.raises(TransportError) as caught:
        await collect(link.source.chunks(made.bundle, 0, made.size), got)
    assert not isinstance(caught.value, RefusedError)
    assert caught.value.hint
    assert data.startswith(got)
    path = await fetch(link.source, Journal(tmp_path), made)
    assert path.read_bytes() == data


async def test_a_byte_a_second_is_as_good_as_none(link: Link) -> None:
    """Silence never lasts: without a least speed such a link would hold a sync for days."""
    made = link.hub.shelf.offers[0][0]
    questions: list[Callable[[], Awaitable[object]]] = [
        lambda: link.source.offer(CHANNEL, None, made.target),
        lambda: link.source.chunk_range(made.bundle, 0, made.size),
    ]
    for ask in questions:
        link.wire.troubles = ["trickle"]
        before = link.wire.now
        with pytest.raises(TransportError, match="bytes in") as caught:
            await ask()
        assert "all but dead" in caught.value.hint
        assert link.wire.now - before < 2000


async def test_a_reader_that_takes_its_time_is_no_bad_link(link: Link) -> None:
    made, data = link.hub.shelf.offers[0]
    got = bytearray()
    async for piece in link.source.chunks(made.bundle, 0, made.size):
        got += piece
        link.wire.now += 3600  # its own affair: it has little of the link, or a slow disk
    assert got == data


async def test_a_fifth_of_all_connections_dropped_loses_nothing(link: Link, tmp_path: Path) -> None:
    made, data = link.hub.shelf.offers[0]
    single: list[Trouble] = ["", "", "drop", "", "", "", "drop", "", "", ""]
    double: list[Trouble] = ["drop", "drop", "", "", "", "", "", "", "", ""]
    link.wire.troubles = [*single * 5, *double * 5]
    slept, sleep = naps()
    road = Retrying(link.source, sleep=sleep, chance=lambda: 1.0)
    journal = Journal(tmp_path)
    for _ in range(10):
        assert await road.head(CHANNEL) == link.hub.shelf.heads[CHANNEL]
        assert await road.offer(CHANNEL, None, made.target) == made
        assert await road.chunk_range(made.bundle, 0, made.size) == data
    assert (await fetch(road, journal, made)).read_bytes() == data
    assert link.wire.connections > 31 + 5
    assert all(seconds == 1.0 for seconds in slept)


HOSTILE: list[Fault] = [
    "busy", "forbidden", "truncate", "short", "stall", "elsewhere", "unsaid", "recoded", "nonsense",
    "moved", "other", "endless",
]  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
async def test_whatever_a_road_answers_the_next_road_goes_on(
    link: Link, fault: Fault, tmp_path: Path
) -> None:
    made, data = link.hub.shelf.offers[0]
    spare: Source = DirectorySource(stick(tmp_path / "stick", link.hub.shelf))
    roads = Fallback((link.source, spare))
    link.hub.faults[fault] = 100
    assert await roads.head(CHANNEL) == link.hub.shelf.heads[CHANNEL]
    assert await roads.root(2) == b"root two"
    assert await roads.offer(CHANNEL, None, made.target) == made
    path = await fetch(roads, Journal(tmp_path / "journal"), made)
    assert path.read_bytes() == data
    [(name, thing)] = link.hub.shelf.objects.items()
    assert await roads.object(name) == thing


@pytest.mark.parametrize("fault", ["busy", "forbidden", "moved", "nonsense"])
async def test_no_proxy_makes_a_node_drop_its_blocks(link: Link, fault: Fault) -> None:
    """A refusal is the hub's own word, in JSON; a portal's 302 or 403 is only in the way."""
    link.hub.faults[fault] = 1
    with pytest.raises(TransportError) as caught:
        await link.sink.samples(b"block")
    assert not isinstance(caught.value, RefusedError)
    assert await link.sink.samples(b"block")


async def test_headers_that_trickle_in_end_too(link: Link) -> None:
    """Each byte breaks the silence; the head of an answer has a time of its own."""

    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            writer.transport.abort()
            ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TransportError, match="silent for too long"):
            await HttpSource(session, url, QUICK).head(CHANNEL)
    await ended.wait()
    server.close()
