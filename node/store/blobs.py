"""Blobs: the objects of the node, and what keeps their folder whole and small.

* Content-addressed and hashed on every read, as `sync.files.ObjectStore` does it.
* An update only adds. What no kept version needs is collected after the flip, never before.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from sync.canonical import Digest
from sync.errors import ContentError
from sync.files import ObjectStore, sweep
from sync.manifest import Entry, Manifest


class Blobs(ObjectStore):
    """The object folder of one node; its owner holds the lock on the data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._root = folder

    def missing(self, manifest: Manifest) -> Iterator[Entry]:
        """Entries whose file is not there or has another size. Reads no contents."""
        return (entry for entry in _once(manifest) if not self.holds(entry))

    def holds(self, entry: Entry) -> bool:
        """True when there is a file of the right size for `entry`. Reads no contents."""
        path = self.path(entry.hash)
        return path.is_file() and path.stat().st_size == entry.size

    def damaged(self, manifest: Manifest) -> Iterator[Entry]:
        """Entries whose object is missing or does not hash to its name. Reads everything."""
        for entry in _once(manifest):
            try:
                self.check(entry.hash)
            except ContentError:
                yield entry

    def collect(self, kept: Collection[Digest]) -> int:
        """Removes every other object and what killed writers left; returns how many objects."""
        sweep(self._root)
        gone = [name for name in self.digests() if name not in kept]
        for name in gone:
            self.remove(name)
        return len(gone)


def _once(manifest: Manifest) -> Iterator[Entry]:
    """One entry for each distinct object."""
    return iter({entry.hash: entry for entry in manifest.entries}.values())
