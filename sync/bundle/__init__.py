"""Bundles: the files that travel. FORMAT.md has their bytes.

* `BundleWriter` (hub) makes one from two manifests; `BundleReader` (node) takes it apart.
* `digests` says what its objects must be, for who cannot wait for the whole of it.
* `Offer` is what is said about one beforehand: its digest, size and chunks.
* A bundle without base is a first installation and takes the same path.
"""

from sync.bundle.digests import digests_from_bytes, digests_to_bytes
from sync.bundle.header import Group, Header, Label, Packed, Reference
from sync.bundle.offer import Offer, offer, offer_from_bytes, offer_to_bytes
from sync.bundle.reader import BundleReader, DamagedBaseError
from sync.bundle.writer import BundleWriter

__all__ = [
    "BundleReader",
    "BundleWriter",
    "DamagedBaseError",
    "Group",
    "Header",
    "Label",
    "Offer",
    "Packed",
    "Reference",
    "digests_from_bytes",
    "digests_to_bytes",
    "offer",
    "offer_from_bytes",
    "offer_to_bytes",
]
