"""Counted: a Source around a Source that sees every payload which comes down.

What is done with it is the subclass's: `_count` sees the bytes, `_turn` may hold back bundles
and objects. Headers and packets of the road below are not in it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing

from sync.bundle.offer import Offer, offer_to_bytes
from sync.canonical import Digest
from sync.transport import Source, gathered


class Counted(ABC):
    """`source`, with every payload seen. See `Source`."""

    def __init__(self, source: Source) -> None:
        self._source = source

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

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`."""
        await self._turn()
        found = await self._source.digests(channel, base, target)
        return None if found is None else self._count(found)

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

    @abstractmethod
    def _count(self, data: bytes) -> bytes:
        """Sees `data` and hands it on."""

    async def _turn(self) -> None:
        """Before and between large payloads; returns when more may come."""
        return
