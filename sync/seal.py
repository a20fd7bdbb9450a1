"""Seal: the outside of the blocks that nodes send: magic, check, one zstd frame.

* The check finds every accident on the road or the disk before anything is unpacked.
* It is no signature: a block says of itself which node it is from, and the hub believes no
  more than what a node may say about itself.
"""

import re
import zlib

from sync.codec.raw import compress, decompress
from sync.errors import ContentError

MAGIC_BYTES = 4
"""Three letters for the kind of block and one digit for its version."""

CHECK_BYTES = 4
MAX_NODE_CHARS = 64
MAX_EPOCH_CHARS = 80
MAX_SEQ = 2**53 - 1
MAX_TIME = 2**53 - 1
"""Latest time in Unix milliseconds."""

_NODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_EPOCH = re.compile(r"[A-Za-z0-9-]+\Z")


def seal(magic: bytes, payload: bytes) -> bytes:
    """`payload` as a block of the kind `magic`."""
    frame = compress(payload)
    return magic + zlib.crc32(magic + frame).to_bytes(CHECK_BYTES, "little") + frame


def unseal(magic: bytes, data: bytes, *, limit: int, payload_limit: int, what: str) -> bytes:
    """The payload of a block. Limits in bytes; `what` names it in errors.

    Raises ContentError when it is damaged, too long or of another kind or version.
    """
    if len(data) > limit:
        raise ContentError(f"{what}: {len(data)} bytes, more than the {limit} allowed")
    found = data[:MAGIC_BYTES]
    if found[:-1] == magic[:-1] and found != magic and found[-1:].isdigit():
        raise ContentError(
            f"{what}: version {found[-1:].decode()}, and only {magic[-1:].decode()} is known",
            hint="install the current version of this program",
        )
    if found != magic:
        raise ContentError(f"{what}: begins with {found!r}, not with {magic!r}")
    check, frame = data[MAGIC_BYTES : MAGIC_BYTES + CHECK_BYTES], data[MAGIC_BYTES + CHECK_BYTES :]
    if zlib.crc32(magic + frame).to_bytes(CHECK_BYTES, "little") != check:
        raise ContentError(f"{what}: damaged, its check does not fit")
    try:
        return decompress(frame, payload_limit)
    except ContentError as error:
        raise ContentError(f"{what}: {error}") from error


def check_name(what: str, node: str, epoch: str, seq: int) -> None:
    """Raises ContentError unless this can be the name of a block."""
    if len(node) > MAX_NODE_CHARS or not _NODE.match(node):
        raise ContentError(f"{what}: not the id of a node: {node[:80]!r}")
    if len(epoch) > MAX_EPOCH_CHARS or not _EPOCH.match(epoch):
        raise ContentError(f"{what} of {node}: not an epoch: {epoch[:80]!r}")
    if not 0 <= seq <= MAX_SEQ:
        raise ContentError(f"{what} of {node}: not a sequence number: {seq}")
