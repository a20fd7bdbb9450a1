"""Retrying: a Source around a Source that tries again, resumes, and ends.

* Waits grow twofold from `first_s` to `most_s`, each with full jitter, so that nodes that
  lost the same link do not come back together.
* A stream goes on where it stopped; bytes that arrive earn the attempts back.
* A RefusedError, like anything that is not of the road, is passed on at once.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sync.bundle.offer import Offer
from sync.canonical import Digest
from sync.errors import TransportError
from sync.transport import RefusedError, Source, gathered

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often to try without any progress, and how long to wait between (seconds)."""

    attempts: int = 5
    first_s: float = 1.0
    most_s: float = 60.0

    def wait_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after that many failures in a row; `chance` is from 0 to 1."""
        return chance * min(self.most_s, self.first_s * 2.0 ** (failures - 1))


class Retrying:
    """`source`, tried again. `sleep` and `chance` are the outside world."""

    def __init__(
        self,
        source: Source,
        backoff: Backoff | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._chance = chance

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        return await self._again(lambda: self._source.head(channel))

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        return await self._again(lambda: self._source.root(number))

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        return await self._again(lambda: self._source.offer(channel, base, target))

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`."""
        return await self._again(lambda: self._source.digests(channel, base, target))

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        return await self._again(lambda: self._source.object(name))

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        failures = 0
        while start < stop:
            try:
                async with contextlib.aclosing(self._source.chunks(bundle, start, stop)) as pieces:
                    async for piece in pieces:
                        start += len(piece)
                        failures = 0
                        yield piece
            except TransportError as error:
                failures += 1
                await self._pause(failures, error)
            else:
                return

    async def _again(self, ask: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await ask()
            except TransportError as error:
                failures += 1
                await self._pause(failures, error)

    async def _pause(self, failures: int, error: TransportError) -> None:
        """Waits, or gives up by raising `error`."""
        if isinstance(error, RefusedError) or failures >= self._backoff.attempts:
            raise error
        await self._sleep(self._backoff.wait_s(failures, self._chance()))
