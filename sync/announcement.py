"""Announcement: what the hub says on Kafka when a channel has a new head.

* It is a hint: the head in it is judged like any other, the rest costs bytes at most.
* It says which bundles lie in the topic of bundles, and at which offset; what it does not
  name is fetched over another road.
* Packed it has at most 2 KB, so that a node pays little to learn that there is something new.

FORMAT.md, "Kafka", has the bytes.
"""

import zlib
from typing import Annotated

import msgspec

from sync.canonical import Digest, decode, encode
from sync.errors import ContentError
from sync.head import Head

MAGIC = b"\x01"
MAX_VALUE_BYTES = 2048
"""Of the packed value, its version byte included."""
MAX_PLAIN_BYTES = 64 * 1024
MAX_BUNDLES = 64
BASE_CHARS = 16
DICTIONARY = (
    rb'{"bundles":[["none",0],["'
    rb'",1]],"head":{"channel":"escuela",'
    rb'"snapshot":"{\"signatures\":[{\"keyid\":\"\",\"sig\":\"\"}],\"signed\":{\"_type\":'
    rb"\"snapshot\",\"expires\":\"2036-01-01T00:00:00Z\",\"meta\":{\"targets.json\":{\"hashes\":"
    rb"{\"sha256\":\"\"},\"length\":492,\"version\":1}},\"spec_version\":\"1.0.31\","
    rb'\"version\":2}}","targets":"{\"signatures\":[{\"keyid\":\"\",\"sig\":\"\"}],\"signed\":'
    rb"{\"_type\":\"targets\",\"expires\":\"2036-01-01T00:00:00Z\",\"spec_version\":\"1.0.31\","
    rb"\"targets\":{\"escuela\":{\"custom\":{\"full_size\":1000,\"version\":1},\"hashes\":"
    rb'{\"sha256\":\"\"},\"length\":500}},\"version\":1}}","timestamp":"{\"signatures\":'
    rb"[{\"keyid\":\"\",\"sig\":\"\"}],\"signed\":{\"_type\":\"timestamp\",\"expires\":"
    rb"\"2026-01-01T00:00:00Z\",\"meta\":{\"snapshot.json\":{\"hashes\":{\"sha256\":\"\"},"
    rb"\"length\":467,\"version\":2}},\"spec_version\":\"1.0.31\",\"version\":2,"
    rb'\"x-signed-at\":1772000000}}"},"root":1}'
)
"""What packing begins with: the parts of an announcement that never change (RFC 1950 FDICT)."""

Base = Annotated[str, msgspec.Meta(pattern=r"^(none|[0-9a-f]{16})$")]
Offset = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class Announcement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head, the version of the newest root keys, and which bundles lie where.

    `bundles` names each base by its first 16 digits (or "none") and the offset of its offer.
    """

    head: Head
    root: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    bundles: Annotated[tuple[tuple[Base, Offset], ...], msgspec.Meta(max_length=MAX_BUNDLES)] = ()

    def offset(self, base: Digest | None) -> int | None:
        """Where the offer of the bundle from `base` lies; None where it does not."""
        return dict(self.bundles).get(short(base))

    @property
    def age(self) -> tuple[int, int]:
        """Root version and claimed timestamp version: the greater, the newer. ContentError."""
        text = self.head.timestamp.encode()
        stamp = decode(text, _Stamp, limit=MAX_PLAIN_BYTES, what="announced timestamp")
        return self.root, stamp.signed.version


class _Signed(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


class _Stamp(msgspec.Struct):
    signed: _Signed


def short(base: Digest | None) -> str:
    """How an announcement names a base."""
    return base[:BASE_CHARS] if base else "none"


def to_bytes(value: Announcement) -> bytes:
    """The value of the record. Raises ContentError when it is too long."""
    packer = zlib.compressobj(9, zdict=DICTIONARY)
    data = MAGIC + packer.compress(encode(value)) + packer.flush()
    if len(data) > MAX_VALUE_BYTES:
        raise ContentError(f"announcement of {len(data)} bytes, more than {MAX_VALUE_BYTES}")
    return data


def from_bytes(data: bytes) -> Announcement:
    """Raises ContentError when `data` is not an announcement."""
    if data[:1] != MAGIC or len(data) > MAX_VALUE_BYTES:
        raise ContentError(
            "no announcement of version 1",
            hint="if the hub is newer than this program, install the current version",
        )
    unpacker = zlib.decompressobj(zdict=DICTIONARY)
    try:
        plain = unpacker.decompress(data[1:], MAX_PLAIN_BYTES)
    except zlib.error as error:
        raise ContentError(f"announcement: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ContentError("announcement: cut off, too long, or followed by something")
    return decode(plain, Announcement, limit=MAX_PLAIN_BYTES, what="announcement")
