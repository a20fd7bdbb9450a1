"""Intake: judges what nodes report; what is acknowledged is stored once and durable.

* A second copy of a block is answered "duplicate" and changes nothing.
* A block whose samples lie more than `future_seconds` ahead of the hub's clock is refused
  whole, with a reason of its own: one clock in the year 2030 would hide every later value.
* Nothing a stranger sends grows without bound: bytes a block, nodes, series a node; `Blocks`
  bounds what is kept.
* A node that was enrolled with a key must sign its blocks; with `signed` every node must be
  enrolled. So nobody reports, or hands in lessons, in another's name.
* What a block tells goes to the library after it is stored, and counts there once, whatever
  crashes in between (`hearing.py`). Uploads are kept with their block and go when they are whole.
* Not thread-safe: one worker thread owns it, its blocks and its library connection.
"""

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hub.answers import RefusedError
from hub.blocks import Blocks, Name
from hub.hearing import hear, hear_upload
from hub.library import Library
from sync.errors import BusyError, ContentError
from sync.events import EventBlock, decode_events
from sync.identity import verify
from sync.parcel import Part, part_from
from sync.samples import Block, decode_block

B = TypeVar("B", Block, EventBlock)
MAX_BLOCK_BYTES = 1024 * 1024
MAX_NODES = 20_000
MAX_SERIES = 2_000
MAX_NAMES = 5_000_000
MAX_KEPT_BYTES = 2 * 1024**3
FUTURE_SECONDS = 600.0
_log = logging.getLogger("chaski.hub")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a block: stored, or known already; and the kinds of its new events.

    `refused` are (kind, reason) of events that the library did not take, of this block or one
    that waited.
    """

    stored: bool
    events: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


class Intake:
    """The only way into `Blocks`."""

    def __init__(
        self,
        blocks: Blocks,
        library: Library,
        clock: Callable[[], float] = time.time,
        *,
        block_bytes: int = MAX_BLOCK_BYTES,
        max_nodes: int = MAX_NODES,
        max_series: int = MAX_SERIES,
        future_seconds: float = FUTURE_SECONDS,
        signed: bool = False,
    ) -> None:
        self._blocks, self._library, self._clock = blocks, library, clock
        self._signed = signed
        self._settled: EventBlock | None = None
        self._block_bytes, self._max_nodes, self._max_series = block_bytes, max_nodes, max_series
        self._future_seconds = future_seconds

    def samples(self, body: bytes) -> Receipt:
        """Stores a sealed sample block. Raises RefusedError: damaged, ahead, or too much."""
        block = self._decode(decode_block, body)
        self._refuse_unsigned(block.node, body)
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
        """Stores a sealed event block and hands on what it tells. Raises RefusedError."""
        block = self._decode(decode_events, body)
        self._refuse_unsigned(block.node, body)
        name = Name("events", block.node, block.epoch, block.seq)
        parts = [self._part(event.data) for event in block.events if event.kind == "upload_part"]
        now = self._clock()
        with self._blocks.transaction():
            if not self._keep(name, body, now, None, delivered=False):
                return Receipt(False)
            for part in parts:
                self._blocks.uploads.add(block.node, part, now)
        refused = self.deliver()
        return Receipt(True, tuple(event.kind for event in block.events), refused)

    def nodes(self) -> int:
        """How many nodes ever reported."""
        return self._blocks.nodes()

    def deliver(self) -> tuple[tuple[str, str], ...]:
        """Hands on whatever was stored and not handed on yet; (kind, reason) of what was refused.

        While the library is locked by another program it waits for the next call.
        """
        refused: list[tuple[str, str]] = []
        try:
            for number, body in self._blocks.undelivered():
                refused += self._hand_on(number, body)
            refused += self._hand_on_uploads()
        except (sqlite3.OperationalError, BusyError) as error:
            _log.warning("what nodes told waits: %s", error)
        return tuple(refused)

    def _hand_on(self, number: int, body: bytes) -> tuple[tuple[str, str], ...]:
        try:
            block = decode_events(body)
        except ContentError as error:  # it was sound when it came: the disk harmed it
            _log.error("stored event block %d cannot be read: %s", number, error)
            self._blocks.delivered(number)
            return ()
        refused = hear(
            self._library, block, self._clock(), lambda: self._blocks.waits(number), self._settled
        )
        self._blocks.delivered(number)
        self._settled = block
        return refused

    def _hand_on_uploads(self) -> list[tuple[str, str]]:
        refused = []
        for whole in self._blocks.uploads.whole():
            try:
                hear_upload(self._library, whole.node, whole.upload, whole.data, whole.at)
            except ContentError as error:
                _log.warning("an upload of %s is refused: %s", whole.node, error)
                self._blocks.uploads.settle(whole.node, whole.upload, taken=False)
                refused.append(("upload_part", "upload"))
            else:
                self._blocks.uploads.settle(whole.node, whole.upload, taken=True)
        return refused

    def _refuse_unsigned(self, node: str, body: bytes) -> None:
        """Raises RefusedError unless `node` may say what it says."""
        key = self._blocks.key(node)
        if key is None:
            if self._signed:
                raise RefusedError(
                    403, "unknown", f"node {node} is not enrolled with a key here",
                    hint="`chaski-hub enrol` it, or set intake.signed = false",
                )  # fmt: skip
            return
        try:
            verify(body, key)
        except ContentError as error:
            raise RefusedError(403, "signature", f"node {node}: {error}", error.hint) from error

    def _part(self, data: Mapping[str, str]) -> Part:
        try:
            return part_from(data)
        except ContentError as error:
            raise RefusedError(400, "damaged", str(error), error.hint) from error

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
