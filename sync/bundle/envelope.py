"""Envelope: the bytes of a header around its table: magic, version, roots and a check.

* The table is squeezed with the paths of the base as dictionary, so it can only be read
  by who holds the base; the roots before it say which.
* The check (CRC-32) is over everything before it. It finds accidents; against malice
  there is only the signed root.
"""

import zlib

from sync import varint
from sync.bundle import table
from sync.bundle.header import Header
from sync.codec.frame import pack, unpack
from sync.errors import ContentError
from sync.manifest import Manifest
from sync.varint import Cursor

MAGIC = b"CHB"
VERSION = 2
FLAG_BASE = 1
ROOT_BYTES = 8
"""So many bytes of a root tell versions apart; to believe one, all of it is compared."""
CHECK_BYTES = 4
MAX_TABLE_BYTES = 16 * 1024 * 1024
PREAMBLE_BYTES = 4 + 1 + 2 * ROOT_BYTES + 2 * varint.MAX_BYTES
"""No table begins later than this."""


def write(header: Header, base: Manifest | None) -> bytes:
    """The bytes of `header`; `base` is the manifest it counts in."""
    columns = table.write(header, base)
    if len(columns) > MAX_TABLE_BYTES:
        raise ContentError(
            f"channel {header.channel}: {len(columns)} bytes of names and sizes, "
            f"more than {MAX_TABLE_BYTES}",
            hint="split the channel in two",
        )
    frame = pack(columns, _dictionary(base))
    out = bytearray(MAGIC)
    out.append(VERSION)
    out.append(FLAG_BASE if header.base else 0)
    for root in (header.target, header.base or ""):
        out += bytes.fromhex(root)[:ROOT_BYTES]
    varint.append(out, len(columns))
    varint.append(out, len(frame))
    out += frame
    out += zlib.crc32(out).to_bytes(CHECK_BYTES, "little")
    return bytes(out)


def extent(start: bytes) -> int:
    """Length of the header, from its first PREAMBLE_BYTES (fewer when the bundle ends)."""
    cursor = Cursor(start, "preamble")
    _roots(cursor)
    size = cursor.number(MAX_TABLE_BYTES)
    length = cursor.number(size + 1)
    return cursor.at + length + CHECK_BYTES


def read(data: bytes, base: Manifest | None) -> Header:
    """The header that is all of `data`. Raises ContentError, also when `base` is another."""
    body = data[:-CHECK_BYTES]
    if zlib.crc32(body).to_bytes(CHECK_BYTES, "little") != data[-CHECK_BYTES:]:
        raise ContentError("damaged")
    cursor = Cursor(body, "preamble")
    start, target = _roots(cursor)
    held = base.root if base else None
    if start != (held[: 2 * ROOT_BYTES] if held else None):
        raise ContentError(
            f"made for base {_short(start)}, not for {_short(held)}",
            hint="ask for a bundle from the version that is installed",
        )
    size = cursor.number(MAX_TABLE_BYTES)
    frame = cursor.take(cursor.number(size + 1))
    cursor.end()
    return table.read(unpack(frame, size, _dictionary(base)), base, held, target)


def _roots(cursor: Cursor) -> tuple[str | None, str]:
    """How the roots of base and target begin, after magic, version and flags are right."""
    if cursor.take(len(MAGIC)) != MAGIC:
        raise ContentError("this is not a bundle")
    version = cursor.take(1)[0]
    if version != VERSION:
        raise ContentError(
            f"bundle format {version}, this program reads {VERSION}",
            hint="install the current version of Chaski",
        )
    flags = cursor.take(1)[0]
    if flags & ~FLAG_BASE:
        raise ContentError(f"unknown flags {flags:#04x}")
    target = cursor.take(ROOT_BYTES).hex()
    return cursor.take(ROOT_BYTES).hex() if flags & FLAG_BASE else None, target


def _dictionary(base: Manifest | None) -> bytes:
    return "\n".join(entry.path for entry in base.entries).encode() if base else b""


def _short(root: str | None) -> str:
    return root[:12] if root else "none"
