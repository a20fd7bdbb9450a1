"""RateLimited: a Source around a Source that takes no more than its share of the link.

* What came is counted, and the next is asked for when its time has come: on the whole no more
  than `bytes_per_second`. Time in which nothing was asked for is saved up for `BURST_S` at most.
* Bundles and objects are held back; heads, roots and offers are small and only counted.
* The other end is slowed down because nobody reads, not by a rule of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from sync.transport import Source
from sync.transport.counted import Counted

BURST_S = 1.0
"""Seconds whose bytes may come at once after a pause."""


class RateLimited(Counted):
    """`source`, at most `bytes_per_second`. `clock` (seconds) and `sleep` are the outside world."""

    def __init__(
        self,
        source: Source,
        bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(source)
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._paid_until = clock()

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
