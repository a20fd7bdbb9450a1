"""Digests: what the objects of a bundle must hash to, said before they come.

* 32 bytes for each packed object, in order of travel, and nothing else. Only the root is
  signed: header and digests together make the manifest, and its root proves both.
* A node asks for them when a bundle will not come at once: then each group can be shown as
  soon as it is here. Otherwise they would be bytes for nothing.
"""

from sync.bundle.header import Header
from sync.canonical import Digest
from sync.errors import ContentError
from sync.manifest import MAX_ENTRIES, Manifest

DIGEST_BYTES = 32
MAX_DIGESTS_BYTES = DIGEST_BYTES * MAX_ENTRIES


def digests_to_bytes(header: Header, target: Manifest) -> bytes:
    """The digests of the objects that `header` announces; `target` is what it leads to."""
    entries = target.by_path()
    names = (entries[packed.label.path].hash for packed in header.objects())
    return b"".join(map(bytes.fromhex, names))


def digests_from_bytes(data: bytes) -> list[Digest]:
    """Raises ContentError when `data` cannot be digests."""
    if len(data) > MAX_DIGESTS_BYTES or len(data) % DIGEST_BYTES:
        raise ContentError(f"{len(data)} bytes are no list of digests")
    starts = range(0, len(data), DIGEST_BYTES)
    return [Digest(data[at : at + DIGEST_BYTES].hex()) for at in starts]
