"""Head: the signed statement of what is current in a channel, as it travels.

* It carries the exact text of the three metadata files, since they name each other by hash.
* Reading it checks its shape and size only; whether to believe it is for `trust.py`.
* Packed, it is 370 bytes instead of 1,640: what every head says is in PATTERN, which both
  sides have, digits travel as bytes, and what the reader can hash does not travel. Packing
  changes no byte of what is signed.
"""

import re
from typing import Annotated, Literal, get_args

import msgspec

from sync import varint
from sync.canonical import decode, digest, encode
from sync.codec.frame import pack, unpack
from sync.errors import ContentError
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
    rb"""{"channel":"","snapshot":"{\"signatures\":[{\"keyid\":\"#\",\"sig\":\"%\"}],"""
    rb"""\"signed\":{\"_type\":\"snapshot\",\"expires\":\"2036-01-01T00:00:00Z\",\"meta\":{"""
    rb"""\"targets.json\":{\"hashes\":{\"sha256\":\"^\"},\"length\":490,\"version\":1}},"""
    rb"""\"spec_version\":\"1.0.31\",\"version\":1}}","targets":"{\"signatures\":[{\"keyid\":\"#\","""
    rb"""\"sig\":\"%\"}],\"signed\":{\"_type\":\"targets\",\"expires\":\"2036-01-01T00:00:00Z\","""
    rb"""\"spec_version\":\"1.0.31\",\"targets\":{\"\":{\"custom\":{\"full_size\":0,\"version\":1},"""
    rb"""\"hashes\":{\"sha256\":\"#\"},\"length\":1}},\"version\":1}}","timestamp":"{\"signatures\":["""
    rb"""{\"keyid\":\"#\",\"sig\":\"%\"}],\"signed\":{\"_type\":\"timestamp\",\"expires\":"""
    rb"""\"2026-01-01T00:00:00Z\",\"meta\":{\"snapshot.json\":{\"hashes\":{\"sha256\":\"^\"},"""
    rb"""\"length\":467,\"version\":1}},\"spec_version\":\"1.0.31\",\"version\":1,"""
    rb"""\"x-signed-at\":1790000000}}"}"""
)
"""The dictionary of packed heads, in shorthand. FORMAT.md has it too; it never changes."""

_DIGEST = 64
_DIGITS = re.compile(rb"(?<![0-9a-f])(?:[0-9a-f]{128}|[0-9a-f]{64})(?![0-9a-f])")
_SIGNS = re.compile(rb"[#%]")

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
    """The bytes of a head as few: a frame of its shorthand, then what has no shorter form."""
    short = shorthand(data)
    text, digits = (data, b"") if short is None else short
    frame = pack(text, PATTERN)
    out = bytearray()
    varint.append(out, len(text) << 1 | (short is not None))
    varint.append(out, len(frame))
    return bytes(out) + frame + digits


def unpack_head(data: bytes) -> bytes:
    """The bytes of a head that were packed. Raises ContentError."""
    cursor = Cursor(data, "packed head")
    kind = cursor.number(2 * MAX_HEAD_BYTES + 1)
    text = unpack(cursor.take(cursor.number(len(data))), kind >> 1, PATTERN)
    digits = cursor.take(len(data) - cursor.at)
    if kind & 1:
        return longhand(text, digits)
    if digits:
        raise ContentError("packed head: something is left over")
    return text


def shorthand(data: bytes) -> tuple[bytes, bytes] | None:
    """A head with signs for its digests and signatures, and those of them that must travel.

    `#` stands for 64 digits, `%` for 128; `^` for the digest of the text that is named there,
    which the reader has. None when `data` is no head that comes back like that.
    """
    if any(sign in data for sign in b"#%^"):
        return None
    try:
        head = head_from_bytes(data)
    except ContentError:
        return None
    snapshot = head.snapshot.replace(digest(head.targets.encode()), "^")
    timestamp = head.timestamp.replace(digest(head.snapshot.encode()), "^")
    named = msgspec.structs.replace(head, snapshot=snapshot, timestamp=timestamp)
    digits = bytearray()

    def sign(found: re.Match[bytes]) -> bytes:
        digits.extend(bytes.fromhex(found[0].decode()))
        return b"#" if len(found[0]) == _DIGEST else b"%"

    short = _DIGITS.sub(sign, head_to_bytes(named)), bytes(digits)
    return short if longhand(*short) == data else None


def longhand(text: bytes, digits: bytes) -> bytes:
    """The bytes of the head whose `shorthand` is given. Raises ContentError."""
    rest = Cursor(digits, "packed head")
    if len(text) + 2 * len(digits) > MAX_HEAD_BYTES:
        raise ContentError(f"packed head: more than {MAX_HEAD_BYTES} bytes")
    long = _SIGNS.sub(lambda s: rest.take(32 if s[0] == b"#" else 64).hex().encode(), text)
    rest.end()
    head = head_from_bytes(long)
    snapshot = head.snapshot.replace("^", digest(head.targets.encode()))
    timestamp = head.timestamp.replace("^", digest(snapshot.encode()))
    if max(len(snapshot), len(timestamp)) > MAX_ROLE_BYTES:
        raise ContentError(f"packed head: a text of more than {MAX_ROLE_BYTES} bytes")
    return head_to_bytes(msgspec.structs.replace(head, snapshot=snapshot, timestamp=timestamp))
