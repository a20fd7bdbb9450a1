"""BundleReader: from a bundle and what the node holds to objects and the next manifest.

* The bundle is bytes from outside: whatever is wrong with it is a ContentError that names
  the bundle and the group. Nothing is believed until the root of the manifest is right.
* One group is in memory at a time, of a long object one part; what either may need is
  bounded before it is read. The disk is the bound of an object, and of the caller.
* A bundle that is not whole yet is read as far as it came: its header first, then any group
  by itself. What `promised` said, with a signed root, is what such a group must hold.
* A base object that is missing or damaged here is a DamagedBaseError: fetch it and read
  the bundle again.
"""

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Protocol

from sync.bundle import envelope
from sync.bundle.header import PARTS, Group, Header, Packed
from sync.bundle.parts import read_parts
from sync.canonical import Digest, digest
from sync.codec import Codec, Sliceable
from sync.codec.edit import EditCodec
from sync.codec.raw import RawCodec
from sync.codec.tensor import TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from sync.manifest import Entry, Manifest, manifest

Opened = Callable[[Digest], AbstractContextManager[Sliceable]]
"""Opens an object of the base, as `ObjectStore.opened` does."""


class DamagedBaseError(ContentError):
    """An object that the bundle builds on is not sound on this machine."""

    def __init__(self, message: str, entry: Entry) -> None:
        super().__init__(message, hint="the object is fetched whole, then the bundle is read again")
        self.entry = entry
        self.digest = entry.hash


class Store(Protocol):
    """What holds the objects of a node, as `ObjectStore` does."""

    def get(self, name: Digest) -> bytes: ...
    def opened(self, name: Digest) -> AbstractContextManager[Sliceable]: ...
    def put(self, data: bytes) -> Digest: ...
    def put_pieces(self, pieces: Iterable[bytes]) -> Digest: ...


