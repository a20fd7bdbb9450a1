"""Seal: the outside of the blocks that nodes send: magic, check, one zstd frame.

* The check finds every accident on the road or the disk before anything is unpacked.
* Version 1 is no signature: a block says of itself which node it is from. Version 2 is the
  same with the node's signature before the frame (`identity.py` makes and judges it).
"""

import re
import zlib

from sync.codec.raw import compress, decompress
from sync.errors import ContentError

MAGIC_BYTES = 4
"""Three letters for the kind of block and one digit for its version."""

CHECK_BYTES = 4
SIGNATURE_BYTES = 64
SIGNED = b"2"
"""The version digit of a block with a signature."""

MAX_NODE_CHARS = 64
MAX_EPOCH_CHARS = 80
MAX_SEQ = 2**53 - 1
MAX_TIME = 2**53 - 1
"""Latest time in Unix milliseconds."""

_NODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_EPOCH = re.compile(r"[A-Za-z0-9-]+\Z")


def seal(magic: bytes, payload: bytes) -> bytes:
    """`payload` as a block of the kind `magic`, without a signature."""
    return _closed(magic, compress(payload))


def unseal(magic: bytes, data: bytes, *, limit: int, payload_limit: int, what: str) -> bytes:
    """The payload of a block, signed or not. Limits in bytes; `what` names it in errors.

    `magic` is that of version 1. Raises ContentError when the block is damaged, too long or
    of another kind or version. A signature is not judged here.
    """
    if len(data) > limit:
        raise ContentError(f"{what}: {len(data)} bytes, more than the {limit} allowed")
    found = data[:MAGIC_BYTES]
    known = (magic, magic[:-1] + SIGNED)
    if found[:-1] == magic[:-1] and found not in known and found[-1:].isdigit():
        raise ContentError(
            f"{what}: version {found[-1:].decode()}, and only 1 and 2 are known",
            hint="install the current version of this program",
        )
    if found not in known:
        raise ContentError(f"{what}: begins with {found!r}, not with {magic!r}")
    check, rest = data[MAGIC_BYTES : MAGIC_BYTES + CHECK_BYTES], data[MAGIC_BYTES + CHECK_BYTES :]
    if zlib.crc32(found + rest).to_bytes(CHECK_BYTES, "little") != check:
        raise ContentError(f"{what}: damaged, its check does not fit")
    frame = rest[SIGNATURE_BYTES:] if is_signed(data) else rest
    try:
        return decompress(frame, payload_limit)
    except ContentError as error:
        raise ContentError(f"{what}: {error}") from error


def is_signed(block: bytes) -> bool:
    """True when a block carries a signature, whosever it is."""
    return block[MAGIC_BYTES - 1 : MAGIC_BYTES] == SIGNED


def signed_part(block: bytes) -> bytes:
    """What the signature of a block is over: the three letters of its kind, and its frame."""
    start = MAGIC_BYTES + CHECK_BYTES + (SIGNATURE_BYTES if is_signed(block) else 0)
    return block[: MAGIC_BYTES - 1] + block[start:]


def signature_of(block: bytes) -> bytes:
    """The signature in a block that `is_signed`."""
    return block[MAGIC_BYTES + CHECK_BYTES :][:SIGNATURE_BYTES]


def with_signature(block: bytes, signature: bytes) -> bytes:
    """A sound block of version 1 as version 2."""
    start = MAGIC_BYTES + CHECK_BYTES
    return _closed(block[: MAGIC_BYTES - 1] + SIGNED, signature + block[start:])


def _closed(magic: bytes, rest: bytes) -> bytes:
    return magic + zlib.crc32(magic + rest).to_bytes(CHECK_BYTES, "little") + rest


def check_name(what: str, node: str, epoch: str, seq: int) -> None:
    """Raises ContentError unless this can be the name of a block."""
    if len(node) > MAX_NODE_CHARS or not _NODE.match(node):
        raise ContentError(f"{what}: not the id of a node: {node[:80]!r}")
    if len(epoch) > MAX_EPOCH_CHARS or not _EPOCH.match(epoch):
        raise ContentError(f"{what} of {node}: not an epoch: {epoch[:80]!r}")
    if not 0 <= seq <= MAX_SEQ:
        raise ContentError(f"{what} of {node}: not a sequence number: {seq}")
