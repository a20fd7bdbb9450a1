"""RateLimited: a Source around a Source that takes no more than its share of the link.

* What came is counted, and the next is asked for when its time has come: on the whole no more
  than `bytes_per_second`. Time in which nothing was asked for is saved up for `BURST_S` at most.
* Bundles and objects are held back; heads, roots and offers are small and only counted.
* The other end is slowed down because nobody reads, not by a rule of its own.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from sync.bundle.offer import Offer, offer_to_bytes
from sync.canonical import Digest
from sync.transport import Source, gathered

BURST_S = 1.0
"""Seconds whose bytes may come at once after a pause."""


class RateLimited:
    """`source`, at most `bytes_per_second`. `clock` (seconds) and `sleep` are the outside world."""

    def __init__(
        self,
        source: Source,
        bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._paid_until = clock()

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        return self._count(await self._source.head(channel))

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        found = await self._source.root(number)
        return None if found is None else self._count(found)

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        found = await self._source.offer(channel, base, target)
        if found is not None:
            self._count(offer_to_bytes(found))
        return found

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        await self._turn()
        return self._count(await self._source.object(name))

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        await self._turn()
        async with aclosing(self._source.chunks(bundle, start, stop)) as pieces:
            async for piece in pieces:
                yield self._count(piece)
                await self._turn()

    def _count(self, data: bytes) -> bytes:
        """`data`, paid for with time."""
        begun = max(self._paid_until, self._clock() - BURST_S)
        self._paid_until = begun + len(data) / self._rate
        return data

    async def _turn(self) -> None:
        """Waits until what came is paid for."""
        wait = self._paid_until - self._clock()
        if wait > 0:
            await self._sleep(wait)
