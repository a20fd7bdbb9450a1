"""Sample blocks: what a node measured, usually an hour of it, as it travels to the hub.

* A block has one list of times for all its series. The name of a block is (node, epoch,
  seq); the hub keeps each name once. `clock` says how far the times can be believed.
* Values come back exact to the bit. A missing one is `ABSENT`, the end of a series `STALE`;
  both are NaN.
* No series carries a label `node`: whose samples these are is said once, by the block.
* Reading is bounded in bytes, series, times, samples and text. Damage of any kind is a
  ContentError.

FORMAT.md, "Sample block", has the bytes.
"""

import re
from itertools import pairwise
from typing import Literal, get_args

import msgspec

from sync import columns
from sync.columns import ABSENT, STALE
from sync.errors import ContentError
from sync.seal import MAX_EPOCH_CHARS, MAX_NODE_CHARS, MAX_SEQ, MAX_TIME, check_name, seal, unseal
from sync.varint import Cursor, append, append_text, zigzag

__all__ = [
    "ABSENT", "LIMITS", "STALE", "Block", "ClockQuality", "Limits", "Series", "decode_block",
    "encode_block",
]  # fmt: skip

MAGIC = b"CHS1"
ClockQuality = Literal["rtc", "trusted", "unknown"]
CLOCKS: tuple[ClockQuality, ...] = get_args(ClockQuality)

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"(?!__)(?!node\Z)[a-zA-Z_][a-zA-Z0-9_]*\Z")


class Series(msgspec.Struct, frozen=True):
    """One metric with its labels (sorted by name), and a value for each time of its block."""

    name: str
    labels: tuple[tuple[str, str], ...]
    values: tuple[float, ...]


class Block(msgspec.Struct, frozen=True):
    """Samples sealed together. `times` in Unix milliseconds, rising.

    `epoch` names the store and boot in which `seq` counts. `clock` is "rtc" (battery-backed),
    "trusted" (set from the network or from signed time) or "unknown".
    """

    node: str
    epoch: str
    seq: int
    clock: ClockQuality
    times: tuple[int, ...]
    series: tuple[Series, ...]


class Limits(msgspec.Struct, frozen=True):
    """How much a block may be. A day of 60 series, a value a minute, fits the usual ones."""

    block_bytes: int = 1024 * 1024
    payload_bytes: int = 8 * 1024 * 1024
    series: int = 2000
    times: int = 1500
    samples: int = 200_000
    labels: int = 16
    text_bytes: int = 200


LIMITS = Limits()


def encode_block(block: Block, limits: Limits = LIMITS) -> bytes:
    """The bytes that travel. Raises ContentError when `block` breaks a rule or a limit."""
    check(block, limits)
    out = bytearray()
    append_text(out, block.node)
    append_text(out, block.epoch)
    append(out, block.seq)
    out.append(CLOCKS.index(block.clock))
    _write_times(out, block.times)
    _write_names(out, block.series)
    columns.write(out, [series.values for series in block.series])
    return seal(MAGIC, bytes(out))


def decode_block(data: bytes, limits: Limits = LIMITS) -> Block:
    """The block that `encode_block` was given. Raises ContentError when it is anything else."""
    payload = unseal(
        MAGIC,
        data,
        limit=limits.block_bytes,
        payload_limit=limits.payload_bytes,
        what="sample block",
    )
    cursor = Cursor(payload, "sample block")
    node = cursor.text(MAX_NODE_CHARS)
    epoch = cursor.text(MAX_EPOCH_CHARS)
    seq = cursor.number(MAX_SEQ)
    clock = cursor.number(len(CLOCKS) - 1)
    times = _read_times(cursor, limits)
    names = _read_names(cursor, limits)
    if len(names) * len(times) > limits.samples:
        raise ContentError(f"sample block: more than {limits.samples} samples")
    values = columns.read(cursor, len(names), len(times))
    cursor.end()
    series = tuple(Series(*name, column) for name, column in zip(names, values, strict=True))
    block = Block(node, epoch, seq, CLOCKS[clock], times, series)
    check(block, limits)
    return block


