"""Head: the signed statement of what is current in a channel, as it travels.

* It carries the exact text of the three metadata files, since they name each other by hash.
* Reading it checks its shape and size only; whether to believe it is for `trust.py`.
* Packed, it is 500 bytes instead of 1,640: what every head says is in PATTERN, which both
  sides have. Packing changes no byte of what is signed.
"""

from typing import Annotated, Literal, get_args

import msgspec

from sync import varint
from sync.canonical import decode, encode
from sync.codec.frame import pack, unpack
from sync.varint import Cursor

Role = Literal["root", "timestamp", "snapshot", "targets"]
"""Who signs: the root keys name the keys of the others."""

ROLES: tuple[Role, ...] = get_args(Role)
PUBLISHING: tuple[Role, ...] = ("timestamp", "snapshot", "targets")
"""The roles that sign a head, in the order in which they name each other."""

MAX_ROLE_BYTES = 16 * 1024
"""Longest text of one metadata file in a head."""

MAX_HEAD_BYTES = 64 * 1024

PACKED_TYPE = "application/vnd.chaski.head"
"""Media type of a packed head."""

PATTERN = (
    rb"""{"channel":"","snapshot":"{\"signatures\":[{\"keyid\":\"\",\"sig\":\"\"}],"""
    rb"""\"signed\":{\"_type\":\"snapshot\",\"expires\":\"2030-01-01T00:00:00Z\",\"meta\":{"""
    rb"""\"targets.json\":{\"hashes\":{\"sha256\":\"\"},\"length\":490,\"version\":1}},"""
    rb"""\"spec_version\":\"1.0.31\",\"version\":1}}","targets":"{\"signatures\":[{\"keyid\":\"\","""
    rb"""\"sig\":\"\"}],\"signed\":{\"_type\":\"targets\",\"expires\":\"2030-01-01T00:00:00Z\","""
    rb"""\"spec_version\":\"1.0.31\",\"targets\":{\"\":{\"custom\":{\"full_size\":0,\"version\":1},"""
    rb"""\"hashes\":{\"sha256\":\"\"},\"length\":1}},\"version\":1}}","timestamp":"{\"signatures\":["""
    rb"""{\"keyid\":\"\",\"sig\":\"\"}],\"signed\":{\"_type\":\"timestamp\",\"expires\":"""
    rb"""\"2030-01-01T00:00:00Z\",\"meta\":{\"snapshot.json\":{\"hashes\":{\"sha256\":\"\"},"""
    rb"""\"length\":460,\"version\":1}},\"spec_version\":\"1.0.31\",\"version\":1,"""
    rb"""\"x-signed-at\":1790000000}}"}"""
)
"""The dictionary of packed heads. FORMAT.md has it too; it never changes."""

Metadata = Annotated[str, msgspec.Meta(max_length=MAX_ROLE_BYTES)]


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hub says is current. `channel` is only a label until it has been judged."""

    channel: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
    timestamp: Metadata
    snapshot: Metadata
    targets: Metadata


def head_to_bytes(head: Head) -> bytes:
    """The canonical bytes of a head."""
    return encode(head)


def head_from_bytes(data: bytes) -> Head:
    """Raises ContentError when `data` is too long or no head."""
    return decode(data, Head, limit=MAX_HEAD_BYTES, what="head")


def pack_head(data: bytes) -> bytes:
    """The bytes of a head as few: their number, and a frame with PATTERN as dictionary."""
    out = bytearray()
    varint.append(out, len(data))
    return bytes(out) + pack(data, PATTERN)


def unpack_head(data: bytes) -> bytes:
    """The bytes of a head that were packed. Raises ContentError."""
    cursor = Cursor(data[: varint.MAX_BYTES], "packed head")
    size = cursor.number(MAX_HEAD_BYTES)
    return unpack(data[cursor.at :], size, PATTERN)
