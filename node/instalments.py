"""Instalments: one bundle that comes group by group, each shown as soon as it is here.

* Header and digests first: together they are the manifest, and its root is compared with the
  signed one before a lesson travels. From then on every object is known by what it hashes to.
* A group whose objects are all here, from wherever, need not come.
"""

from collections.abc import Callable, Iterable, Iterator

from node.agenda import Terms
from node.planner import Part
from node.store.blobs import Blobs
from sync.bundle import BundleReader, Label
from sync.errors import ContentError
from sync.journal import Download
from sync.manifest import Entry, Manifest


class Instalments:
    """What of `reader`'s bundle, which leads to `target`, is here and what is not."""

    def __init__(
        self, download: Download, reader: BundleReader, target: Manifest, blobs: Blobs
    ) -> None:
        self.target = target
        self._download = download
        self._reader = reader
        self._blobs = blobs
        self._spans = reader.spans()
        self._wanted = self._entries()
        self._left = {
            n for n, entries in enumerate(self._wanted) if not all(map(blobs.holds, entries))
        }

    @property
    def whole(self) -> bool:
        """True when every object of the bundle is here."""
        return not self._left

    @property
    def bytes_left(self) -> int:
        """What has still to come."""
        return sum(self._download.cost(*self._spans[n]) for n in self._left)

    def parts(self, terms: Terms) -> list[Part]:
        """The groups that have to come, as the planner sees them."""
        return list(parts(self._reader, self._left, self._download.cost, terms))

    def span(self, number: int) -> tuple[int, int]:
        """First byte of a group and the one after its last."""
        return self._spans[number]

    def ready(self) -> list[int]:
        """The groups that have come and are not unpacked."""
        return [n for n in sorted(self._left) if not self._download.cost(*self._spans[n])]

    def unpack(self, number: int) -> None:
        """Stores the objects of a group that has come. Raises ContentError, SpaceError."""
        made = self._reader.pour_group(number, self._blobs)
        for entry, promised in zip(made, self._wanted[number], strict=True):
            if entry.hash != promised.hash:
                raise ContentError(
                    f"bundle {self._reader.name}, group {number}: {entry.path} is not what was"
                    " promised",
                    hint="it is thrown away and fetched again",
                )
        self._left.discard(number)

    def doubt(self, number: int) -> bool:
        """Forgets what no chunk's digest vouched for in a group that was wrong; was there any?"""
        return self._download.doubt(*self._spans[number])

    def _entries(self) -> list[tuple[Entry, ...]]:
        """The entries that each group brings."""
        named = self.target.by_path()
        return [
            tuple(named[packed.label.path] for packed in group.objects)
            for group in self._reader.header.groups
        ]


def parts(
    reader: BundleReader,
    numbers: Iterable[int],
    cost: Callable[[int, int], int],
    terms: Terms,
) -> Iterator[Part]:
    """Groups `numbers` as parts to plan with; `cost` says how many bytes a span still needs."""
    brought = labels(reader)
    spans = reader.spans()
    for number in sorted(numbers):
        entries = tuple(map(terms.wanted, brought[number]))
        start, stop = spans[number]
        yield Part(number, stop - start, entries, cost(start, stop))


def labels(reader: BundleReader) -> list[list[Label]]:
    """What each group brings: its objects, and what else has the same bytes."""
    brought = [[packed.label for packed in group.objects] for group in reader.header.groups]
    home = [n for n, group in enumerate(reader.header.groups) for _ in group.objects]
    for reference in reader.header.references:
        if isinstance(reference.source, int):
            brought[home[reference.source]].append(reference.label)
    return brought
