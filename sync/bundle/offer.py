"""Offer: what the hub says about a bundle before any of it travels.

* It names the bundle by the digest of its bytes and each chunk by the digest of its own,
  so a chunk can come by any road. It is not signed: a false offer costs the bytes that it
  promises, no more, because the root is compared in the end.
* A bundle of one chunk lists none; its own digest is enough.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from sync.bundle.reader import BundleReader
from sync.canonical import Digest, decode, digest, encode, parse_digest
from sync.errors import ContentError
from sync.manifest import Manifest

CHUNK_BYTES = 64 * 1024
MIN_CHUNK_BYTES = 64
MAX_CHUNK_BYTES = 4 * 1024 * 1024
MAX_CHUNKS = 32_768
MAX_BUNDLE_BYTES = 2 * 1024 * 1024 * 1024
MAX_OFFER_BYTES = 4 * 1024 * 1024

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bundle on offer. Sizes are bytes.

    `size` is the bundle's, `unpacked` that of the objects in it, `full_size` that of all
    objects of the target, as they are on disk (not compressed).
    """

    channel: str
    base: Digest | None
    target: Digest
    bundle: Digest
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BUNDLE_BYTES)]
    unpacked: Count
    full_size: Count
    groups: Count
    chunk_size: Annotated[int, msgspec.Meta(ge=MIN_CHUNK_BYTES, le=MAX_CHUNK_BYTES)]
    chunks: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=MAX_CHUNKS)] = ()

    @property
    def chunk_count(self) -> int:
        """How many chunks the bundle is cut into; at least one."""
        return -(-self.size // self.chunk_size)

    def span(self, number: int) -> tuple[int, int]:
        """First byte of chunk `number` and the one after its last."""
        start = number * self.chunk_size
        return start, min(start + self.chunk_size, self.size)

    def chunk_digest(self, number: int) -> Digest:
        """What chunk `number` must hash to."""
        return self.chunks[number] if self.chunks else self.bundle


def offer(
    channel: str,
    base: Manifest | None,
    target: Manifest,
    data: bytes | Path,
    chunk_size: int = CHUNK_BYTES,
) -> Offer:
    """The offer of the bundle `data`, bytes or a file, which leads from `base` to `target`.

    Raises ContentError when it is too long to travel.
    """
    header = BundleReader(data, base).header
    size, whole, chunks = 0, hashlib.sha256(), []
    for piece in _pieces(data, chunk_size):
        size += len(piece)
        whole.update(piece)
        chunks.append(digest(piece))
    if size > min(MAX_BUNDLE_BYTES, MAX_CHUNKS * chunk_size):
        raise ContentError(
            f"channel {channel}: a bundle of {size:,} bytes",
            hint="split the channel in two; large files fit better into one of their own",
        )
    made = Offer(
        channel=channel,
        base=header.base,
        target=target.root,
        bundle=Digest(whole.hexdigest()),
        size=size,
        unpacked=header.unpacked,
        full_size=target.size,
        groups=len(header.groups),
        chunk_size=chunk_size,
        chunks=tuple(chunks) if len(chunks) > 1 else (),
    )
    return offer_from_bytes(offer_to_bytes(made))


def _pieces(data: bytes | Path, size: int) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield from (data[at : at + size] for at in range(0, len(data), size))
        return
    with data.open("rb") as file:
        while piece := file.read(size):
            yield piece


def offer_to_bytes(value: Offer) -> bytes:
    """The canonical bytes of an offer."""
    return encode(value)


def offer_from_bytes(data: bytes) -> Offer:
    """Raises ContentError when `data` is not an offer, or contradicts itself."""
    value = decode(data, Offer, limit=MAX_OFFER_BYTES, what="offer")
    names = [value.target, value.bundle, *value.chunks, *([value.base] if value.base else [])]
    for name in names:
        parse_digest(name)
    if len(value.chunks) != (value.chunk_count if value.chunk_count > 1 else 0):
        raise ContentError(
            f"offer {value.bundle[:12]}: {len(value.chunks)} chunks listed for {value.chunk_count}"
        )
    return value