class BundleReader:
    """Reads the bundle `data` (bytes, or the path of a file) over the manifest `base`."""

    def __init__(
        self, data: bytes | Path, base: Manifest | None = None, size: int | None = None
    ) -> None:
        """`size` is what it will have when it is whole, for one of which only a part is here."""
        self._data = data
        self._base = base
        self._hashes: list[Digest] = []
        self.name = data.name[:12] if isinstance(data, Path) else digest(data)[:12]
        codecs: Sequence[Codec] = (RawCodec(), ZpatchCodec(), EditCodec(), TensorCodec())
        self._codecs = {codec.name: codec for codec in codecs}
        with self._naming("header"):
            start = self._slice(0, envelope.PREAMBLE_BYTES)
            self._groups_at = envelope.extent(start)
            self.header: Header = envelope.read(self._slice(0, self._groups_at), base)
            for number, group in enumerate(self.header.groups):
                group.verify(number)
            lengths = (group.length for group in self.header.groups)
            self._spans = list(pairwise(accumulate(lengths, initial=self._groups_at)))
            if size is None:
                size = data.stat().st_size if isinstance(data, Path) else len(data)
            end = self._spans[-1][1] if self._spans else self._groups_at
            if size != end:
                raise ContentError(f"{size} bytes long where {end} were announced")

    def objects(self, read: Callable[[Digest], bytes]) -> Iterator[tuple[Entry, bytes]]:
        """Every packed object with its entry, group after group, from the first each time.

        Also long ones come whole: it is for who has the memory; a node uses `pour`. `read`
        gives objects of the base and checks their hash, as `ObjectStore.get` does. Raises
        ContentError; DamagedBaseError when `read` raises one.
        """
        self._hashes = []
        for packed, pieces in self._each(read, lambda name: contextlib.nullcontext(read(name))):
            data = b"".join(pieces)
            yield self._named(packed, digest(data)), data

    def pour(self, store: Store) -> Iterator[Entry]:
        """Puts every packed object into `store`, which has the base; their entries, one by one.

        Raises ContentError, DamagedBaseError, and what `store` raises.
        """
        self._hashes = []
        for number in range(len(self.header.groups)):
            for entry in self.pour_group(number, store):
                self._hashes.append(entry.hash)
                yield entry

    def pour_group(self, number: int, store: Store) -> Iterator[Entry]:
        """The same for one group. Only its own bytes need be here."""
        for packed, pieces in self._group(number, store.get, store.opened):
            first = next(pieces, b"")
            if len(first) < packed.size:
                name = store.put_pieces(chain((first,), pieces))
            else:
                for _ in pieces:  # there is none; but then its check is done
                    pass
                name = store.put(first)
            yield packed.label.entry(name, packed.size)

    def spans(self) -> list[tuple[int, int]]:
        """Of each group, its first byte in the bundle and the one after its last."""
        return self._spans

    def promised(self, digests: Sequence[Digest]) -> Manifest:
        """The manifest that the bundle leads to if its objects have these `digests`, in order.

        Raises ContentError when its root is not that of the header: with a signed root this
        says of each object what it must be before it has come.
        """
        if len(digests) != sum(len(group.objects) for group in self.header.groups):
            raise ContentError(f"bundle {self.name}: {len(digests)} digests for other objects")
        return self._led_to(digests)

    def verify(self, read: Callable[[Digest], bytes], opened: Opened) -> Manifest:
        """Decodes everything and keeps nothing. The manifest, as `target_manifest`."""
        self._hashes = []
        for packed, pieces in self._each(read, opened):
            hashed = hashlib.sha256()
            for piece in pieces:
                hashed.update(piece)
            self._named(packed, Digest(hashed.hexdigest()))
        return self.target_manifest()

    def target_manifest(self) -> Manifest:
        """The manifest that the bundle leads to, once all of `objects` was consumed.

        Raises ContentError when its root does not begin like that of the header. The caller
        compares it with the signed one.
        """
        return self._led_to(self._hashes)

    def _led_to(self, digests: Sequence[Digest]) -> Manifest:
        header = self.header
        made = [
            packed.label.entry(name, packed.size)
            for packed, name in zip(header.objects(), digests, strict=True)
        ]
        touched = {label.path for label in header.labels()} | {e.path for e in header.removed}
        olds = self._base.entries if self._base else ()
        entries = [entry for entry in olds if entry.path not in touched] + made
        for reference in header.references:
            source = reference.source
            origin = made[source] if isinstance(source, int) else source
            entries.append(reference.label.entry(origin.hash, origin.size))
        with self._naming("manifest"):
            result = manifest(header.channel, entries)
            if not header.leads_to(result.root):
                raise ContentError(
                    f"root {result.root[:12]} came out where {header.target[:12]} was announced"
                )
        return result

    def _each(
        self, read: Callable[[Digest], bytes], opened: Opened
    ) -> Iterator[tuple[Packed, Iterator[bytes]]]:
        """Every packed object and its bytes, in one piece or in parts, to be read in order."""
        for number in range(len(self.header.groups)):
            yield from self._group(number, read, opened)

    def _group(
        self, number: int, read: Callable[[Digest], bytes], opened: Opened
    ) -> Iterator[tuple[Packed, Iterator[bytes]]]:
        """The same for one group."""
        group, at = self.header.groups[number], self._spans[number][0]
        if group.codec == PARTS:
            yield group.objects[0], self._parts(number, group, at, opened)
            return
        with self._naming(f"group {number}"):
            news = self._decode(group, self._slice(at, group.length), read)
        for packed, new in zip(group.objects, news, strict=True):
            yield packed, iter((new,))

    def _named(self, packed: Packed, name: Digest) -> Entry:
        self._hashes.append(name)
        return packed.label.entry(name, packed.size)

    def _decode(self, group: Group, payload: bytes, read: Callable[[Digest], bytes]) -> list[bytes]:
        olds = [self._old(packed, read) for packed in group.objects]
        sizes = [packed.size for packed in group.objects]
        news = self._codecs[group.codec].decode(payload, olds, sizes)
        check = 0
        for new in news:
            check = zlib.crc32(new, check)
        if check != group.check:
            raise ContentError(f"damaged (codec {group.codec})")
        return news

    def _parts(self, number: int, group: Group, at: int, opened: Opened) -> Iterator[bytes]:
        """The pieces of a long object."""
        [packed] = group.objects
        check = 0
        with self._naming(f"group {number}"), self._opened(packed, opened) as base:
            for piece in read_parts(
                lambda start, count: self._slice(at + start, count),
                group.length,
                packed.size,
                base,
                self._codecs,
            ):
                check = zlib.crc32(piece, check)
                yield piece
            if check != group.check:
                raise ContentError("damaged (parts)")

    @contextlib.contextmanager
    def _opened(self, packed: Packed, opened: Opened) -> Iterator[Sliceable]:
        base = packed.base
        if base is None:
            yield b""
            return
        with contextlib.ExitStack() as stack:
            try:
                data = stack.enter_context(opened(base.hash))
            except ContentError as error:
                raise _damaged(packed, base, error) from error
            if len(data) != base.size:
                raise ContentError(
                    f"base of {packed.label.path}: {len(data)} bytes, not {base.size}"
                )
            yield data

    def _old(self, packed: Packed, read: Callable[[Digest], bytes]) -> bytes:
        base = packed.base
        if base is None:
            return b""
        try:
            data = read(base.hash)
        except ContentError as error:
            raise _damaged(packed, base, error) from error
        if len(data) != base.size:
            raise ContentError(f"base of {packed.label.path}: {len(data)} bytes, not {base.size}")
        return data

    def _slice(self, at: int, length: int) -> bytes:
        if isinstance(self._data, bytes):
            return self._data[at : at + length]
        try:
            with self._data.open("rb") as file:
                file.seek(at)
                return file.read(length)
        except OSError as error:
            raise ContentError(f"cannot be read: {error.strerror}") from error

    @contextlib.contextmanager
    def _naming(self, part: str) -> Iterator[None]:
        """Says in every ContentError which bundle and which part of it."""
        try:
            yield
        except DamagedBaseError as error:
            message = f"bundle {self.name}, {part}: {error}"
            raise DamagedBaseError(message, error.entry) from error
        except ContentError as error:
            raise ContentError(
                f"bundle {self.name}, {part}: {error}",
                hint=error.hint or "it is thrown away and fetched again",
            ) from error


def _damaged(packed: Packed, base: Entry, error: ContentError) -> DamagedBaseError:
    return DamagedBaseError(f"base of {packed.label.path}: {error}", base)
