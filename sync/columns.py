"""Columns: many series of doubles as few bytes, exact to the bit.

* A value may be missing (`ABSENT`) or a series may have ended (`STALE`); runs of states say
  where. Every other bit pattern, also of other NaNs, comes back as it was.
* Whole numbers and short decimals travel as differences, divided by their common divisor
  (memory comes in pages). Other doubles travel as the bits that changed since the value
  before, byte by byte, so that exponents stand with exponents.
* The same kinds of bytes of all series stand together, for zstd.

FORMAT.md, "Sample block", has the bytes.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from sync.errors import ContentError
from sync.varint import Cursor, append, zigzag

SCALES = (1, 10, 100, 1000)
"""Modes 0 to 3: what a value is multiplied with to be a whole number."""

BITS = 4
"""The mode of doubles that are no short decimals."""

GAPS = 8
"""Added to the mode of a series in which values are missing."""

MAX_WHOLE = 2**53
PRESENT, MISSING, ENDED = 0, 1, 2
STATES = 4
"""A run is its length times this, plus its state."""

_ABSENT_BITS = 0x7FF8_0000_0000_0000
_STALE_BITS = 0x7FF0_0000_0000_0002


def bits_of(value: float) -> int:
    """The 64 bits of a double."""
    return cast(int, struct.unpack("<Q", struct.pack("<d", value))[0])


def _double(bits: int) -> float:
    return cast(float, struct.unpack("<d", struct.pack("<Q", bits))[0])


ABSENT = _double(_ABSENT_BITS)
"""No value at this time. (A NaN, so it is not equal to itself: ask `math.isnan`.)"""

STALE = _double(_STALE_BITS)
"""The series has ended here: the NaN that Prometheus uses for it."""

_STATE_OF = {_ABSENT_BITS: MISSING, _STALE_BITS: ENDED}
_VALUE_OF = {MISSING: ABSENT, ENDED: STALE}


@dataclass(frozen=True, slots=True)
class _Column:
    """One series taken apart. `whole` is None for mode BITS."""

    states: list[int]
    values: list[float]
    mode: int
    whole: list[int] | None


def write(out: bytearray, series: Sequence[Sequence[float]]) -> None:
    """Adds the values of all `series`, which are of equal length."""
    columns = [_taken_apart(values) for values in series]
    out += bytes(c.mode + (GAPS if any(c.states) else 0) for c in columns)
    for column in columns:
        if any(column.states):
            _write_runs(out, column.states)
    wholes = [c.whole for c in columns if c.whole]
    units = [_unit(whole) for whole in wholes]
    for whole, unit in zip(wholes, units, strict=True):
        append(out, zigzag(whole[0]))
        append(out, unit)
    for whole, unit in zip(wholes, units, strict=True):
        if unit:
            for before, after in pairwise(whole):
                append(out, zigzag((after - before) // unit))
    _write_bits(out, [[bits_of(v) for v in c.values] for c in columns if c.whole is None])


def read(cursor: Cursor, series: int, length: int) -> list[tuple[float, ...]]:
    """The values of `series` series of `length` values. Raises ContentError."""
    modes = cursor.take(series)
    for mode in modes:
        if mode & ~GAPS > BITS:
            raise ContentError(f"columns: mode {mode} is not known")
    states = [_read_runs(cursor, length) if m & GAPS else [PRESENT] * length for m in modes]
    counts = [column.count(PRESENT) for column in states]
    wholes = [(m & ~GAPS != BITS) and n > 0 for m, n in zip(modes, counts, strict=True)]
    starts = [
        (cursor.signed(MAX_WHOLE), cursor.number(2 * MAX_WHOLE)) if whole else (0, 0)
        for whole in wholes
    ]
    found: list[list[float]] = []
    for mode, count, whole, (first, unit) in zip(modes, counts, wholes, starts, strict=True):
        found.append(
            [n / SCALES[mode & ~GAPS] for n in _read_whole(cursor, count, first, unit)]
            if whole
            else []
        )
    of_bits = [i for i, mode in enumerate(modes) if mode & ~GAPS == BITS]
    for i, bits in zip(of_bits, _read_bits(cursor, [counts[i] for i in of_bits]), strict=True):
        found[i] = [_double(b) for b in bits]
    return [_put_together(s, v) for s, v in zip(states, found, strict=True)]


def _taken_apart(values: Sequence[float]) -> _Column:
    states = [
        _STATE_OF.get(bits_of(value), PRESENT) if math.isnan(value) else PRESENT for value in values
    ]
    present = [v for v, state in zip(values, states, strict=True) if state == PRESENT]
    for mode, scale in enumerate(SCALES):
        whole = _whole(present, scale)
        if whole is not None:
            return _Column(states, present, mode, whole)
    return _Column(states, present, BITS, None)


def _put_together(states: Sequence[int], values: Sequence[float]) -> tuple[float, ...]:
    rest = iter(values)
    return tuple(next(rest) if s == PRESENT else _VALUE_OF[s] for s in states)


def _whole(values: Sequence[float], scale: int) -> list[int] | None:
    """`values` times `scale`, if that gives whole numbers that give back the same bits."""
    found = []
    for value in values:
        if not abs(value) * scale <= MAX_WHOLE:
            return None
        number = round(value * scale)
        if number / scale != value or (number == 0 and math.copysign(1, value) < 0):
            return None
        found.append(number)
    return found


def _unit(whole: Sequence[int]) -> int:
    """The common divisor of all differences; 0 when nothing changes."""
    return math.gcd(*(after - before for before, after in pairwise(whole)))


def _read_whole(cursor: Cursor, count: int, first: int, unit: int) -> list[int]:
    if not unit:
        return [first] * count
    number, found = first, [first]
    for _ in range(count - 1):
        number += cursor.signed(2 * MAX_WHOLE) * unit
        if abs(number) > MAX_WHOLE:
            raise ContentError(f"columns: {number} is not exact")
        found.append(number)
    return found


def _write_runs(out: bytearray, states: Sequence[int]) -> None:
    start = 0
    for i in range(1, len(states) + 1):
        if i == len(states) or states[i] != states[start]:
            append(out, (i - start) * STATES + states[start])
            start = i


def _read_runs(cursor: Cursor, length: int) -> list[int]:
    states: list[int] = []
    while len(states) < length:
        count, state = divmod(cursor.number(length * STATES + STATES - 1), STATES)
        if state > ENDED or not 1 <= count <= length - len(states):
            raise ContentError(f"columns: a run of {count} in state {state}")
        states += [state] * count
    return states


def _write_bits(out: bytearray, columns: Sequence[Sequence[int]]) -> None:
    """For each column which values differ from the one before; then the differing bits of
    all, the highest byte of each first."""
    changes = []
    for column in columns:
        flags = before = 0
        for i, bits in enumerate(column):
            if bits != before:
                flags |= 1 << i
                changes.append(bits ^ before)
            before = bits
        out += flags.to_bytes((len(column) + 7) // 8, "little")
    raw = b"".join(change.to_bytes(8, "big") for change in changes)
    for place in range(8):
        out += raw[place::8]


def _read_bits(cursor: Cursor, counts: Sequence[int]) -> list[list[int]]:
    flags = [int.from_bytes(cursor.take((count + 7) // 8), "little") for count in counts]
    if any(flag >> count for flag, count in zip(flags, counts, strict=True)):
        raise ContentError("columns: more changes than values")
    total = sum(flag.bit_count() for flag in flags)
    planes = [cursor.take(total) for _ in range(8)]
    changes = iter([int.from_bytes(one, "big") for one in zip(*planes, strict=True)])
    found = []
    for flag, count in zip(flags, counts, strict=True):
        bits, column = 0, []
        for i in range(count):
            if flag >> i & 1:
                bits ^= next(changes)
            column.append(bits)
        found.append(column)
    return found
