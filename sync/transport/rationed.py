"""Rationed: a Source around a Source that takes no more than its allowance of a day.

* What came is written down before more is asked for, so that a power cut forgets none of it;
  at worst `SLICE_BYTES` count that never came.
* Bundles are cut to what is left. Heads and roots always pass, and count: news and new keys must
  be heard of. An offer, or an object that repairs, may overdraw what is left, once.
* A head that did not change is not sent again over HTTP; it counts once.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from sync.bundle.offer import Offer
from sync.canonical import Digest
from sync.errors import TransportError
from sync.transport import Source
from sync.transport.counted import Counted

SLICE_BYTES = 64 * 1024
"""So much is written down in advance."""


class SpentError(TransportError):
    """Today's allowance is used up."""


class Allowance(Protocol):
    """What may still come today, remembered over a power cut."""

    def left(self) -> int:
        """Bytes; never less than none."""
        ...

    def spend(self, size: int) -> None:
        """Takes `size` bytes off; fewer than none gives back."""
        ...


class Rationed(Counted):
    """`source`, within `allowance`."""

    def __init__(self, source: Source, allowance: Allowance) -> None:
        super().__init__(source)
        self._allowance = allowance
        self._owed = 0
        self._head = b""

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        data = await self._source.head(channel)
        if data != self._head:
            self._head = self._count(data)
            await self._settle()
        return data

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        await self._turn()
        return await super().offer(channel, base, target)

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`. Raises SpentError where the allowance ends."""
        await self._turn()
        end = min(stop, start + self._allowance.left())
        aside = min(SLICE_BYTES, end - start)
        await asyncio.to_thread(self._allowance.spend, aside)
        try:
            async with aclosing(self._source.chunks(bundle, start, end)) as pieces:
                async for piece in pieces:
                    aside -= len(piece)
                    start += len(piece)
                    if aside <= 0:
                        more = min(SLICE_BYTES, end - start) - aside
                        await asyncio.to_thread(self._allowance.spend, more)
                        aside += more
                    yield piece
            if start < end:
                return
        finally:
            if aside:
                self._allowance.spend(-aside)
        if start < stop:
            raise _spent()

    def _count(self, data: bytes) -> bytes:
        self._owed += len(data)
        return data

    async def _turn(self) -> None:
        """Refuses more when nothing is left."""
        await self._settle()
        if self._allowance.left() <= 0:
            raise _spent()

    async def _settle(self) -> None:
        if self._owed:
            owed, self._owed = self._owed, 0
            await asyncio.to_thread(self._allowance.spend, owed)


def _spent() -> SpentError:
    return SpentError(
        "today's data allowance is used up",
        hint="the rest comes tomorrow; link.megabytes_per_day says how much a day may cost",
    )
