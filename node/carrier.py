"""Carrier: moves the bytes of a bundle into the journal, and can be told to stop.

It judges nothing: what came is the journal's and the reader's affair.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from node.outcome import PausedError
from node.worker import Worker
from sync.bundle import BundleReader
from sync.bundle.envelope import PREAMBLE_BYTES, extent
from sync.errors import ContentError, TransportError
from sync.journal import Download
from sync.manifest import Manifest
from sync.transport import Source


@dataclass(frozen=True, slots=True)
class Progress:
    """A bundle on its way in. Sizes in bytes."""

    version: int
    bytes_left: int
    size: int


class SpoiltError(ContentError):
    """What came was wrong and is forgotten already; the rest of the download stands."""


class Carrier:
    """Fetches ranges, in its caller's order. `halted` stops it at the next piece."""

    def __init__(self, worker: Worker, step: Callable[[str], None]) -> None:
        self._worker = worker
        self._step = step
        self.halted = False
        self.progress: Progress | None = None

    async def pieces(
        self, source: Source, download: Download, start: int, stop: int
    ) -> AsyncGenerator[None, None]:
        """Fetches what is missing from `start` up to `stop`; stands still after each piece.

        Raises TransportError, ContentError (not what was announced), SpaceError.
        """
        while wanted := download.wanted(start, stop):
            at, end = wanted
            async with aclosing(source.chunks(download.offer.bundle, at, end)) as pieces:
                async for piece in pieces:
                    self._step("chunk")
                    await self._worker.run(_feed, download, at, piece)
                    at += len(piece)
                    self._came(len(piece))
                    yield
                    if self.halted:
                        raise PausedError("it was paused", hint="the portal goes on with it")
            if at < end:
                raise TransportError(f"bundle {download.offer.bundle[:12]} ended early")

    async def bring(self, source: Source, download: Download, start: int, stop: int) -> None:
        """The same, to the end."""
        async for _ in self.pieces(source, download, start, stop):
            pass

    async def ahead(
        self, source: Source, download: Download, budget: int, start: int = 0, stop: int = 2**53
    ) -> None:
        """The next `budget` bytes that are missing between `start` and `stop`."""
        while budget > 0 and (span := download.wanted(start, stop)):
            end = min(span[1], span[0] + budget)
            budget -= end - span[0]
            await self.bring(source, download, span[0], end)

    async def header(
        self, source: Source, download: Download, base: Manifest | None
    ) -> BundleReader:
        """A reader of the bundle, of which no more than the header need be here.

        Raises as `pieces`, and ContentError for a header that is none.
        """
        size = download.offer.size
        await self.bring(source, download, 0, min(PREAMBLE_BYTES, size))
        with download.path.open("rb") as file:
            end = extent(file.read(min(PREAMBLE_BYTES, size)))
        await self.bring(source, download, 0, end)
        try:
            return await self._worker.run(BundleReader, download.path, base, size)
        except ContentError as error:
            if download.doubt(0, end):
                raise SpoiltError(str(error), error.hint) from error
            raise

    def _came(self, size: int) -> None:
        if self.progress:
            left = max(0, self.progress.bytes_left - size)
            self.progress = replace(self.progress, bytes_left=left)


def _feed(download: Download, at: int, piece: bytes) -> None:
    try:
        download.feed(at, piece)
    except ContentError as error:
        raise SpoiltError(str(error), error.hint) from error


def runs(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """`spans` in their order, neighbours as one: a question each costs the link a turn."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined
