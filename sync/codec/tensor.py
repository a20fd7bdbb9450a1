"""Tensor: model files as pieces, most of them the difference to the same tensor before.

* Six streams: the pieces, how each plane of a difference is written, then folded planes,
  gaps and values of sparse planes, and literals; the last with the bases as dictionary.
* The writer looks for tensors (`layout.py`); a file without any is lined up at its end. The
  reader knows only pieces: it parses no model file.
* Every piece is written the way that is shortest: copied, as a difference, or as it is.
* Reading is bounded: a piece that is empty or too long, leaves its base or outgrows its
  object is a ContentError; nothing larger than a piece is ever computed at once.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sync import varint
from sync.codec import Sliceable, joined
from sync.codec.frame import roughly
from sync.codec.layout import layout
from sync.codec.planes import add, fold, per_byte, subtract, unfold
from sync.codec.streams import append_stream, read_stream
from sync.errors import ContentError
from sync.varint import Cursor

MAX_PIECE_BYTES = 262_144
MAX_PLAN_BYTES = 1_048_576
"""Bytes of the first stream, and of the second."""
LITERAL, COPY = 0, 1
WIDTHS = {2: 1, 3: 2, 4: 4}
"""Kind of a difference -> bytes of its numbers."""
SPARSE = 256
"""A plane is written so; below it is folded and this is its highest value."""
LONG_GAP = 255

_KINDS = {width: kind for kind, width in WIDTHS.items()}
_CHANGED = re.compile(rb"[^\0]")


class Piece(NamedTuple):
    """`length` bytes of the new object; `old` is where they, or what they differ from, were."""

    kind: int
    length: int
    old: int = 0


class TensorCodec:
    """See FORMAT.md."""

    name = "tensor"

    def encode(self, olds: Sequence[bytes], news: Sequence[bytes]) -> bytes:
        """See `Codec`."""
        writer = _Writer()
        for old, new in zip(olds, news, strict=True):
            writer.add(old, new, lined_up(old, new))
        return writer.payload(joined(olds))

    def encode_lined(self, old: bytes, new: bytes, pieces: Iterable[Piece]) -> bytes:
        """The payload for one object, whose pieces were found already."""
        writer = _Writer()
        writer.add(old, new, pieces)
        return writer.payload(old)

    def decode(self, payload: bytes, olds: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """See `Codec`."""
        most = sum(sizes)
        limits = {"pieces": MAX_PLAN_BYTES, "planes": MAX_PLAN_BYTES, "folded": most, "gaps": most,
                  "values": most, "literals": most}  # fmt: skip
        cursor = Cursor(payload, "tensor")
        streams = {}
        for name, limit in limits.items():
            dictionary = joined(olds) if name == "literals" else b""
            streams[name] = Cursor(read_stream(cursor, limit, dictionary), f"tensor {name}")
        cursor.end()
        reader = _Reader(**streams)
        news = [reader.object(old, size) for old, size in zip(olds, sizes, strict=True)]
        for stream in streams.values():
            stream.end()
        return news


class _Writer:
    """The six streams of a group, as they grow."""

    def __init__(self) -> None:
        self.pieces, self.planes = bytearray(), bytearray()
        self.folded, self.gaps, self.values = bytearray(), bytearray(), bytearray()
        self.literals = bytearray()

    def payload(self, dictionary: bytes) -> bytes:
        """All streams, one after the other."""
        out = bytearray()
        for stream in (self.pieces, self.planes, self.folded, self.gaps, self.values):
            append_stream(out, bytes(stream))
        append_stream(out, bytes(self.literals), dictionary)
        return bytes(out)

    def add(self, old: bytes, new: bytes, pieces: Iterable[Piece]) -> None:
        """Adds one object."""
        at = 0
        written: list[Piece] = []
        for piece in pieces:
            data = new[at : at + piece.length]
            at += piece.length
            kind = self._written(piece, data, old[piece.old : piece.old + piece.length])
            last = written[-1] if written else None
            joins = last and last.kind == kind and kind in (LITERAL, COPY)
            if last and joins and (kind == LITERAL or last.old + last.length == piece.old):
                written[-1] = Piece(kind, last.length + piece.length, last.old)
            else:
                written.append(Piece(kind, piece.length, piece.old))
        varint.append(self.pieces, len(written))
        expected = 0
        for kind, length, place in written:
            varint.append(self.pieces, kind)
            varint.append(self.pieces, length)
            if kind != LITERAL:
                varint.append(self.pieces, varint.zigzag(place - expected))
                expected = place + length

    def _written(self, piece: Piece, new: bytes, old: bytes) -> int:
        """Writes the bytes of a piece the shortest way; which kind it became."""
        if piece.kind != LITERAL and new == old:
            return COPY
        if piece.kind != LITERAL and len(old) == len(new):
            planes = [_Plane.of(p) for p in _split(subtract(new, old, WIDTHS[piece.kind]), piece)]
            if sum(plane.cost for plane in planes) < roughly(new):
                for plane in planes:
                    self._plane(plane)
                return piece.kind
        self.literals += new
        return LITERAL

    def _plane(self, plane: "_Plane") -> None:
        varint.append(self.planes, plane.mode)
        if plane.mode == SPARSE:
            varint.append(self.planes, len(plane.values))
        self.folded += plane.folded
        self.gaps += plane.gaps
        self.values += plane.values


class _Plane(NamedTuple):
    """One plane as it is written."""

    mode: int
    folded: bytes
    gaps: bytes
    values: bytes
    cost: int

    @classmethod
    def of(cls, data: bytes) -> "_Plane":
        """The shorter way to write a plane."""
        highest = max(data)
        if highest == 0:
            return cls(0, b"", b"", b"", 0)
        folded = fold(data, highest)
        dense = cls(highest, folded, b"", b"", roughly(folded))
        if data.count(0) * 2 < len(data):
            return dense
        gaps, expected = bytearray(), 0
        for found in _CHANGED.finditer(data):
            long, short = divmod(found.start() - expected, LONG_GAP)
            gaps += bytes([LONG_GAP]) * long
            gaps.append(short)
            expected = found.end()
        values = data.replace(b"\0", b"")
        sparse = cls(SPARSE, b"", bytes(gaps), values, roughly(bytes(gaps)) + roughly(values))
        return min(sparse, dense, key=lambda plane: plane.cost)


class _Reader:
    """Reads the six streams, object after object."""

    def __init__(
        self, pieces: Cursor, planes: Cursor, folded: Cursor, gaps: Cursor, values: Cursor,
        literals: Cursor,
    ) -> None:  # fmt: skip
        self._pieces, self._planes, self._folded = pieces, planes, folded
        self._gaps, self._values, self._literals = gaps, values, literals

    def object(self, old: bytes, size: int) -> bytes:
        """The next object, of `size` bytes, from its base."""
        new = bytearray()
        expected = 0
        for _ in range(self._pieces.number(size)):
            kind = self._pieces.number(max(WIDTHS))
            length = self._pieces.number(size - len(new))
            if not length:
                raise ContentError("tensor: an empty piece")
            if kind == LITERAL:
                new += self._literals.take(length)
                continue
            place = expected + self._pieces.signed(len(old))
            expected = place + length
            if not 0 <= place <= expected <= len(old):
                raise ContentError("tensor: a piece outside its base")
            was = old[place:expected]
            new += was if kind == COPY else self._difference(was, WIDTHS[kind])
        if len(new) != size:
            raise ContentError(f"tensor: {len(new)} bytes came out where {size} were declared")
        return bytes(new)

    def _difference(self, old: bytes, width: int) -> bytes:
        if len(old) > MAX_PIECE_BYTES or len(old) % width:
            raise ContentError(f"tensor: a difference of {len(old)} bytes")
        planes = b"".join(self._plane(len(old) // width) for _ in range(width))
        return add(planes, old, width)

    def _plane(self, size: int) -> bytes:
        mode = self._planes.number(SPARSE)
        if mode == 0:
            return bytes(size)
        if mode < SPARSE:
            return unfold(self._folded.take(-(-size // per_byte(mode))), mode, size)
        plane = bytearray(size)
        at = 0
        for value in self._values.take(self._planes.number(size)):
            while (gap := self._gaps.take(1)[0]) == LONG_GAP:
                at += LONG_GAP
            at += gap
            if at >= size:
                raise ContentError("tensor: a gap leads out of its plane")
            plane[at] = value
            at += 1
        return bytes(plane)


def _split(planes: bytes, piece: Piece) -> Iterator[bytes]:
    """The planes of a piece, one by one."""
    size = piece.length // WIDTHS[piece.kind]
    return (planes[at : at + size] for at in range(0, piece.length, size))


def lined_up(old: Sliceable, new: Sliceable) -> Iterator[Piece]:
    """All of `new`, in order, in pieces of at most MAX_PIECE_BYTES: tensors with their old
    bytes, what is between them as it is."""
    return _cut(_aligned(old, new))


def _aligned(old: Sliceable, new: Sliceable) -> Iterator[Piece]:
    was = {t.name: t for t in layout(old)} if len(old) else {}
    at = before = 0
    for tensor in layout(new) if was else ():
        base, length = was.get(tensor.name), tensor.stop - tensor.start
        if base is None or base.stop - base.start != length or not length:
            continue
        gap = tensor.start - at
        yield from _between(old, new, at, tensor.start, (base.start - gap, before))
        yield Piece(_KINDS[tensor.width], length, base.start)
        at, before = tensor.stop, base.stop
    rest = len(new) - at
    if at:
        yield from _between(old, new, at, len(new), (len(old) - rest, before))
    elif rest:
        shared = min(len(old), rest)
        if rest > shared:
            yield Piece(LITERAL, rest - shared)
        if shared:
            yield Piece(_KINDS[1], shared, len(old) - shared)


def _between(
    old: Sliceable, new: Sliceable, start: int, stop: int, places: Iterable[int]
) -> Iterator[Piece]:
    """What is between two tensors: where it was before, if it is the same there."""
    length = stop - start
    for place in places:
        fits = 0 < length <= MAX_PIECE_BYTES and 0 <= place <= len(old) - length
        if fits and old[place : place + length] == new[start:stop]:
            yield Piece(_KINDS[1], length, place)
            return
    if length:
        yield Piece(LITERAL, length)


def _cut(pieces: Iterator[Piece]) -> Iterator[Piece]:
    for kind, length, old in pieces:
        for at in range(0, length, MAX_PIECE_BYTES):
            yield Piece(kind, min(MAX_PIECE_BYTES, length - at), old + at)
