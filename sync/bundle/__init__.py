"""Bundles: the files that travel. FORMAT.md has their bytes.

* `BundleWriter` (hub) makes one from two manifests; `BundleReader` (node) takes it apart.
* `Offer` is what is said about one beforehand: its digest, size and chunks.
* A bundle without base is a first installation and takes the same path.
"""

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
    "offer",
    "offer_from_bytes",
    "offer_to_bytes",
]
