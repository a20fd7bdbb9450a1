"""BundleReader: from a bundle and what the node holds to objects and the next manifest.

* The bundle is bytes from outside: whatever is wrong with it is a ContentError that names
  the bundle and the group. Nothing is believed until the root of the manifest is right.
* One group is in memory at a time; what a group may need is bounded before it is read.
* A bundle that is not whole yet is read as far as it came: its header first, then any group
  by itself. What `promised` said, with a signed root, is what such a group must hold.
* A base object that is missing or damaged here is a DamagedBaseError: fetch it and read
  the bundle again.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from sync.bundle import envelope
from sync.bundle.header import Group, Header, Packed
from sync.canonical import Digest, digest
from sync.codec import Codec
from sync.codec.edit import EditCodec
from sync.codec.raw import RawCodec
from sync.codec.tensor import TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from sync.manifest import Entry, Manifest, manifest


class DamagedBaseError(ContentError):
    """An object that the bundle builds on is not sound on this machine."""

    def __init__(self, message: str, name: Digest) -> None:
        super().__init__(message, hint="the object is fetched whole, then the bundle is read again")
        self.digest = name


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
            if size is None:
                size = data.stat().st_size if isinstance(data, Path) else len(data)
            end = self._groups_at + sum(group.length for group in self.header.groups)
            if size != end:
                raise ContentError(f"{size} bytes long where {end} were announced")

    def objects(self, read: Callable[[Digest], bytes]) -> Iterator[tuple[Entry, bytes]]:
        """Every packed object with its entry, group after group, from the first each time.

        `read` gives objects of the base and checks their hash, as `ObjectStore.get` does.
        Raises ContentError; DamagedBaseError when `read` raises one.
        """
        self._hashes = []
        for number in range(len(self.header.groups)):
            for entry, new in self.group(number, read):
                self._hashes.append(entry.hash)
                yield entry, new

    def spans(self) -> list[tuple[int, int]]:
        """Of each group, its first byte in the bundle and the one after its last."""
        ends = list(accumulate((g.length for g in self.header.groups), initial=self._groups_at))
        return list(pairwise(ends))

    def group(self, number: int, read: Callable[[Digest], bytes]) -> list[tuple[Entry, bytes]]:
        """The objects of one group, with their entries. Only its own bytes need be here.

        Raises as `objects`.
        """
        group = self.header.groups[number]
        start, stop = self.spans()[number]
        with self._naming(f"group {number}"):
            news = self._decode(group, self._slice(start, stop - start), read)
        made = zip(group.objects, news, strict=True)
        return [(packed.label.entry(digest(new), packed.size), new) for packed, new in made]

    def promised(self, digests: Sequence[Digest]) -> Manifest:
        """The manifest that the bundle leads to if its objects have these `digests`, in order.

        Raises ContentError when its root is not that of the header: with a signed root this
        says of each object what it must be before it has come.
        """
        if len(digests) != sum(len(group.objects) for group in self.header.groups):
            raise ContentError(f"bundle {self.name}: {len(digests)} digests for other objects")
        return self._led_to(digests)

    def target_manifest(self) -> Manifest:
        """The manifest that the bundle leads to, once all of `objects` was consumed.

        Raises ContentError when its root is not that of the header. The caller compares
        the header's with the signed one.
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
            if result.root != header.target:
                raise ContentError(
                    f"root {result.root[:12]} came out where {header.target[:12]} was announced"
                )
        return result

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

    def _old(self, packed: Packed, read: Callable[[Digest], bytes]) -> bytes:
        base = packed.base
        if base is None:
            return b""
        try:
            data = read(base.hash)
        except ContentError as error:
            raise DamagedBaseError(f"base of {packed.label.path}: {error}", base.hash) from error
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
            raise DamagedBaseError(message, error.digest) from error
        except ContentError as error:
            raise ContentError(
                f"bundle {self.name}, {part}: {error}",
                hint=error.hint or "it is thrown away and fetched again",
            ) from error
