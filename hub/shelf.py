"""Shelf: what is published, as files. Owns the layout of `published/`.

    channels/ID/head.json   the signed head; the only file here that is ever replaced
    root/N.root.json        the keys, version N
    manifests/ROOT          canonical manifest of every version ever published
    objects/ab/abcdef…      content-addressed objects
    bundles/DIGEST          immutable bundles
    offers/ID/BASE/TARGET.json
    scripts.db              edit scripts and payloads, a cache; nothing in it is served

* The server reads, the publisher writes; a reader never sees a half-written file.
* Names come from the network: a bad one is answered like an unknown one, with None.
* `head` is moved into place last; all that it names is on the shelf before.
"""

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hub.deltas import NO_BASE, Deltas
from hub.scripts import Scripts
from sync import manifest as manifests
from sync.bundle import BundleReader, Offer, digests_to_bytes
from sync.bundle.header import MAX_WHOLE_BYTES
from sync.canonical import Digest, parse_digest
from sync.errors import BusyError, ContentError
from sync.files import ObjectStore, atomic_write, make_folder
from sync.manifest import Manifest

MAX_ROOT_VERSION = 1_000_000
_log = logging.getLogger("chaski.hub")
_CHANNEL = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")


class Shelf:
    """The published files under `folder`. Any thread may read; one publisher writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = ObjectStore(folder / "objects")
        self.deltas = Deltas(
            folder / "bundles",
            folder / "offers",
            Scripts(folder / "scripts.db"),
            self._objects.get,
            self._objects.opened,
        )

    # What the server reads.

    def head(self, channel: str) -> bytes | None:
        """The signed head of `channel`."""
        path = self._head_path(channel)
        return _read(path) if path else None

    def root(self, n: int) -> bytes | None:
        """Version `n` of the root keys, counted from 1."""
        return _read(self._root_path(n)) if 1 <= n <= MAX_ROOT_VERSION else None

    def roots(self) -> Iterator[int]:
        """The versions of the root keys that there are, ascending."""
        n = 1
        while self._root_path(n).is_file():
            yield n
            n += 1

    def offer(self, channel: str, base: str, target: str) -> Offer | None:
        """What leads from `base` (a manifest root, or "none") to `target`; built when needed.

        None when this hub never published one of the two in `channel`. Building takes seconds:
        call it from a worker thread. Raises ContentError, SpaceError.
        """
        found = self._versions(channel, base, target)
        return self.deltas.offer(channel, *found) if found else None

    def digests(self, channel: str, base: str, target: str) -> bytes | None:
        """What the objects of that bundle hash to. As `offer`."""
        found = self._versions(channel, base, target)
        if found is None:
            return None
        offer = self.deltas.offer(channel, *found)
        header = BundleReader(self.deltas.path(offer.bundle), found[0]).header
        return digests_to_bytes(header, found[1])

    def bundle_path(self, digest: str) -> Path | None:
        """The file of one bundle; or of one object, whose bytes are as immutable.

        A damaged bundle is built anew first, which takes seconds. Raises ContentError: an
        object is damaged too. SpaceError.
        """
        name = _name(digest)
        if name is None:
            return None
        path = self.deltas.path(name)
        if not path.is_file():
            path = self._objects.path(name)
            return path if path.is_file() else None
        if not self.deltas.sound(name):
            _log.warning("bundle %s is damaged on this disk and built anew", name[:12])
            told = self.deltas.leading(name)
            if told is None or self.offer(told[0], told[1] or NO_BASE, told[2]) is None:
                return None
        return path if self.deltas.sound(name) else None

    def object(self, digest: str) -> bytes | None:
        """One whole object; None for one that is too long for that, see `bundle_path`.

        Raises ContentError when it is damaged here.
        """
        name = _name(digest)
        if name is None or not self._objects.has(name):
            return None
        short = self._objects.path(name).stat().st_size <= MAX_WHOLE_BYTES
        return self._objects.get(name) if short else None

    def manifest(self, root: str) -> bytes | None:
        """The canonical bytes of the manifest with this root."""
        name = _name(root)
        return _read(self._manifest_path(name)) if name else None

    # What the publisher writes.

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """Only one publisher at a time, on this machine. Raises BusyError."""
        make_folder(self._folder)
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise BusyError(
                f"another program is publishing to {self._folder}",
                hint="wait until it has ended, then publish again",
            ) from error
        finally:
            os.close(handle)

    def put_root(self, n: int, data: bytes) -> None:
        """Puts version `n` of the root keys on the shelf."""
        atomic_write(self._root_path(n), data)

    def put_object(self, data: bytes) -> Digest:
        """Puts one object on the shelf."""
        return self._objects.put(data)

    def put_file(self, source: Path, limit: int) -> tuple[Digest, int]:
        """Puts the file `source` on the shelf, never all of it in memory; its name and size.

        Raises ContentError: unreadable, or more than `limit` bytes. SpaceError.
        """
        return self._objects.put_file(source, limit)

    def put_pieces(self, pieces: Iterator[bytes], limit: int, what: str) -> tuple[Digest, int]:
        """Puts an object on the shelf as it comes; raises as `put_file`."""
        return self._objects.put_bounded(pieces, limit, what)

    def slice_object(self, name: Digest, start: int, length: int) -> bytes:
        """A part of an object. Raises ContentError: missing or damaged."""
        return self._objects.slice(name, start, length)

    def has_object(self, name: Digest) -> bool:
        """True when the object is on the shelf."""
        return self._objects.has(name)

    def put_manifest(self, value: Manifest) -> None:
        """Puts a manifest on the shelf: from now on nodes may come from it."""
        atomic_write(self._manifest_path(value.root), manifests.to_bytes(value))

    def put_head(self, channel: str, data: bytes) -> None:
        """Moves a signed head into place. All that it names must be on the shelf."""
        path = self._head_path(channel)
        if path is None:
            raise ContentError(f"not the id of a channel: {channel[:80]!r}")
        atomic_write(path, data)

    def size(self) -> int:
        """Bytes of all published files."""
        total = 0
        for path in self._folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size if path.is_file() else 0
        return total

    def _versions(
        self, channel: str, base: str, target: str
    ) -> tuple[Manifest | None, Manifest] | None:
        """The two manifests; None when this hub never published one of them in `channel`."""
        new = self._manifest(channel, target)
        old = None if base == NO_BASE else self._manifest(channel, base)
        return None if new is None or (old is None and base != NO_BASE) else (old, new)

    def _manifest(self, channel: str, root: str) -> Manifest | None:
        data = self.manifest(root)
        value = manifests.from_bytes(data) if data is not None else None
        return value if value and value.channel == channel else None

    def _head_path(self, channel: str) -> Path | None:
        known = len(channel) <= 80 and _CHANNEL.match(channel)
        return self._folder / "channels" / channel / "head.json" if known else None

    def _root_path(self, n: int) -> Path:
        return self._folder / "root" / f"{n}.root.json"

    def _manifest_path(self, root: Digest) -> Path:
        return self._folder / "manifests" / root


def _name(text: str) -> Digest | None:
    try:
        return parse_digest(text)
    except ContentError:
        return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
