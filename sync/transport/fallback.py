"""Fallback: several roads as one. Each question goes to the first that can answer it.

* A road that fails, or refuses, hands the question to the next; the last one's error counts.
  A road that fails also rests for a while (`health.py`); one that refuses does not.
* A stream that dies goes on over the next road where it stopped: chunks are named by digest.
* A block is refused only when every road that could be asked refused it.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sync.bundle.offer import Offer, offer_to_bytes
from sync.canonical import Digest
from sync.errors import ContentError, TransportError
from sync.transport import RefusedError, Sink, Source, gathered
from sync.transport.health import Health, Roster
from sync.transport.windowed import ClosedError

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)


class _Roads(Generic[R]):
    """Roads of one kind, in the order of preference."""

    def __init__(
        self, roads: Sequence[R], roster: Roster | None, healths: Sequence[Health]
    ) -> None:
        self._roster = roster or Roster()
        known = healths or [self._roster.add(f"road {n + 1}") for n in range(len(roads))]
        self._roads = list(zip(known, roads, strict=True))

    async def _first(
        self, ask: Callable[[R], Awaitable[T]], size: Callable[[T], int] = lambda answer: 0
    ) -> T:
        trouble: TransportError | None = None
        for health, road in self._roster.order(self._roads):
            try:
                answer = await ask(road)
            except TransportError as error:
                _note(health, error)
                trouble = error
            else:
                health.well(size(answer))
                return answer
        assert trouble is not None
        raise trouble


class Fallback(_Roads[Source]):
    """`sources` in order; at least one. See `Source`."""

    def __init__(
        self,
        sources: Sequence[Source],
        roster: Roster | None = None,
        healths: Sequence[Health] = (),
    ) -> None:
        """`healths` of `roster`, one for each source; without them they are made."""
        super().__init__(sources, roster, healths)

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        return await self._first(lambda source: source.head(channel), len)

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        return await self._first(lambda source: source.root(number), lambda data: len(data or b""))

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`. A road that has none leaves it to the next."""
        trouble: Exception | None = None
        for health, source in self._roster.order(self._roads):
            try:
                found = await source.offer(channel, base, target)
            except (TransportError, ContentError) as error:
                _note(health, error)
                trouble = error
                continue
            health.well(len(offer_to_bytes(found)) if found else 0)
            if found is not None:
                return found
            trouble = None
        if trouble is not None:
            raise trouble
        return None

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`. A road that does not tell them leaves it to the next."""
        for _, source in self._roster.order(self._roads):
            with contextlib.suppress(TransportError, ContentError):
                if (found := await source.digests(channel, base, target)) is not None:
                    return found
        return None

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        return await self._first(lambda source: source.object(name), len)

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        trouble: TransportError | None = None
        for health, source in self._roster.order(self._roads):
            try:
                async with contextlib.aclosing(source.chunks(bundle, start, stop)) as pieces:
                    async for piece in pieces:
                        start += len(piece)
                        health.well(len(piece))
                        yield piece
                return
            except TransportError as error:
                _note(health, error)
                trouble = error
        assert trouble is not None
        raise trouble


class FallbackSink(_Roads[Sink]):
    """`sinks` in order; at least one. The hub keeps a block once, whichever roads it took."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        roster: Roster | None = None,
        healths: Sequence[Health] = (),
    ) -> None:
        """As `Fallback`."""
        super().__init__(sinks, roster, healths)

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._taken(lambda sink: sink.samples(block))

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._taken(lambda sink: sink.events(block))

    async def _taken(self, give: Callable[[Sink], Awaitable[bool]]) -> bool:
        refused: RefusedError | None = None
        trouble: TransportError | None = None
        for health, sink in self._roster.order(self._roads):
            try:
                stored = await give(sink)
                health.well()
                return stored
            except RefusedError as error:
                refused = error
            except TransportError as error:
                _note(health, error)
                trouble = error
        if trouble is None:
            assert refused is not None
            raise refused
        raise trouble


def _note(health: Health, error: Exception) -> None:
    log.info("%s: %s", health.name, error)
    if not isinstance(error, RefusedError | ClosedError):
        health.failed()
