"""Parts: an object too long to be held in memory, as a row of parts that are not.

* Each part is decoded by one of the other codecs, from a range of the base that it names; so
  whatever the length of the object, a reader holds one part, its range and its payload.
* A part has at least MIN_PART_BYTES, except the last: there are never many of them.
* The reader is told how long the payload and the object are, and believes neither more nor
  less than that. The hash is for whoever puts the pieces together.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from sync import varint
from sync.bundle.header import CODECS, MAX_GROUP_BYTES, MIN_PART_BYTES, PART_HEAD_BYTES, PARTS
from sync.codec import Codec, Sliceable
from sync.errors import ContentError
from sync.varint import Cursor

INSIDE = tuple(name for name in CODECS if name != PARTS)
"""The codecs of parts."""


class Part(NamedTuple):
    """What stands before the payload of a part: `size` new bytes from `old` of the base."""

    codec: str
    size: int
    start: int
    old: int
    length: int

    def to_bytes(self, expected: int) -> bytes:
        """`expected` is where the old range of the part before ended."""
        out = bytearray()
        for number in (INSIDE.index(self.codec), self.size, self.old):
            varint.append(out, number)
        if self.old:
            varint.append(out, varint.zigzag(self.start - expected))
        varint.append(out, self.length)
        return bytes(out)


def read_parts(
    payload: Callable[[int, int], bytes],
    length: int,
    size: int,
    base: Sliceable,
    codecs: Mapping[str, Codec],
) -> Iterator[bytes]:
    """The `size` bytes of an object, part by part. Raises ContentError.

    `payload(at, count)` gives bytes of the group's payload, which has `length`.
    """
    at = done = expected = 0
    while done < size:
        cursor = Cursor(payload(at, min(PART_HEAD_BYTES, length - at)), f"parts, byte {done}")
        part = _head(cursor, size - done, base, expected)
        at += cursor.at
        if part.length > length - at:
            raise ContentError(f"parts, byte {done}: ends early")
        old = base[part.start : part.start + part.old]
        [piece] = codecs[part.codec].decode(payload(at, part.length), [old], [part.size])
        at += part.length
        done += part.size
        if part.old:
            expected = part.start + part.old
        yield piece
    if at != length:
        raise ContentError(f"parts: {length - at} bytes too many")


def _head(cursor: Cursor, left: int, base: Sliceable, expected: int) -> Part:
    codec = INSIDE[cursor.number(len(INSIDE) - 1)]
    size = cursor.number(min(left, MAX_GROUP_BYTES))
    if size < min(left, MIN_PART_BYTES):
        raise ContentError(f"parts: a part of {size} bytes")
    old = cursor.number(min(len(base), MAX_GROUP_BYTES - size))
    start = expected + cursor.signed(len(base)) if old else 0
    if not 0 <= start <= len(base) - old:
        raise ContentError("parts: a part outside its base")
    return Part(codec, size, start, old, cursor.number(size + 1))
