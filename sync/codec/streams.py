"""Streams: the parts of an edit or tensor payload, each squeezed by itself or as it is."""

from sync import varint
from sync.codec.frame import pack, unpack
from sync.varint import Cursor


def append_stream(
    out: bytearray, data: bytes, dictionary: bytes = b"", *, text: bool = False
) -> None:
    """Length and bytes; or, when a frame is shorter, its lengths and itself."""
    frame = pack(data, dictionary, text=text)
    if len(frame) + 2 < len(data):
        varint.append(out, len(data) << 1 | 1)
        varint.append(out, len(frame))
        out += frame
    else:
        varint.append(out, len(data) << 1)
        out += data


def read_stream(cursor: Cursor, limit: int, dictionary: bytes = b"") -> bytes:
    """What `append_stream` wrote, at most `limit` bytes. Raises ContentError."""
    head = cursor.number(2 * limit + 1)
    size = head >> 1
    if not head & 1:
        return cursor.take(size)
    return unpack(cursor.take(cursor.number(size)), size, dictionary)
