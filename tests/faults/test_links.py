"""Links that are slow or die again and again: nothing is lost, and there is an end."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp.test_utils import BaseTestServer, TestServer

from sync.errors import TransportError
from sync.transport.http import HttpSource, Timeouts
from sync.transport.retrying import Backoff, Retrying
from tests.faults.haste import hasten
from tests.sync.hub import Hub
from tests.sync.test_roads import shelf

ROUND_TRIP_SECONDS = 30.0
PIECE = 4096


class Line:
    """A thin line before a hub: bytes arrive `late` seconds later; `dies` says after how many
    bytes from the hub a new connection ends, None for never."""

    def __init__(self, late: float = 0.0, dies: Callable[[], int | None] = lambda: None) -> None:
        self.connections = self.cuts = 0
        self._late = late
        self._dies = dies

    @contextlib.asynccontextmanager
    async def before(self, hub: BaseTestServer) -> AsyncIterator[str]:
        """The address of the near end."""
        tasks: set[asyncio.Task[None]] = set()
        ends: list[asyncio.StreamWriter] = []

        async def accept(near: asyncio.StreamReader, home: asyncio.StreamWriter) -> None:
            self.connections += 1
            far, out = await asyncio.open_connection(hub.host, hub.port)
            ends.extend((home, out))
            for work in (self._carry(near, out, None), self._carry(far, home, self._dies())):
                task = asyncio.create_task(work)
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server:
            yield "http://127.0.0.1:{1}/".format(*server.sockets[0].getsockname())
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: int | None
    ) -> None:
        loop = asyncio.get_running_loop()
        under_way: deque[bytes] = deque()  # two calls of the same moment come in any order
        with contextlib.suppress(OSError):
            while data := await source.read(PIECE):
                if left is not None and len(data) >= left:
                    self.cuts += 1
                    break
                left = None if left is None else left - len(data)
                under_way.append(data)
                loop.call_later(self._late, lambda: sink.write(under_way.popleft()))
        loop.call_later(self._late * 1.01, sink.close)


@pytest.mark.fault(16, "thirty seconds there and back")
def test_half_a_minute_there_and_back_is_slow_and_nothing_else() -> None:
    assert Timeouts().connect_s > ROUND_TRIP_SECONDS  # nobody can delay it on loopback

    async def work() -> int:
        hub = Hub(shelf())
        made, data = hub.shelf.offers[0]
        line = Line(late=ROUND_TRIP_SECONDS / 2)
        async with (
            TestServer(hub.app) as server,
            line.before(server) as url,
            aiohttp.ClientSession() as session,
        ):
            source = HttpSource(session, url)
            assert await source.head("escuela") == hub.shelf.heads["escuela"]
            assert await source.offer("escuela", made.base, made.target) == made
            assert await source.chunk_range(made.bundle, 0, made.size) == data
        return len(hub.requests)

    requests, seconds = hasten(work)
    assert requests == 3
    assert 3 * ROUND_TRIP_SECONDS <= seconds < 6 * ROUND_TRIP_SECONDS


@pytest.mark.fault(16, "a connection that nobody answers")
def test_a_line_that_swallows_everything_is_given_up() -> None:
    async def work() -> None:
        hub = Hub(shelf())
        async with (
            TestServer(hub.app) as server,
            Line(late=1e6).before(server) as url,
            aiohttp.ClientSession() as session,
        ):
            source = Retrying(HttpSource(session, url), Backoff(attempts=3))
            with pytest.raises(TransportError, match="silent for too long"):
                await source.head("escuela")

    _, seconds = hasten(work)
    assert seconds < 3 * (Timeouts().read_s + Backoff().most_s)


@pytest.mark.fault(16, "one connection in five dies")
def test_a_line_on_which_one_connection_in_five_dies_brings_everything() -> None:
    chance = random.Random("loss")

    def dies() -> int | None:
        return chance.randint(1, 1500) if chance.random() < 0.2 else None

    async def work() -> Line:
        hub = Hub(shelf())
        made, data = hub.shelf.offers[0]
        line = Line(dies=dies)
        async with TestServer(hub.app) as server, line.before(server) as url:
            connector = aiohttp.TCPConnector(force_close=True)
            async with aiohttp.ClientSession(connector=connector) as session:
                source = Retrying(HttpSource(session, url))
                for start in range(0, made.size, PIECE):
                    stop = min(start + PIECE, made.size)
                    assert await source.chunk_range(made.bundle, start, stop) == data[start:stop]
                for _ in range(30):
                    assert await source.head("escuela") == hub.shelf.heads["escuela"]
        return line

    line, _ = hasten(work)
    assert line.cuts >= 3
    assert line.connections > 30
