"""Cutter: how a long object is cut into parts, and from which old bytes each is told. Hub only.

* Of model files, the parts end where tensors do, and the old range is where those tensors
  were. Of all else, the old range is where most of the part's anchors were: 32-byte windows
  that begin with a chosen byte, sampled so that there are never more than MAX_ANCHORS.
* A part is written by the codec that makes it shortest; what nothing squeezes is stored.
* Only the windows, one part and its range are in memory.
"""

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sync.bundle.ahead import ahead
from sync.bundle.header import MAX_GROUP_BYTES, MIN_PART_BYTES
from sync.bundle.memory import VERSION, Forgetful, Memory
from sync.bundle.parts import INSIDE, Part
from sync.codec import Sliceable
from sync.codec.frame import STORED, pack_quickly, roughly
from sync.codec.layout import layout
from sync.codec.raw import RawCodec
from sync.codec.tensor import LITERAL, Piece, TensorCodec, lined_up
from sync.codec.zpatch import ZpatchCodec

MAX_ANCHORS = 131_072
LEAST_VOTES = 3
"""So many anchors must agree on where a part was."""
BLOCK_BYTES = 1024 * 1024
_WINDOW = 32
_ANCHOR = re.compile(rb"m[\x01-\x20a]")
_RARITY = 1986
"""One in so many places of random bytes is an anchor."""
_STORED_FROM = 0.99
_LITTLE, _MUCH = 0.02, 0.95
"""A part that is so little or so much of its length when packed quickly is not tried otherwise."""

Write = Callable[[bytes], object]


class Range(NamedTuple):
    """New bytes from `at` to `stop`, old ones from `start` to `end`; `pieces` of a model."""

    at: int
    stop: int
    start: int
    end: int
    pieces: tuple[Piece, ...] = ()


