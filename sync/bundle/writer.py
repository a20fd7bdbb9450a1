"""BundleWriter: from two manifests and their objects to the file that travels. Hub only.

* What the base has travels as a reference; other objects go into groups, in order of
  priority, so that a link that dies early has brought the most valuable; among equals texts
  come first, then binaries, then models, which share no group with others. A large group is
  cut again where the priority changes: each can be shown before the next has come.
* Each group is written by the codec that makes it smallest.
* The same manifests give the same bytes, unless comparing texts ran out of time.
* What was written is read back before it is handed out.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from sync.bundle import envelope
from sync.bundle.bases import BaseFinder
from sync.bundle.header import (
    MAX_GROUP_BYTES,
    MAX_OBJECT_BYTES,
    Group,
    Header,
    Label,
    Packed,
    Reference,
)
from sync.bundle.reader import BundleReader
from sync.canonical import Digest
from sync.codec import Codec
from sync.codec.edit import EditCodec
from sync.codec.layout import layout
from sync.codec.raw import RawCodec
from sync.codec.script import Differ, is_text
from sync.codec.tensor import TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from sync.manifest import Entry, Manifest

Pair = tuple[Entry, Packed]
APART_BYTES = 65_536
"""So many bytes of binaries are better apart from the texts."""
GRAIN_BYTES = 131_072
"""A group of twice as many packed bytes (65 s at 32 kbit/s) is cut by priority."""
_TEXT, _BINARY, _MODEL = range(3)


class BundleWriter:
    """Writes the bundle from `base` (nothing when None) to `target`.

    `read` gives the bytes of any object of either; `differ` tells edit scripts (default:
    20 seconds of them in all); `group_bytes` and `grain_bytes` are for tests.
    """

    def __init__(
        self,
        base: Manifest | None,
        target: Manifest,
        read: Callable[[Digest], bytes],
        *,
        differ: Differ | None = None,
        group_bytes: int = MAX_GROUP_BYTES,
        grain_bytes: int = GRAIN_BYTES,
    ) -> None:
        self._base = base
        self._olds = base.by_path() if base else {}
        self._target = target
        self._read = read
        self._group_bytes = group_bytes
        self._grain_bytes = grain_bytes
        self._raw = RawCodec()
        self._zpatch = ZpatchCodec()
        self._edit = EditCodec(differ)
        self._tensor = TensorCodec()
        self._sorts: dict[Digest, int] = {}

    def write(self) -> bytes:
        """The bytes of the bundle. Raises ContentError when an object is too large for one."""
        pairs, references = self._sort()
        slices = [self._group(run) for run in self._by_worth(self._slices(pairs))]
        olds = self._base.entries if self._base else ()
        kept = self._target.by_path()
        header = Header(
            channel=self._target.channel,
            base=self._base.root if self._base else None,
            target=self._target.root,
            groups=tuple(group for group, _ in slices),
            references=references,
            removed=tuple(entry for entry in olds if entry.path not in kept),
        )
        data = envelope.write(header, self._base) + b"".join(payload for _, payload in slices)
        reader = BundleReader(data, self._base)
        for _ in reader.objects(self._read):
            pass
        reader.target_manifest()
        return data

    def _sort(self) -> tuple[list[Pair], tuple[Reference, ...]]:
        """What differs: objects to pack in order of travel, and references by path."""
        olds = self._olds
        held = {entry.hash: entry for entry in reversed(olds.values())}
        finder = BaseFinder(self._base, self._target, self._read)
        pairs: list[Pair] = []
        numbers: dict[Digest, int] = {}
        references: list[Reference] = []
        for entry in sorted(self._target.entries, key=self._order):
            own = olds.get(entry.path)
            if own == entry:
                continue
            label = Label.of(entry)
            if own and own.hash == entry.hash:
                references.append(Reference(label, own))
            elif entry.hash in held:
                references.append(Reference(label, held[entry.hash]))
            elif entry.hash in numbers:
                references.append(Reference(label, numbers[entry.hash]))
            else:
                numbers[entry.hash] = len(pairs)
                pairs.append((entry, self._packed(entry, label, finder)))
        return pairs, tuple(sorted(references, key=lambda r: r.label.path))

    def _order(self, entry: Entry) -> tuple[int, int, str]:
        """Sorts what is worth most first, and like by like."""
        own = self._olds.get(entry.path)
        same = own is not None and own.hash == entry.hash
        return entry.priority, 0 if same else self._sort_of(entry), entry.path

    def _sort_of(self, entry: Entry) -> int:
        if entry.hash not in self._sorts:
            data = self._read(entry.hash) if entry.size <= MAX_OBJECT_BYTES else b""
            model = entry.kind == "model" or layout(data)
            self._sorts[entry.hash] = _MODEL if model else _TEXT if is_text(data) else _BINARY
        return self._sorts[entry.hash]

    def _packed(self, entry: Entry, label: Label, finder: BaseFinder) -> Packed:
        if entry.size > MAX_OBJECT_BYTES:
            raise ContentError(
                f"{entry.path}: {entry.size:,} bytes, more than the {MAX_OBJECT_BYTES:,} "
                "that fit into a bundle",
                hint="publish it in parts",
            )
        base = finder.find(entry, self._read(entry.hash))
        if base and base.size + entry.size > MAX_OBJECT_BYTES:
            base = None
        return Packed(label, entry.size, base)

    def _slices(self, pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
        """Runs of objects that fit into a group with their bases; one alone may be larger."""
        run: list[Pair] = []
        olds: set[Digest] = set()
        total, last = 0, _TEXT
        binary = sum(p.size for entry, p in pairs if self._sort_of(entry) == _BINARY)
        sorts = _TEXT, _TEXT if binary < APART_BYTES else _BINARY, _MODEL
        for pair in pairs:
            packed = pair[1]
            cost = packed.size
            if packed.base and packed.base.hash not in olds:
                cost += packed.base.size
            sort = sorts[self._sort_of(pair[0])]
            if run and (total + cost > self._group_bytes or sort != last):
                yield run
                run, olds, total = [], set(), 0
                cost = packed.size + (packed.base.size if packed.base else 0)
            last = sort
            run.append(pair)
            total += cost
            if packed.base:
                olds.add(packed.base.hash)
        if run:
            yield run

    def _by_worth(self, runs: Iterable[list[Pair]]) -> Iterator[list[Pair]]:
        """`runs`, cut again where one would keep the most valuable waiting for the rest.

        Only where the priority changes: among equals, larger groups pack better.
        """
        for run in runs:
            size = sum(packed.size for _, packed in run)
            if size < 2 * self._grain_bytes or run[0][0].priority == run[-1][0].priority:
                yield run
            else:
                yield from self._tiers(run, len(self._group(run)[1]) // self._grain_bytes)

    def _tiers(self, pairs: Sequence[Pair], most: int) -> list[list[Pair]]:
        """`pairs` in at most `most` runs of about equal size, none of which cuts a priority."""
        share = sum(packed.size for _, packed in pairs) / max(1, most)
        runs: list[list[Pair]] = [[]]
        size = 0
        for entry, packed in pairs:
            if runs[-1] and size >= share and runs[-1][-1][0].priority != entry.priority:
                runs.append([])
                size = 0
            runs[-1].append((entry, packed))
            size += packed.size
        return runs

    def _group(self, pairs: Sequence[Pair]) -> tuple[Group, bytes]:
        """The group of `pairs` and its payload, by the best codec."""
        news = [self._read(entry.hash) for entry, _ in pairs]
        olds = [self._read(p.base.hash) if p.base else b"" for _, p in pairs]
        model = self._sort_of(pairs[0][0]) == _MODEL
        codecs = self._codecs(olds, news, model)
        payloads = [(codec.name, codec.encode(olds, news)) for codec in codecs]
        codec, payload = min(payloads, key=lambda named: len(named[1]))
        objects = tuple(packed for _, packed in pairs)
        return Group(codec, objects, len(payload), zlib.crc32(b"".join(news))), payload

    def _codecs(self, olds: Sequence[bytes], news: Sequence[bytes], model: bool) -> Iterator[Codec]:
        """The codecs that may win; zpatch is raw where there is nothing to patch."""
        if not any(olds):
            yield self._raw
            return
        yield self._zpatch
        if model:
            yield self._tensor
        elif any(o and is_text(o) and is_text(n) for o, n in zip(olds, news, strict=True)):
            yield self._edit
