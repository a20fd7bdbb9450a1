"""BundleWriter: from two manifests and their objects to the file that travels. Hub only.

* What the base has travels as a reference; other objects go into groups, in order of
  priority, so that a link that dies early has brought the most valuable; among equals texts
  come first, then binaries, then models, which share no group with others. A large group is
  cut again where the priority changes: each can be shown before the next has come.
* Each group is written by the codec that makes it smallest. An object too long to be held
  in memory is alone in its group and written in parts (`cutter.py`).
* Payloads wait in a file until the header, which stands before them, can be written.
* The same manifests give the same bytes, unless comparing texts ran out of time.
* What was written is read back before it is handed out.
"""

import contextlib
import hashlib
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from sync.bundle import envelope
from sync.bundle.ahead import ahead
from sync.bundle.bases import BaseFinder
from sync.bundle.cutter import BLOCK_BYTES, Cutter
from sync.bundle.header import (
    CODECS,
    MAX_GROUP_BYTES,
    MAX_OBJECT_BYTES,
    MAX_WHOLE_BYTES,
    PARTS,
    Group,
    Header,
    Label,
    Packed,
    Reference,
)
from sync.bundle.memory import VERSION, Forgetful, Memory
from sync.bundle.reader import BundleReader, Opened
from sync.canonical import Digest
from sync.codec import Codec, Sliceable
from sync.codec.edit import EditCodec
from sync.codec.layout import layout
from sync.codec.raw import RawCodec
from sync.codec.script import LOOK_BYTES, is_text
from sync.codec.tensor import TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from sync.manifest import Entry, Manifest

Pair = tuple[Entry, Packed]
APART_BYTES = 65_536
"""So many bytes of binaries are better apart from the texts."""
GRAIN_BYTES = 131_072
"""A group of twice as many packed bytes (65 s at 32 kbit/s) is cut by priority."""
SMALL_BYTES = 128 * 1024
"""Up to so many new bytes, every codec is tried."""
_TEXT, _BINARY, _MODEL = range(3)


