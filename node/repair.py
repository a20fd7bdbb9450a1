"""Repair: one long object fetched whole, by its digest, in pieces that never fill the memory.

* It travels as a bundle does: bytes of an immutable file from a place on, over any road. What
  has come stays when the link dies, and the next try goes on there.
* What is not the object in the end is thrown away. Nothing refers to it before.
"""

from contextlib import aclosing

from node.store.blobs import Blobs
from node.worker import Worker
from sync.errors import TransportError
from sync.files import append
from sync.manifest import Entry
from sync.transport import Source


async def fetch_long(source: Source, blobs: Blobs, worker: Worker, entry: Entry) -> None:
    """Brings the object of `entry` into `blobs`. TransportError, ContentError, SpaceError."""
    path = blobs.part(entry.hash)
    at = path.stat().st_size if path.exists() else 0
    if at > entry.size:
        path.unlink()
        at = 0
    if at < entry.size:
        async with aclosing(source.chunks(entry.hash, at, entry.size)) as pieces:
            async for piece in pieces:
                await worker.run(append, path, piece)
                at += len(piece)
    if at < entry.size:
        raise TransportError(f"object {entry.hash[:12]} ended early")
    await worker.run(blobs.keep, entry.hash)
