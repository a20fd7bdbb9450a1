"""Uplink: blocks that nodes sent over Kafka, into the same intake as those over HTTP.

* What was taken is marked as done only when it is stored: after a crash it comes again, and
  the intake knows it. A block that the intake refuses is counted and passed over.
* What a node asks for (`sync/want.py`) goes to `supply`; when the broker fails meanwhile it is
  taken, and asked, again.
* A broker that is not there is waited for, ever longer; it is logged when that changes.
* The consumer belongs to one thread; blocks go to the clerk, which owns the intake.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from hub.answers import RefusedError
from hub.intake import Intake, Receipt
from hub.metrics import Metrics
from hub.worker import OverloadedError, Worker
from sync.errors import SpaceError, TransportError
from sync.lane import Lane
from sync.want import MAGIC

WAIT_S = 1.0
FIRST_PAUSE_S, MOST_PAUSE_S = 2.0, 60.0
EVENTS, WANT = b"CHE", MAGIC[:3]
_log = logging.getLogger("chaski.hub")


class Collecting(Protocol):
    """The topic; `sync.transport.kafka.Collector`."""

    def take(self, wait_s: float) -> list[bytes]:
        """The next blocks, or none within `wait_s`."""
        ...

    def done(self) -> None:
        """All that was taken is stored."""
        ...

    def close(self) -> None:
        """Disconnects."""
        ...


class Uplink:
    """Runs until it is cancelled."""

    def __init__(
        self,
        connect: Callable[[], Collecting],
        intake: Intake,
        clerk: Worker,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        supply: Callable[[bytes], Awaitable[str]] | None = None,
    ) -> None:
        """`connect` raises TransportError, and so does `supply`, which returns what it did."""
        self._connect, self._intake, self._clerk = connect, intake, clerk
        self._metrics, self._sleep, self._supply = metrics, sleep, supply
        self._collector: Collecting | None = None

    async def run(self) -> None:
        """Takes blocks for ever."""
        trouble, pause = "", FIRST_PAUSE_S
        while True:
            lane = Lane("chaski-uplink")
            try:
                await self._session(lane)
            except TransportError as error:
                if str(error) != trouble:
                    _log.warning("%s", error)
                    pause = FIRST_PAUSE_S
                trouble = str(error)
            finally:
                await lane.close(self._close)
            await self._sleep(pause)
            pause = min(pause * 2, MOST_PAUSE_S)

    async def _session(self, lane: Lane) -> None:
        """Until the broker fails."""
        await lane.run(self._open)
        while True:
            blocks = await lane.run(self._take)
            for block in blocks:
                await self._store(block)
            if blocks:
                await lane.run(self._done)

    def _open(self) -> None:
        self._collector = self._connect()

    def _take(self) -> list[bytes]:
        assert self._collector is not None
        return self._collector.take(WAIT_S)

    def _done(self) -> None:
        assert self._collector is not None
        self._collector.done()

    def _close(self) -> None:
        if self._collector is not None:
            self._collector.close()
            self._collector = None

    async def _store(self, block: bytes) -> None:
        if self._supply is not None and block.startswith(WANT):
            try:
                done = await self._supply(block)
            except SpaceError as error:
                _log.warning("a want is passed over: %s", error)
                done = "failed"
            self._metrics.wants.labels(done).inc()
            return
        kind = "events" if block.startswith(EVENTS) else "samples"
        store = self._intake.events if kind == "events" else self._intake.samples
        try:
            receipt = await self._patiently(store, block)
        except RefusedError as error:
            _log.warning("block from Kafka is passed over: %s", error)
            self._metrics.blocks.labels(kind, error.reason).inc()
            return
        self._metrics.took(kind, len(block), receipt)

    async def _patiently(self, store: Callable[[bytes], Receipt], block: bytes) -> Receipt:
        while True:
            try:
                return await self._clerk.call(store, block)
            except OverloadedError:
                await self._sleep(FIRST_PAUSE_S)
