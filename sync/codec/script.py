"""Scripts: how a new text comes from an old one, as a person would tell it.

* A script is a list of operations with an implicit place in the old bytes: copy n, leave
  out m, put in these. What is left of the old bytes at the end is copied.
* Lines are compared first, then words inside the lines that differ.
* difflib is quadratic and cannot be interrupted: the number of pairs it must look at is
  bounded beforehand, and the clock is read before each of its steps. Who runs out of time
  gives None, and the object travels otherwise.
"""

import contextlib
import difflib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from sync import varint
from sync.varint import Cursor

MAX_PAIRS = 2_000_000
MAX_HUNK_BYTES = 60_000
LOOK_BYTES = 8192
MIN_COPY = 3
"""A shorter copy costs more than saying its bytes again."""

_WORDS = re.compile(rb"[\w\x80-\xff]+\s*|[^\w\s\x80-\xff]+\s*|\s+")


class Operation(NamedTuple):
    """Copy `copy` old bytes, pass over `delete` more, then write `insert`."""

    copy: int
    delete: int
    insert: bytes


Script = tuple[Operation, ...]


class Differ(Protocol):
    """Whoever can tell scripts; the hub wraps one with a cache by (old hash, new hash)."""

    def __call__(self, old: bytes, new: bytes) -> Script | None: ...


def script_to_bytes(script: Script) -> bytes:
    """A script by itself, as a cache keeps it. It never travels."""
    out = bytearray()
    varint.append(out, len(script))
    for operation in script:
        varint.append(out, operation.copy)
        varint.append(out, operation.delete)
        varint.append(out, len(operation.insert))
        out += operation.insert
    return bytes(out)


def script_from_bytes(data: bytes, old_size: int, new_size: int) -> Script:
    """What `script_to_bytes` wrote. Raises ContentError when it does not fit the two sizes."""
    cursor = Cursor(data, "script")
    operations = []
    for _ in range(cursor.number(old_size + new_size + 1)):
        copy, delete = cursor.number(old_size), cursor.number(old_size)
        operations.append(Operation(copy, delete, cursor.take(cursor.number(new_size))))
    cursor.end()
    return tuple(operations)


def is_text(data: bytes) -> bool:
    """True when `data` looks like text: no zero byte near its beginning."""
    return b"\0" not in data[:LOOK_BYTES]


class OutOfTimeError(Exception):
    """Comparing would take, or has taken, longer than allowed. Never leaves this module."""


class LineDiffer:
    """Tells scripts for at most `seconds` of `clock` in all, then answers None."""

    def __init__(self, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = seconds
        self._clock = clock
        self._deadline = 0.0

    def __call__(self, old: bytes, new: bytes) -> Script | None:
        """The script from `old` to `new`; None for no texts, or no time for them."""
        if not (is_text(old) and is_text(new)):
            return None
        started = self._clock()
        self._deadline = started + self._left
        try:
            return _merged(old, self._lines(old, new))
        except OutOfTimeError:
            return None
        finally:
            self._left -= self._clock() - started

    def _lines(self, old: bytes, new: bytes) -> Iterator[Operation]:
        """Operations in order, some of which only copy; what follows the last is equal."""
        head, tail = _common(old, new)
        yield Operation(head, 0, b"")
        olds = old[head : len(old) - tail].splitlines(keepends=True)
        news = new[head : len(new) - tail].splitlines(keepends=True)
        for equal, gone, come in self._steps(olds, news):
            if equal:
                yield Operation(len(gone), 0, b"")
            else:
                yield from self._words(gone, come)

    def _words(self, old: bytes, new: bytes) -> Iterator[Operation]:
        """As `_lines`, for lines that differ, and up to their end."""
        head, tail = _common(old, new)
        yield Operation(head, 0, b"")
        gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
        steps = [(False, gone, come)]
        if gone and come and len(gone) + len(come) <= MAX_HUNK_BYTES:
            with contextlib.suppress(OutOfTimeError):
                steps = list(self._steps(_WORDS.findall(gone), _WORDS.findall(come)))
        for equal, left, right in steps:
            if equal:
                yield Operation(len(left), 0, b"")
                continue
            before, after = _common(left, right)
            cut = len(right) - after
            yield Operation(before, len(left) - before - after, right[before:cut])
            yield Operation(after, 0, b"")
        yield Operation(tail, 0, b"")

    def _steps(
        self, olds: Sequence[bytes], news: Sequence[bytes]
    ) -> Iterator[tuple[bool, bytes, bytes]]:
        """Runs of equal and of different pieces, in order, each joined."""
        often = Counter(news)
        if sum(often[piece] for piece in olds) > MAX_PAIRS:
            raise OutOfTimeError
        for tag, a, b, c, d in _Matcher(olds, news, self._tick).get_opcodes():
            yield tag == "equal", b"".join(olds[a:b]), b"".join(news[c:d])

    def _tick(self) -> None:
        if self._clock() >= self._deadline:
            raise OutOfTimeError


class _Matcher(difflib.SequenceMatcher[bytes]):
    """A SequenceMatcher that asks `tick` before each of its steps."""

    def __init__(
        self, olds: Sequence[bytes], news: Sequence[bytes], tick: Callable[[], None]
    ) -> None:
        self._tick = tick
        super().__init__(None, olds, news, autojunk=False)

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        """See difflib."""
        self._tick()
        return super().find_longest_match(alo, ahi, blo, bhi)


def _common(old: bytes, new: bytes) -> tuple[int, int]:
    """Bytes that both begin with, and bytes that the rest of both ends with."""
    most = min(len(old), len(new))
    head = _agree(most, lambda n: old[:n] == new[:n])
    tail = _agree(most - head, lambda n: old[len(old) - n :] == new[len(new) - n :])
    return head, tail


def _agree(most: int, holds: Callable[[int], bool]) -> int:
    """The largest n up to `most` for which `holds`, which is true up to there."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _merged(old: bytes, operations: Iterator[Operation]) -> Script:
    """Without operations that do nothing, and without copies too short to pay."""
    merged: list[Operation] = []
    at = carried = 0
    for copy, delete, insert in operations:
        copy += carried
        carried = 0
        if not delete and not insert:
            carried = copy
            continue
        if merged and copy < MIN_COPY:
            last = merged[-1]
            between = old[at : at + copy]
            merged[-1] = Operation(
                last.copy, last.delete + copy + delete, last.insert + between + insert
            )
        else:
            merged.append(Operation(copy, delete, insert))
        at += copy + delete
    return tuple(merged)
