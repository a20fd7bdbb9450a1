"""Table: the columns of a header. FORMAT.md lists them; this is their only reader and writer.

* Entries of the base are named by their number in path order, each as the distance from
  the one expected next; so runs of neighbours are runs of equal bytes.
* Attributes are those of the old entry at the path, or of where the bytes come from,
  unless a row of the table says otherwise.
* Reading checks every number. What passes cannot make a decoder exceed its bounds.
"""

from collections.abc import Sequence
from itertools import islice

from sync import varint
from sync.bundle.header import (
    CODECS,
    KINDS,
    MAX_OBJECT_BYTES,
    Group,
    Header,
    Label,
    Packed,
    Reference,
    Row,
)
from sync.canonical import Digest
from sync.errors import ContentError
from sync.manifest import MAX_ENTRIES, Entry, Manifest, check_path
from sync.varint import Cursor

MAX_TEXT_BYTES = 200


def write(header: Header, base: Manifest | None) -> bytes:
    """The columns of `header`, whose base entries are numbered as in `base`."""
    return _Writer(header, base).table()


def read(data: bytes, base: Manifest | None, base_root: Digest | None, target: str) -> Header:
    """The header that `data` tells. Raises ContentError."""
    return _Reader(data, base).header(base_root, target)


class _Writer:
    """Writes one table, column after column."""

    def __init__(self, header: Header, base: Manifest | None) -> None:
        self._header = header
        self._channel = base.channel if base else ""
        self._places = {e.path: n for n, e in enumerate(base.entries)} if base else {}
        self._olds = base.by_path() if base else {}
        self._objects = tuple(header.objects())
        self._labels = tuple(header.labels())
        self._out = bytearray()

    def table(self) -> bytes:
        """All columns in their order."""
        header = self._header
        same = header.channel == self._channel
        varint.append_text(self._out, "" if same else header.channel)
        for counted in (header.groups, header.references, header.removed):
            self._number(len(counted))
        for group in header.groups:
            for number in (CODECS.index(group.codec), len(group.objects), group.length):
                self._number(number)
            self._out += group.check.to_bytes(4, "little")
        self._paths()
        self._bases()
        self._sources()
        rows = self._choices()
        self._removed()
        self._rows(rows)
        fresh = (label.path for label in self._labels if label.path not in self._places)
        return bytes(self._out) + "\n".join(fresh).encode()

    def _number(self, number: int) -> None:
        varint.append(self._out, number)

    def _paths(self) -> None:
        expected = 0
        for label in self._labels:
            place = self._places.get(label.path)
            if place is None:
                self._number(0)
            else:
                self._number(1 + varint.zigzag(place - expected))
                expected = place + 1

    def _bases(self) -> None:
        for packed in self._objects:
            if packed.base is None:
                self._number(0)
            elif packed.base.path == packed.label.path:
                self._number(1)
            else:
                self._number(2 + self._places[packed.base.path])
        for packed in self._objects:
            base = packed.base
            self._number(varint.zigzag(packed.size - base.size) if base else packed.size)

    def _sources(self) -> None:
        expected = 0
        for reference in self._header.references:
            if isinstance(reference.source, int):
                self._number(reference.source << 1 | 1)
            else:
                place = self._places[reference.source.path]
                self._number(varint.zigzag(place - expected) << 1)
                expected = place + 1

    def _choices(self) -> Sequence[Row]:
        rows: dict[Row, int] = {}
        origins = [packed.base for packed in self._objects]
        sources = [reference.source for reference in self._header.references]
        for label, origin in zip(self._labels, [*origins, *sources], strict=True):
            inherited = _inherited(self._olds.get(label.path), origin, self._labels)
            same = inherited == label.row
            self._number(0 if same else rows.setdefault(label.row, len(rows) + 1))
        return tuple(rows)

    def _removed(self) -> None:
        expected = 0
        for place in sorted(self._places[entry.path] for entry in self._header.removed):
            self._number(place - expected)
            expected = place + 1

    def _rows(self, rows: Sequence[Row]) -> None:
        self._number(len(rows))
        for kind, priority, grade, language in rows:
            self._number(KINDS.index(kind))
            self._number(priority)
            varint.append_text(self._out, grade)
            varint.append_text(self._out, language)