def check(block: Block, limits: Limits = LIMITS) -> None:
    """Raises ContentError when `block` breaks a rule or a limit."""
    check_name("sample block", block.node, block.epoch, block.seq)
    what = f"sample block {block.node}/{block.epoch}/{block.seq}"
    if block.clock not in CLOCKS:
        raise ContentError(f"{what}: clock {block.clock!r}")
    times = block.times
    if not 1 <= len(times) <= limits.times or len(block.series) > limits.series:
        raise ContentError(f"{what}: {len(times)} times of {len(block.series)} series")
    if len(times) * len(block.series) > limits.samples:
        raise ContentError(f"{what}: more than {limits.samples} samples")
    if times[0] < 0 or times[-1] > MAX_TIME or any(a >= b for a, b in pairwise(times)):
        raise ContentError(f"{what}: its times do not rise")
    for series in block.series:
        _check_series(what, series, len(times), limits)
    if len({(s.name, s.labels) for s in block.series}) != len(block.series):
        raise ContentError(f"{what}: a series occurs twice")


def _check_series(what: str, series: Series, times: int, limits: Limits) -> None:
    labels = [name for name, _ in series.labels]
    bad = (
        not _NAME.match(series.name)
        or not all(_LABEL.match(name) for name in labels)
        or len(labels) > limits.labels
        or labels != sorted(set(labels))
    )
    if bad:
        raise ContentError(f"{what}: series {series.name[:80]!r} with labels {labels[:4]}")
    for text in (series.name, *(text for label in series.labels for text in label)):
        if not text.isprintable() or len(text.encode()) > limits.text_bytes:
            raise ContentError(f"{what}: text {text[:80]!r} in series {series.name[:80]!r}")
    if len(series.values) != times:
        raise ContentError(f"{what}: {len(series.values)} values at {times} times")


def _write_times(out: bytearray, times: tuple[int, ...]) -> None:
    """How many, the first, the steps as differences between steps."""
    append(out, len(times))
    append(out, times[0])
    step = 0
    for before, after in pairwise(times):
        append(out, zigzag(after - before - step))
        step = after - before


def _read_times(cursor: Cursor, limits: Limits) -> tuple[int, ...]:
    count = cursor.number(limits.times)
    times = [cursor.number(MAX_TIME)]
    step = 0
    for _ in range(count - 1):
        step += cursor.signed(MAX_TIME)
        if not 0 < step <= MAX_TIME - times[-1]:
            raise ContentError("sample block: its times do not rise")
        times.append(times[-1] + step)
    return tuple(times)


def _write_names(out: bytearray, series: tuple[Series, ...]) -> None:
    """The different texts, then each series as numbers of texts."""
    texts: dict[str, int] = {}
    rows = bytearray()
    append(rows, len(series))
    for one in series:
        append(rows, texts.setdefault(one.name, len(texts)))
        append(rows, len(one.labels))
        for text in (text for label in one.labels for text in label):
            append(rows, texts.setdefault(text, len(texts)))
    append(out, len(texts))
    for text in texts:
        append_text(out, text)
    out += rows


def _read_names(cursor: Cursor, limits: Limits) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    count = cursor.number(limits.series * (1 + 2 * limits.labels))
    texts = [cursor.text(limits.text_bytes) for _ in range(count)]
    names = []
    for _ in range(cursor.number(limits.series)):
        name = texts[_index(cursor, texts)]
        labels = tuple(
            (texts[_index(cursor, texts)], texts[_index(cursor, texts)])
            for _ in range(cursor.number(limits.labels))
        )
        names.append((name, labels))
    return names


def _index(cursor: Cursor, texts: list[str]) -> int:
    if not texts:
        raise ContentError("sample block: a series without a name")
    return cursor.number(len(texts) - 1)
