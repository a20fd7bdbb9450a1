"""Intake: judges what nodes report; what is acknowledged is stored once and durable.

* A second copy of a block is answered "duplicate" and changes nothing.
* A block whose samples lie more than `future_seconds` ahead of the hub's clock is refused
  whole, with a reason of its own: one clock in the year 2030 would hide every later value.
* Nothing a stranger sends grows without bound: bytes a block, nodes, series a node; `Blocks`
  bounds what is kept.
* Missed searches go to the library after their block is stored, and the block is marked when
  they did: after a crash in between they are counted again (at least once, never lost).
* Not thread-safe: one worker thread owns it, its blocks and its library connection.
"""

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar, get_args

from hub.answers import RefusedError
from hub.blocks import Blocks, Name
from sync.errors import ContentError
from sync.events import EventBlock, decode_events
from sync.lesson import Language
from sync.samples import Block, decode_block

B = TypeVar("B", Block, EventBlock)
MAX_BLOCK_BYTES = 1024 * 1024
MAX_NODES = 20_000
MAX_SERIES = 2_000
MAX_NAMES = 5_000_000
MAX_KEPT_BYTES = 2 * 1024**3
FUTURE_SECONDS = 600.0
LANGUAGES = frozenset(get_args(Language))
_log = logging.getLogger("chaski.hub")


class MissedSearches(Protocol):
    """Who wants to know what pupils looked for in vain; `hub.library.Library`."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""
        ...

    def add_missed_search(self, query: str, language: str, node: str, at: float) -> None:
        """Counts one; `at` is unix seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a block: stored, or known already; and the kinds of its new events."""

    stored: bool
    events: tuple[str, ...] = ()


class Intake:
    """The only way into `Blocks`."""

    def __init__(
        self,
        blocks: Blocks,
        missed: MissedSearches,
        clock: Callable[[], float] = time.time,
        *,
        block_bytes: int = MAX_BLOCK_BYTES,
        max_nodes: int = MAX_NODES,
        max_series: int = MAX_SERIES,
        future_seconds: float = FUTURE_SECONDS,
    ) -> None:
        self._blocks, self._missed, self._clock = blocks, missed, clock
        self._block_bytes, self._max_nodes, self._max_series = block_bytes, max_nodes, max_series
        self._future_seconds = future_seconds

    def samples(self, body: bytes) -> Receipt:
        """Stores a sealed sample block. Raises RefusedError: damaged, ahead, or too much."""
        block = self._decode(decode_block, body)
        name = Name("samples", block.node, block.epoch, block.seq)
        now = self._clock()
        ahead = max(block.times, default=0) / 1000 - now
        if ahead > self._future_seconds:
            raise RefusedError(
                422,
                "clock",
                f"block {block.node}/{block.epoch}/{block.seq}: its samples lie "
                f"{ahead:.0f} s ahead of the hub's clock",
                hint="set the clock of the node; this block cannot be taken",
            )
        with self._blocks.transaction():
            if not self._keep(name, body, now, block.clock, delivered=True):
                return Receipt(False)
            self._blocks.read(name, _last_values(block), sure=block.clock != "unknown")
            if self._blocks.series(block.node) > self._max_series:
                raise RefusedError(
                    422,
                    "series",
                    f"node {block.node}: more than {self._max_series} series",
                    hint="a label of the node's metrics takes too many values",
                )
        return Receipt(True)

    def events(self, body: bytes) -> Receipt:
        """Stores a sealed event block and hands on what was missed. Raises RefusedError."""
        block = self._decode(decode_events, body)
        name = Name("events", block.node, block.epoch, block.seq)
        with self._blocks.transaction():
            if not self._keep(name, body, self._clock(), None, delivered=False):
                return Receipt(False)
        self.deliver()
        return Receipt(True, tuple(event.kind for event in block.events))

    def nodes(self) -> int:
        """How many nodes ever reported."""
        return self._blocks.nodes()

    def deliver(self) -> None:
        """Hands on every missed search that was stored and not handed on yet.

        While the library is locked by another program they wait for the next call.
        """
        for number, body in self._blocks.undelivered():
            try:
                block = decode_events(body)
                with self._missed.transaction():
                    for query, language, at in _misses(block):
                        when = min(at, self._clock())
                        self._missed.add_missed_search(query, language, block.node, when)
            except sqlite3.OperationalError as error:
                _log.warning("missed searches wait: %s", error)
                return
            except ContentError as error:  # it was sound when it came: the disk harmed it
                _log.error("stored event block %d cannot be read: %s", number, error)
            self._blocks.delivered(number)

    def _decode(self, decode: Callable[[bytes], B], body: bytes) -> B:
        if len(body) > self._block_bytes:
            raise RefusedError(413, "size", f"a block of {len(body)} bytes", "send less at once")
        try:
            block = decode(body)
        except ContentError as error:
            raise RefusedError(400, "damaged", str(error), error.hint) from error
        return block

    def _keep(
        self, name: Name, body: bytes, now: float, clock: str | None, *, delivered: bool
    ) -> bool:
        if self._blocks.knows(name):
            return False
        if self._blocks.nodes() >= self._max_nodes and not self._blocks.has_node(name.node):
            raise RefusedError(
                403,
                "nodes",
                f"node {name.node}: this hub has {self._max_nodes} nodes already",
                hint="ask the hub's operator",
            )
        self._blocks.greet(name.node, now, clock)
        self._blocks.add(name, body, now, delivered=delivered)
        return True


def _last_values(
    block: Block,
) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float, int]]:
    for series in block.series:
        last = _last(block.times, series.values)
        if last is not None:
            yield series.name, series.labels, last[1], last[0]


def _last(times: Sequence[int], values: Sequence[float]) -> tuple[int, float] | None:
    """The newest time at which there is a value (NaN is none)."""
    present = [(at, v) for at, v in zip(times, values, strict=True) if not math.isnan(v)]
    return max(present, default=None)


def _misses(block: EventBlock) -> Iterator[tuple[str, str, float]]:
    for event in block.events:
        query, language = event.data.get("query", ""), event.data.get("language", "")
        if event.kind == "search_missed" and query and language in LANGUAGES:
            yield query, language, event.at / 1000
