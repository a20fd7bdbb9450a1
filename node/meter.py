"""Meter: a Source around a Source that counts what came down.

It counts what the inner source hands over: payload, whole or in part, also of attempts
that failed later. Headers and packets of the road below are not in it.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sync.bundle.offer import Offer, offer_to_bytes
from sync.canonical import Digest
from sync.transport import Source, gathered


class Meter:
    """`source`, counted. See `Source`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.bytes_down = 0

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
        return self._count(await self._source.object(name))

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        async with aclosing(self._source.chunks(bundle, start, stop)) as pieces:
            async for piece in pieces:
                yield self._count(piece)

    def _count(self, data: bytes) -> bytes:
        self.bytes_down += len(data)
        return data