class _Reader:
    """Reads one table, column after column."""

    def __init__(self, data: bytes, base: Manifest | None) -> None:
        self._cursor = Cursor(data, "table")
        self._number = self._cursor.number
        self._length = len(data)
        self._channel = base.channel if base else ""
        self._olds: Sequence[Entry] = base.entries if base else ()

    def header(self, base: Digest | None, target: str) -> Header:
        """Everything the table says."""
        channel = self._cursor.text(MAX_TEXT_BYTES) or self._channel
        group_count, reference_count, removed_count = (self._number(MAX_ENTRIES) for _ in range(3))
        shapes = [self._shape() for _ in range(group_count)]
        packed_count = sum(shape[1] for shape in shapes)
        if packed_count + reference_count > MAX_ENTRIES:
            raise ContentError(f"more than {MAX_ENTRIES} entries")
        owns = self._owns(packed_count + reference_count)
        bases = [self._base(own) for own in owns[:packed_count]]
        sizes = [self._size(old) for old in bases]
        sources = self._sources(reference_count, packed_count)
        choices = [self._number(MAX_ENTRIES) for _ in owns]
        removed = self._removed(removed_count)
        rows = [self._row() for _ in range(self._number(MAX_ENTRIES))]
        paths = self._paths(owns)
        labels: list[Label] = []
        for path, own, origin, choice in zip(paths, owns, [*bases, *sources], choices, strict=True):
            if choice > len(rows):
                raise ContentError(f"there is no row {choice}")
            row = rows[choice - 1] if choice else _inherited(own, origin, labels)
            if row is None:
                raise ContentError(f"{path!r} has no attributes")
            labels.append(Label(path, row))
        objects = map(Packed, labels, sizes, bases)
        groups = tuple(
            Group(codec, tuple(islice(objects, count)), length, check)
            for codec, count, length, check in shapes
        )
        references = tuple(map(Reference, labels[packed_count:], sources))
        return Header(channel, base, target, groups, references, removed)

    def _shape(self) -> tuple[str, int, int, int]:
        """Codec, number of objects, payload bytes and check of a group."""
        codec = CODECS[self._number(len(CODECS) - 1)]
        count, length = self._number(MAX_ENTRIES), self._number(2 * MAX_OBJECT_BYTES)
        return codec, count, length, int.from_bytes(self._cursor.take(4), "little")

    def _old(self, place: int) -> Entry:
        if not 0 <= place < len(self._olds):
            raise ContentError(f"the base has no entry {place}")
        return self._olds[place]

    def _owns(self, count: int) -> list[Entry | None]:
        """The base entry at the path of each entry; None where the path is new."""
        owns: list[Entry | None] = []
        expected = 0
        for _ in range(count):
            number = self._number(2 * MAX_ENTRIES + 1)
            if number:
                expected += varint.unzigzag(number - 1)
                owns.append(self._old(expected))
                expected += 1
            else:
                owns.append(None)
        return owns

    def _base(self, own: Entry | None) -> Entry | None:
        number = self._number(MAX_ENTRIES + 1)
        if number == 1 and own is None:
            raise ContentError("a new path has no base of its own")
        return own if number == 1 else self._old(number - 2) if number else None

    def _size(self, old: Entry | None) -> int:
        if old is None:
            return self._number(MAX_OBJECT_BYTES)
        size = old.size + self._cursor.signed(MAX_OBJECT_BYTES)
        if not 0 <= size <= MAX_OBJECT_BYTES:
            raise ContentError(f"an object of {size} bytes")
        return size

    def _sources(self, count: int, packed_count: int) -> list[Entry | int]:
        sources: list[Entry | int] = []
        expected = 0
        for _ in range(count):
            number = self._number(4 * MAX_ENTRIES + 1)
            if number & 1:
                if number >> 1 >= packed_count:
                    raise ContentError(f"there is no object {number >> 1}")
                sources.append(number >> 1)
            else:
                expected += varint.unzigzag(number >> 1)
                sources.append(self._old(expected))
                expected += 1
        return sources

    def _removed(self, count: int) -> tuple[Entry, ...]:
        removed = []
        expected = 0
        for _ in range(count):
            expected += self._number(MAX_ENTRIES)
            removed.append(self._old(expected))
            expected += 1
        return tuple(removed)

    def _row(self) -> Row:
        kind = KINDS[self._number(len(KINDS) - 1)]
        priority = self._number(99)
        return kind, priority, self._cursor.text(MAX_TEXT_BYTES), self._cursor.text(MAX_TEXT_BYTES)

    def _paths(self, owns: Sequence[Entry | None]) -> list[str]:
        """The path of each entry: the old one's, or the next of the new ones."""
        rest = self._cursor.take(self._length - self._cursor.at)
        try:
            fresh = rest.decode("utf-8").split("\n") if rest else []
        except UnicodeDecodeError as error:
            raise ContentError(str(error)) from error
        if len(fresh) != owns.count(None):
            raise ContentError(f"{len(fresh)} new paths for {owns.count(None)} entries")
        for path in fresh:
            check_path(path)
        new = iter(fresh)
        return [own.path if own else next(new) for own in owns]


def _inherited(
    own: Entry | None, origin: Entry | int | None, labels: Sequence[Label]
) -> Row | None:
    """The attributes of an entry that gives none: its own old ones, else its origin's."""
    if own is None and isinstance(origin, int):
        return labels[origin].row
    source = own or origin
    return Label.of(source).row if isinstance(source, Entry) else None
