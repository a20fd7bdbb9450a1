"""Sampler: the registry, read now and then, and sealed into blocks by the hour.

* A row is one reading of every figure that is known; it goes to the spool at once, so a
  power cut costs a minute, not an hour.
* A block's clock is as good as the worst reading in it. A reading whose time does not rise
  (the clock was set back) is left out of its block.
* Values are rounded to thousandths: they travel as short decimals.
"""

import math

import msgspec
from prometheus_client import CollectorRegistry

from node.telemetry.clock import Clock, Quality
from node.telemetry.spool import Spool, readable
from sync.samples import ABSENT, LIMITS, Block, Series, encode_block

BLOCK_ROWS = 240
"""Readings in one block, at most."""
HOUR_MS = 3_600_000
ROW_SERIES = LIMITS.samples // BLOCK_ROWS
"""Series of one reading; what is more is not sampled."""

Labels = tuple[tuple[str, str], ...]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One reading: Unix milliseconds, clock quality, values by series."""

    at: int
    clock: Quality
    values: list[tuple[str, Labels, float]]


class Sampler:
    """Reads one registry into one spool."""

    def __init__(self, registry: CollectorRegistry, spool: Spool, clock: Clock, node: str) -> None:
        self._registry = registry
        self._spool = spool
        self._clock = clock
        self._node = node
        self._began: int | None = None

    def sample(self) -> None:
        """Reads the registry once; seals when an hour is full. Raises SpaceError."""
        row = Row(int(self._clock.now() * 1000), self._clock.quality, self._read())
        self._spool.add("samples", msgspec.msgpack.encode(row))
        began = self._began if self._began is not None else row.at
        self._began = began
        if row.at - began >= HOUR_MS or self._spool.rows("samples") >= BLOCK_ROWS:
            self.seal()

    def seal(self) -> None:
        """Seals what is not sealed yet: at a full hour, or when a link is there."""
        while self._spool.seal("samples", BLOCK_ROWS, self._block):
            pass
        self._began = None

    def _read(self) -> list[tuple[str, Labels, float]]:
        found = [
            (sample.name, tuple(sorted(sample.labels.items())), round(sample.value, 3))
            for metric in self._registry.collect()
            for sample in metric.samples
            if not sample.name.endswith("_created") and math.isfinite(sample.value)
        ]
        return found[:ROW_SERIES]

    def _block(self, epoch: str, seq: int, rows: list[bytes]) -> bytes:
        read = rising(readable(rows, Row))
        if not read:
            return b""
        columns: dict[tuple[str, Labels], list[float]] = {}
        for number, row in enumerate(read):
            for name, labels, value in row.values:
                column = columns.setdefault((name, labels), [ABSENT] * len(read))
                column[number] = value
        qualities = {row.clock for row in read}
        worst: Quality = next(q for q in ("unknown", "rtc", "trusted") if q in qualities)
        block = Block(
            node=self._node,
            epoch=epoch,
            seq=seq,
            clock=worst,
            times=tuple(row.at for row in read),
            series=tuple(
                Series(name, labels, tuple(values)) for (name, labels), values in columns.items()
            ),
        )
        return encode_block(block)


def rising(rows: list[Row]) -> list[Row]:
    """`rows` without those whose time is not after that of the one before."""
    kept: list[Row] = []
    for row in rows:
        if not kept or row.at > kept[-1].at:
            kept.append(row)
    return kept
