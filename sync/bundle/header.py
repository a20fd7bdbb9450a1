"""Header: what a bundle says about itself. The manifest delta and the groups, as values.

* It says how every entry of the target that differs from the base is made: decoded from a
  group, or the same bytes as an object of the base or of a group (a move costs nothing).
* It carries no digest of a changed object: the reader computes them, builds the target
  manifest and compares one root.
* `table.py` knows its bytes, `envelope.py` what is around them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from sync import varint
from sync.canonical import Digest
from sync.errors import ContentError
from sync.manifest import Entry, Kind

PARTS = "parts"
CODECS = ("raw", "zpatch", "edit", "tensor", PARTS)
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_GROUP_BYTES = 8_000_000
"""Old and new bytes of a group of several objects."""
MAX_WHOLE_BYTES = 16 * 1024 * 1024
"""Old and new bytes of an object alone in its group; a longer one travels in parts."""
MAX_OBJECT_BYTES = 1024 * 1024 * 1024
"""No object is longer."""
MIN_PART_BYTES = 65_536
"""New bytes of any part but the last; MAX_GROUP_BYTES is the limit of old and new."""
PART_HEAD_BYTES = 5 * varint.MAX_BYTES
"""No head of a part is longer."""

Row = tuple[Kind, int, str, str]
"""Kind, priority, grade and language of an entry."""


@dataclass(frozen=True, slots=True)
class Label:
    """What an entry of the target is, apart from its content."""

    path: str
    row: Row

    @classmethod
    def of(cls, entry: Entry) -> "Label":
        """The label of `entry`."""
        return cls(entry.path, (entry.kind, entry.priority, entry.grade, entry.language))

    def entry(self, name: Digest, size: int) -> Entry:
        """The entry with this label and content."""
        return Entry(self.path, name, size, *self.row)


@dataclass(frozen=True, slots=True)
class Packed:
    """An object in a group: `size` bytes, decoded with the help of `base`."""

    label: Label
    size: int
    base: Entry | None


@dataclass(frozen=True, slots=True)
class Reference:
    """An entry whose bytes are those of a base entry, or of a packed object by number."""

    label: Label
    source: Entry | int


@dataclass(frozen=True, slots=True)
class Group:
    """A slice of the bundle, `length` bytes; `check` is the CRC-32 of what it decodes to."""

    codec: str
    objects: tuple[Packed, ...]
    length: int
    check: int

    def verify(self, number: int) -> None:
        """Raises ContentError when group `number` would exceed the bounds of a decoder."""
        sizes = sum(o.size for o in self.objects)
        bases = {o.base.hash: o.base.size for o in self.objects if o.base}.values()
        if not self.objects:
            raise ContentError(f"group {number}: empty")
        if self.codec == PARTS:
            total, limit = max(sizes, *bases, 0), MAX_OBJECT_BYTES
            most = sizes + (sizes // MIN_PART_BYTES + 1) * (PART_HEAD_BYTES + 1)
            if len(self.objects) > 1:
                raise ContentError(f"group {number}: {len(self.objects)} objects in parts")
        else:
            total, most = sizes + sum(bases), sizes + 1
            limit = MAX_GROUP_BYTES if len(self.objects) > 1 else MAX_WHOLE_BYTES
        if total > limit:
            raise ContentError(f"group {number}: {total} bytes, more than {limit}")
        if self.length > most:
            raise ContentError(f"group {number}: longer packed than unpacked")


@dataclass(frozen=True, slots=True)
class Header:
    """How to come from `base` to `target` (roots). `removed` are entries of the base.

    A header that was read has of `target` only how it begins: see `leads_to`.
    """

    channel: str
    base: Digest | None
    target: str
    groups: tuple[Group, ...]
    references: tuple[Reference, ...]
    removed: tuple[Entry, ...]

    def leads_to(self, root: Digest) -> bool:
        """False when it is for another version than that with `root`."""
        return root.startswith(self.target)

    @property
    def unpacked(self) -> int:
        """Bytes of all objects in the groups."""
        return sum(o.size for o in self.objects())

    def objects(self) -> Iterator[Packed]:
        """The packed objects, in order of travel."""
        for group in self.groups:
            yield from group.objects

    def labels(self) -> Iterator[Label]:
        """The labels of all that differs: packed objects, then references."""
        yield from (packed.label for packed in self.objects())
        yield from (reference.label for reference in self.references)
