"""Resume: a bundle of 4 MB over a link that is cut 20 times, and a node that dies each time.

    python -m tests.bench.resume [--quick]

* A real hub's download over HTTP on loopback, through a road that counts every byte of both
  directions and closes without a word. After each cut the node begins anew: another
  connection, and the journal read from the disk.
* `extra_percent`: all bytes of TCP payload, requests and headers too, above the bundle's.
* The cuts fall at random places (the same each time). What arrived is compared byte for byte.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from hub import download
from sync import bundle
from sync.bundle import BundleWriter, Offer
from sync.canonical import Digest
from sync.errors import TransportError
from sync.journal import Journal
from sync.transport.http import HttpSource
from tests.bench import trees
from tests.bench.report import finish, options, say

BYTES, QUICK_BYTES = 4_000_000, 2_000_000
CUTS = 20
BLOCK = 16_384


def main(arguments: list[str]) -> None:
    """Measures, prints the report."""
    chosen = options(__doc__ or "").parse_args(arguments)
    finish(asyncio.run(measure(QUICK_BYTES if chosen.quick else BYTES, CUTS)))


async def measure(size: int, cuts: int) -> dict[str, Any]:
    """One bundle of about `size` bytes, interrupted `cuts` times."""
    chance = random.Random("resume")
    tree = {"foto.jpg": b"\0" + chance.randbytes(size)}
    target = trees.version(tree)
    data = BundleWriter(None, target, trees.objects(tree).__getitem__).write()
    offer = bundle.offer(target.channel, None, target, data)
    places = sorted(chance.sample(range(1, len(data)), cuts))
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as name:
        folder = Path(name)
        (folder / offer.bundle).write_bytes(data)
        async with served(folder) as port, Road(port, places).open() as road:
            lives = await _fetch(road, folder / "journal", offer)
            path = Journal(folder / "journal").open(offer).complete()
            verified = path.read_bytes() == data
        say(f"{lives} lives of the node, {road.down:,} bytes down, {road.up:,} up")
        extra = (road.down + road.up - len(data)) / len(data)
        return {
            "cuts": road.cuts,
            "extra_percent": round(100 * extra, 3),
            "bundle": len(data),
            "bytes_down": road.down,
            "bytes_up": road.up,
            "chunk": offer.chunk_size,
            "verified": verified,
        }


async def _fetch(road: "Road", folder: Path, offer: Offer) -> int:
    """Fetches the bundle; how many lives the node needed."""
    lives = 0
    while True:
        lives += 1
        getting = Journal(folder).open(offer)
        wanted = getting.wanted()
        if wanted is None:
            return lives
        at, stop = wanted
        with contextlib.suppress(TransportError):
            async with aiohttp.ClientSession() as session:
                source = HttpSource(session, f"http://127.0.0.1:{road.port}")
                async with aclosing(source.chunks(offer.bundle, at, stop)) as pieces:
                    async for piece in pieces:
                        getting.feed(at, piece)
                        at += len(piece)


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[int]:
    """The hub's download of the files in `folder`; the port."""

    async def give(request: web.Request) -> web.StreamResponse:
        name = Digest(request.match_info["digest"])
        return await download.send(request, folder / name, name)

    app = web.Application()
    app.router.add_get("/v1/bundles/{digest}", give)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


class Road:
    """A relay to `hub_port` that closes when so many bytes came down, at each of `places`."""

    def __init__(self, hub_port: int, places: list[int]) -> None:
        self._hub_port = hub_port
        self._places = list(places)
        self.down = self.up = self.cuts = self.port = 0
        self._carrying: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Road"]:
        """Listens while it is open."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            if self._carrying:
                await asyncio.wait(self._carrying)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self._hub_port)
        up = asyncio.create_task(self._upward(reader, hub_writer))
        try:
            await self._downward(hub_reader, writer)
        finally:
            for end in (writer, hub_writer):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            await up

    async def _upward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(BLOCK):
                self.up += len(data)
                writer.write(data)
                await writer.drain()
            # The node hung up: so do we, or the hub would wait for its next request.
            writer.close()

    async def _downward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(BLOCK):
                cut = bool(self._places) and self.down + len(data) >= self._places[0]
                if cut:
                    data = data[: self._places.pop(0) - self.down]
                    self.cuts += 1
                self.down += len(data)
                writer.write(data)
                await writer.drain()
                if cut:
                    return


if __name__ == "__main__":
    main(sys.argv[1:])