class BundleWriter:
    """Writes the bundle from `base` (nothing when None) to `target`.

    `read` gives the bytes of any object of either, `opened` the same in slices (default: by
    `read`), for long ones; `memory` has what was learnt from earlier bundles (default: nothing,
    and 20 seconds to tell edit scripts); both are called by several threads;
    `group_bytes`, `grain_bytes` and `whole_bytes` are for tests.
    """

    def __init__(
        self,
        base: Manifest | None,
        target: Manifest,
        read: Callable[[Digest], bytes],
        *,
        opened: Opened | None = None,
        memory: Memory | None = None,
        group_bytes: int = MAX_GROUP_BYTES,
        grain_bytes: int = GRAIN_BYTES,
        whole_bytes: int = MAX_WHOLE_BYTES,
    ) -> None:
        self._base = base
        self._olds = base.by_path() if base else {}
        self._root = base.root if base else None
        self._target = target
        self._read = read
        self._opened = opened or (lambda name: contextlib.nullcontext(read(name)))
        self._group_bytes = group_bytes
        self._grain_bytes = grain_bytes
        self._whole_bytes = whole_bytes
        self._raw = RawCodec()
        self._zpatch = ZpatchCodec()
        self._memory = memory or Forgetful()
        self._edit = EditCodec(self._memory.script)
        self._tensor = TensorCodec()
        self._cutter = Cutter(group_bytes, self._memory)
        self._sorts: dict[Digest, int] = {}

    def write(self) -> bytes:
        """The bytes of the bundle. Raises ContentError when an object is too long for one."""
        payloads = io.BytesIO()
        data = self._header(payloads) + payloads.getvalue()
        BundleReader(data, self._base).verify(self._read, self._opened)
        return data

    def write_file(self, path: Path) -> None:
        """The same, into the new file `path`, of any length; not durable."""
        with path.open("xb") as file, tempfile.TemporaryFile(dir=path.parent) as payloads:
            file.write(self._header(payloads))
            payloads.seek(0)
            shutil.copyfileobj(payloads, file)
        BundleReader(path, self._base).verify(self._read, self._opened)

    def _header(self, payloads: BinaryIO) -> bytes:
        """The header of the bundle, after its payloads were written."""
        pairs, references = self._sort()
        groups = tuple(self._groups(pairs, payloads))
        olds = self._base.entries if self._base else ()
        kept = self._target.by_path()
        header = Header(
            channel=self._target.channel,
            base=self._root,
            target=self._target.root,
            groups=groups,
            references=references,
            removed=tuple(entry for entry in olds if entry.path not in kept),
        )
        return envelope.write(header, self._base)

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
            if entry.size > MAX_OBJECT_BYTES:
                raise ContentError(
                    f"{entry.path}: {entry.size:,} bytes, more than the {MAX_OBJECT_BYTES:,} "
                    "that fit into a bundle",
                    hint="publish it in parts",
                )
            with self._sliced(entry) as data:
                model = entry.kind == "model" or layout(data)
                text = entry.size <= self._whole_bytes and is_text(data[:LOOK_BYTES])
            self._sorts[entry.hash] = _MODEL if model else _TEXT if text else _BINARY
        return self._sorts[entry.hash]

    def _sliced(self, entry: Entry) -> AbstractContextManager[Sliceable]:
        """The bytes of `entry`; only a short one is read into memory."""
        if entry.size <= self._whole_bytes:
            return contextlib.nullcontext(self._read(entry.hash))
        return self._opened(entry.hash)

    def _packed(self, entry: Entry, label: Label, finder: BaseFinder) -> Packed:
        if entry.size > self._whole_bytes:
            return Packed(label, entry.size, finder.find_long(entry))
        return Packed(label, entry.size, self._base_of(entry, finder))

    def _base_of(self, entry: Entry, finder: BaseFinder) -> Entry | None:
        if self._base is None:
            return None
        choice = f"base {VERSION} {self._root} {entry.hash} {entry.path}"
        key = hashlib.sha256(choice.encode()).digest()
        kept = self._memory.recall(key)
        if kept is not None:
            return self._olds.get(kept.decode())
        base = finder.find(entry, self._read(entry.hash))
        self._memory.keep(key, base.path.encode() if base else b"")
        return base

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
                yield from self._tiers(run, len(self._remembered(run)[1]) // self._grain_bytes)

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

    def _groups(self, pairs: Sequence[Pair], payloads: BinaryIO) -> Iterator[Group]:
        """The groups in order, their payloads written."""
        for whole, slices in groupby(self._slices(pairs), self._whole):
            if whole:
                for group, payload in ahead(self._remembered, self._by_worth(slices)):
                    payloads.write(payload)
                    yield group
            else:
                for [(entry, packed)] in slices:
                    yield self._parts(entry, packed, payloads)

    def _whole(self, pairs: Sequence[Pair]) -> bool:
        """False for an object that must travel in parts."""
        base = pairs[0][1].base
        size = pairs[0][1].size + (base.size if base else 0)
        return len(pairs) > 1 or size <= self._whole_bytes

    def _remembered(self, pairs: Sequence[Pair]) -> tuple[Group, bytes]:
        """The group of `pairs` and its payload, written once for all bundles it is in."""
        objects = tuple(packed for _, packed in pairs)
        key = hashlib.sha256(b"group %d" % VERSION)
        for entry, packed in pairs:
            key.update(f"{entry.hash}{packed.base.hash if packed.base else '-'}".encode())
            key.update(b"m" if self._sort_of(entry) == _MODEL else b"")
        kept = self._memory.recall(key.digest())
        if kept is not None:
            check, codec, payload = kept[:4], CODECS[kept[4]], kept[5:]
            return Group(codec, objects, len(payload), int.from_bytes(check, "little")), payload
        news = [self._read(entry.hash) for entry, _ in pairs]
        olds = [self._read(p.base.hash) if p.base else b"" for _, p in pairs]
        codec, payload = self._encoded(olds, news, self._sort_of(pairs[0][0]) == _MODEL)
        group = Group(codec, objects, len(payload), zlib.crc32(b"".join(news)))
        check = group.check.to_bytes(4, "little")
        self._memory.keep(key.digest(), check + bytes([CODECS.index(codec)]) + payload)
        return group, payload

    def _parts(self, entry: Entry, packed: Packed, payloads: BinaryIO) -> Group:
        """The group of one long object."""
        none = contextlib.nullcontext(b"")
        base = self._sliced(packed.base) if packed.base else none
        with self._sliced(entry) as new, base as old:
            length = self._cutter.write(new, old, payloads.write)
            check = 0
            for at in range(0, len(new), BLOCK_BYTES):
                check = zlib.crc32(new[at : at + BLOCK_BYTES], check)
        return Group(PARTS, (packed,), length, check)

    def _encoded(
        self, olds: Sequence[bytes], news: Sequence[bytes], model: bool
    ) -> tuple[str, bytes]:
        """The shortest payload and its codec; zpatch is raw where there is nothing to patch."""
        if not any(olds):
            return self._raw.name, self._raw.encode(olds, news)
        codecs: list[Codec] = [self._tensor, self._zpatch] if model else [self._zpatch]
        if not model and any(map(_texts, olds, news)):
            payload = self._edit.encode(olds, news)
            total = sum(map(len, news))
            if total > SMALL_BYTES and len(payload) <= total and all(map(is_text, news)):
                return self._edit.name, payload  # zpatch is worse, and dear to try
            found = [(self._edit.name, payload)]
        else:
            found = []
        found += [(codec.name, codec.encode(olds, news)) for codec in codecs]
        return min(found, key=lambda named: len(named[1]))


def _texts(old: bytes, new: bytes) -> bool:
    return bool(old) and is_text(old) and is_text(new)
