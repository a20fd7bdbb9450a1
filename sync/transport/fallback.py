"""Fallback: several roads as one. Each question goes to the first that can answer it.

* A road that fails, or refuses, hands the question to the next; the last one's error counts.
* A stream that dies goes on over the next road where it stopped: chunks are named by digest.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from sync.bundle.offer import Offer
from sync.canonical import Digest
from sync.errors import ContentError, TransportError
from sync.transport import Sink, Source, gathered

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)


class Fallback:
    """`sources` in order; at least one. See `Source`."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        return await _first(self._sources, lambda source: source.head(channel))

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        return await _first(self._sources, lambda source: source.root(number))

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`. A road that has none leaves it to the next."""
        trouble: Exception | None = None
        for source in self._sources:
            try:
                found = await source.offer(channel, base, target)
            except (TransportError, ContentError) as error:
                log.info("%s", error)
                trouble = error
                continue
            if found is not None:
                return found
            trouble = None
        if trouble is not None:
            raise trouble
        return None

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`. A road that does not tell them leaves it to the next."""
        for source in self._sources:
            with contextlib.suppress(TransportError, ContentError):
                if (found := await source.digests(channel, base, target)) is not None:
                    return found
        return None

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        return await _first(self._sources, lambda source: source.object(name))

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        trouble: TransportError | None = None
        for source in self._sources:
            try:
                async with contextlib.aclosing(source.chunks(bundle, start, stop)) as pieces:
                    async for piece in pieces:
                        start += len(piece)
                        yield piece
                return
            except TransportError as error:
                log.info("%s", error)
                trouble = error
        assert trouble is not None
        raise trouble


class FallbackSink:
    """`sinks` in order; at least one. The hub keeps a block once, whichever roads it took."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        return await _first(self._sinks, lambda sink: sink.samples(block))

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        return await _first(self._sinks, lambda sink: sink.events(block))


async def _first(roads: Sequence[R], ask: Callable[[R], Awaitable[T]]) -> T:
    trouble: TransportError | None = None
    for road in roads:
        try:
            return await ask(road)
        except TransportError as error:
            log.info("%s", error)
            trouble = error
    assert trouble is not None
    raise trouble