class Cutter:
    """Cuts objects into parts of about `part_bytes` old and new bytes."""

    def __init__(self, part_bytes: int = MAX_GROUP_BYTES, memory: Memory | None = None) -> None:
        self._memory = memory or Forgetful()
        self._most = max(part_bytes, 8 * MIN_PART_BYTES)  # half a part is one too
        self._raw, self._zpatch, self._tensor = RawCodec(), ZpatchCodec(), TensorCodec()

    def write(self, new: Sliceable, old: Sliceable, write: Write) -> int:
        """Writes all parts of `new`, told from `old` (empty: from nothing); their length."""

        def encoded(cut: Range) -> tuple[Range, str, bytes]:
            codec, payload = self._remembered(new[cut.at : cut.stop], old[cut.start : cut.end], cut)
            return cut, codec, payload

        length = expected = 0
        for cut, codec, payload in ahead(encoded, self._ranges(new, old)):
            was = 0 if codec == self._raw.name else cut.end - cut.start
            part = Part(codec, cut.stop - cut.at, cut.start, was, len(payload))
            head = part.to_bytes(expected)
            if was:
                expected = cut.end
            write(head)
            write(payload)
            length += len(head) + len(payload)
        return length

    def _remembered(self, new: bytes, old: bytes, cut: Range) -> tuple[str, bytes]:
        """The shortest payload, and its codec; one that was dear is kept."""
        if not old and roughly(new) > _STORED_FROM * len(new):
            return self._raw.name, bytes([STORED]) + new
        key = hashlib.sha256(b"part %d" % VERSION)
        for data in (
            new,
            old,
            repr([p._replace(old=p.old - cut.start) for p in cut.pieces]).encode(),
        ):
            key.update(hashlib.sha256(data).digest())
        kept = self._memory.recall(key.digest())
        if kept is not None:
            return INSIDE[kept[0]], kept[1:]
        codec, payload = self._encoded(new, old, cut)
        self._memory.keep(key.digest(), bytes([INSIDE.index(codec)]) + payload)
        return codec, payload

    def _encoded(self, new: bytes, old: bytes, cut: Range) -> tuple[str, bytes]:
        if not cut.pieces:
            quick = pack_quickly(new, old)
            if not _LITTLE * len(new) < len(quick) < _MUCH * len(new):
                return self._zpatch.name if old else self._raw.name, quick
        if not old:
            return self._raw.name, self._raw.encode([old], [new])
        found = [(self._zpatch.name, self._zpatch.encode([old], [new]))]
        if cut.pieces:
            moved = [p._replace(old=p.old - cut.start) if p.kind else p for p in cut.pieces]
            found.append((self._tensor.name, self._tensor.encode_lined(old, new, moved)))
        return min(found, key=lambda named: len(named[1]))

    def _ranges(self, new: Sliceable, old: Sliceable) -> Iterator[Range]:
        if not len(old):
            return _even(len(new), self._most)
        if layout(new):
            return _by_pieces(lined_up(old, new), self._most // 2)
        return self._by_anchors(new, old)

    def _by_anchors(self, new: Sliceable, old: Sliceable) -> Iterator[Range]:
        size = self._most * 7 // 16
        rarity = max(1, len(old) // (_RARITY * MAX_ANCHORS))
        places: dict[bytes, int] = {}
        for window, place in _anchors(old, 0, len(old), rarity):
            if len(places) < MAX_ANCHORS:
                places.setdefault(window, place)
        for cut in _even(len(new), size):
            votes = Counter(
                places[window] - place
                for window, place in _anchors(new, cut.at, cut.stop, rarity)
                if window in places
            )
            shift, count = min(votes.items(), key=lambda v: (-v[1], abs(v[0])), default=(0, 0))
            if count < LEAST_VOTES:
                yield cut
                continue
            spare = (self._most - 2 * size) // 2
            start = min(max(0, cut.at + shift - spare), len(old))
            yield cut._replace(start=start, end=min(len(old), cut.stop + shift + spare))


def _even(size: int, most: int) -> Iterator[Range]:
    """Ranges without old bytes, about equally long."""
    count = max(1, -(-size // most))
    edges = [size * n // count for n in range(count + 1)]
    for at, stop in pairwise(edges):
        if at < stop:
            yield Range(at, stop, 0, 0)


def _by_pieces(pieces: Iterator[Piece], most: int) -> Iterator[Range]:
    """Ranges of whole pieces; the old ones of each lie within `most` bytes, and begin where
    those before ended if that is near: what is no tensor may be there."""
    at = stop = before = 0
    held: list[Piece] = []

    def cut() -> Range:
        start, end = _span(held, before, most)
        return Range(at, stop, start, end, tuple(held))

    for piece in pieces:
        start, end = _span([*held, piece], before, most)
        if held and (stop + piece.length - at > most or end - start > most):
            if stop - at >= MIN_PART_BYTES:
                made = cut()
                yield made
                at, held, before = stop, [], made.end
            elif end - start > most:  # too far from the others to be told with them
                piece = Piece(LITERAL, piece.length)
        held.append(piece)
        stop += piece.length
    if held:
        yield cut()


def _span(pieces: Sequence[Piece], before: int, most: int) -> tuple[int, int]:
    """The old bytes that `pieces` come from, from `before` on if that makes no more than `most`."""
    told = [piece for piece in pieces if piece.kind != LITERAL]
    if not told:
        return before, before
    start, end = min(p.old for p in told), max(p.old + p.length for p in told)
    return (before if start - before >= 0 and end - before <= most else start), end


def _anchors(data: Sliceable, start: int, stop: int, rarity: int) -> Iterator[tuple[bytes, int]]:
    """The anchors that begin between `start` and `stop`, and where."""
    for at in range(start, stop, BLOCK_BYTES):
        end = min(at + BLOCK_BYTES, stop)
        block = data[at : min(end + _WINDOW - 1, len(data))]
        for found in _ANCHOR.finditer(block, 0, end - at):
            window = block[found.start() : found.start() + _WINDOW]
            if rarity == 1 or zlib.crc32(window) % rarity == 0:
                yield window, at + found.start()
