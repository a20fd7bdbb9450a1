"""Several roads as one, and the thread for a library that blocks."""

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest

from sync.bundle.offer import Offer
from sync.canonical import Digest, digest
from sync.errors import ContentError, TransportError
from sync.lane import Lane
from sync.transport import RefusedError, gathered
from sync.transport.fallback import Fallback, FallbackSink

NAME = digest(b"a bundle")
OFFER = Offer("escuela", None, NAME, NAME, 4, 4, 4, 1, 64)


class Stub:
    """A road that answers, or raises `error` after `good` bytes of a stream."""

    def __init__(self, error: Exception | None = None, good: int = 0) -> None:
        self.error, self.good = error, good
        self.none = False
        self.asked: list[tuple[int, int]] = []

    def _answer(self) -> None:
        if self.error:
            raise self.error

    async def head(self, channel: str) -> bytes:
        self._answer()
        return b"head"

    async def root(self, number: int) -> bytes | None:
        self._answer()
        return None

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        self._answer()
        return None if self.none else OFFER

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        self._answer()
        return None if self.none else b"digests"

    async def object(self, name: Digest) -> bytes:
        self._answer()
        return b"object"

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        self.asked.append((start, stop))
        if self.error:
            if self.good:
                yield b"0123456789"[start : start + self.good]
            raise self.error
        yield b"0123456789"[start:stop]

    async def samples(self, block: bytes) -> bool:
        self._answer()
        return True

    async def events(self, block: bytes) -> bool:
        self._answer()
        return False


async def test_a_road_that_fails_or_refuses_hands_on_every_question() -> None:
    for error in (TransportError("down"), RefusedError("no")):
        roads = Fallback((Stub(error), Stub()))
        assert await roads.head("escuela") == b"head"
        assert await roads.root(2) is None
        assert await roads.offer("escuela", None, NAME) == OFFER
        assert await roads.object(NAME) == b"object"
        assert await roads.chunk_range(NAME, 2, 6) == b"2345"
        sinks = FallbackSink((Stub(error), Stub()))
        assert await sinks.samples(b"block")
        assert not await sinks.events(b"block")


async def test_a_stream_goes_on_over_the_next_road_where_it_stopped() -> None:
    first, second = Stub(TransportError("cut"), good=3), Stub()
    assert await Fallback((first, second)).chunk_range(NAME, 1, 9) == b"12345678"
    assert second.asked == [(4, 9)]


async def test_when_all_roads_fail_the_last_error_counts() -> None:
    roads = Fallback((Stub(RefusedError("no")), Stub(TransportError("down"))))
    for question in (
        roads.head("escuela"),
        roads.offer("escuela", None, NAME),
        roads.chunk_range(NAME, 0, 4),
    ):
        with pytest.raises(TransportError, match="down"):
            await question


async def test_digests_are_asked_of_every_road_and_are_never_an_error() -> None:
    silent, lost = Stub(), Stub(TransportError("down"))
    silent.none = True
    told = Fallback((silent, lost, Stub()))
    assert await told.digests("escuela", None, NAME) == b"digests"
    assert await Fallback((lost, silent)).digests("escuela", None, NAME) is None


async def test_an_offer_that_one_road_has_not_is_asked_of_the_next() -> None:
    empty, false = Stub(), Stub(ContentError("another version"))
    empty.none = True
    assert await Fallback((empty, Stub())).offer("escuela", None, NAME) == OFFER
    assert await Fallback((false, Stub())).offer("escuela", None, NAME) == OFFER
    assert await Fallback((false, empty)).offer("escuela", None, NAME) is None
    with pytest.raises(ContentError):
        await Fallback((empty, false)).offer("escuela", None, NAME)


async def test_a_block_is_refused_only_when_every_road_refuses_it() -> None:
    """A mirror that takes no blocks must not make a node drop what its hub will take later."""
    down, no = Stub(TransportError("down")), Stub(RefusedError("no"))
    for roads in ((down, no), (no, down)):
        with pytest.raises(TransportError, match="down") as caught:
            await FallbackSink(roads).samples(b"block")
        assert not isinstance(caught.value, RefusedError)
    with pytest.raises(RefusedError):
        await FallbackSink((no, no)).events(b"block")


async def test_a_lane_does_one_thing_at_a_time_in_one_thread() -> None:
    lane = Lane("test")
    names = await asyncio.gather(*(lane.run(lambda: threading.current_thread()) for _ in range(3)))
    assert len(set(names)) == 1
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)
    done: list[int] = []
    await lane.close(lambda: done.append(1))
    assert done == [1]
    await Lane("never used").close(lambda: done.append(2))
    assert done == [1]


async def test_closing_a_lane_does_not_wait_for_what_never_ends() -> None:
    lane, held = Lane("test"), threading.Event()
    stuck = asyncio.create_task(lane.run(held.wait))
    await asyncio.wait({stuck}, timeout=0)
    await lane.close(held.clear, patience_s=0.01)
    assert not stuck.done()
    held.set()
    assert await stuck
