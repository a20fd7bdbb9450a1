"""Directory: a Source and a Sink in a folder, so that a stick is a road like any other.

* The same bytes under the names of FORMAT.md. Whoever fills the folder puts the head last.
* A stick that is pulled out while it is read is a TransportError; one that is full is a
  SpaceError. Reading and writing happen off the event loop: sticks are slow.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator
from pathlib import Path

from sync.bundle.digests import MAX_DIGESTS_BYTES
from sync.bundle.header import MAX_WHOLE_BYTES
from sync.bundle.offer import MAX_OFFER_BYTES, Offer, offer_to_bytes
from sync.canonical import Digest, digest, parse_digest
from sync.errors import ContentError, TransportError
from sync.files import ObjectStore, atomic_pieces, atomic_write
from sync.transport import MAX_SMALL_BYTES, RefusedError, answered, base_name, gathered, slug

READ_BYTES = 64 * 1024

MAX_ACKS_BYTES = 8 * 1024 * 1024

STICK = "chaski"
"""The folder on a stick that is ours; the rest of it is somebody's."""


def on_stick(folder: Path) -> Path:
    """Our folder on the stick mounted at `folder`; `folder` itself when it is ours already."""
    return folder / STICK if (folder / STICK).is_dir() else folder


def taken(settings: Path) -> Path:
    """The mark that a node leaves beside the settings that it took."""
    return settings.with_name("taken")


class Layout:
    """Where everything is in one such folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def head(self, channel: str) -> Path:
        """The signed head of a channel."""
        return self.folder / "channels" / slug(channel) / "head.json"

    def offer(self, channel: str, base: Digest | None, target: Digest) -> Path:
        """The offer of a bundle."""
        folder = self.folder / "channels" / slug(channel) / "bundles" / base_name(base)
        return folder / f"{parse_digest(target)}.json"

    def digests(self, channel: str, base: Digest | None, target: Digest) -> Path:
        """The digests of the objects in a bundle."""
        return self.offer(channel, base, target).with_suffix(".digests")

    def acks(self, channel: str) -> Path:
        """What the hub says of the blocks that it has."""
        return self.folder / "channels" / slug(channel) / "acknowledged.json"

    def enrolment(self, node: str) -> Path:
        """The settings of a node that is not provisioned yet; its root keys lie beside them."""
        return self.folder / "nodes" / node / "node.toml"

    def enrolments(self) -> list[Path]:
        """Such settings, sorted, that no node has taken yet."""
        found = sorted((self.folder / "nodes").glob("*/node.toml"))
        return [path for path in found if not taken(path).exists()]

    def root(self, number: int) -> Path:
        """A version of the root metadata."""
        return self.folder / "roots" / f"{number:d}.root.json"

    def bundle(self, name: Digest) -> Path:
        """A bundle."""
        return self.folder / "bundles" / parse_digest(name)

    @property
    def objects(self) -> ObjectStore:
        """The objects, for repair."""
        return ObjectStore(self.folder / "objects")

    def block(self, kind: str, name: Digest) -> Path:
        """A sealed block on its way up; `kind` is samples or events."""
        return self.folder / kind / parse_digest(name)


class DirectoryWriter:
    """Fills a folder, for the hub. Put what a head speaks of before the head."""

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)

    def put_root(self, number: int, data: bytes) -> None:
        """Puts a version of the root metadata."""
        atomic_write(self._layout.root(number), data)

    def put_digests(self, offer: Offer, data: bytes) -> None:
        """Puts what the objects of a bundle hash to; before its offer."""
        atomic_write(self._layout.digests(offer.channel, offer.base, offer.target), data)

    def put_bundle(self, offer: Offer, data: bytes | Iterable[bytes]) -> None:
        """Puts a bundle, whole or in pieces, and, after it, its offer."""
        pieces = (data,) if isinstance(data, bytes) else data
        bundle = self._layout.bundle(offer.bundle)
        atomic_pieces(bundle.parent, pieces, lambda: bundle)
        path = self._layout.offer(offer.channel, offer.base, offer.target)
        atomic_write(path, offer_to_bytes(offer))

    def put_object(self, data: bytes) -> Digest:
        """Puts one object, for repair."""
        return self._layout.objects.put(data)

    def put_long_object(self, pieces: Iterable[bytes]) -> Digest:
        """The same, for one of any length."""
        return self._layout.objects.put_pieces(pieces)

    def put_head(self, channel: str, data: bytes) -> None:
        """Puts the head, which makes all that was put before it current."""
        atomic_write(self._layout.head(channel), data)

    def put_acks(self, channel: str, data: bytes) -> None:
        """Puts what the hub says of the blocks that it has."""
        atomic_write(self._layout.acks(channel), data)

    def prune(self, channel: str, target: Digest, bundles: Collection[Digest]) -> int:
        """Removes what leads elsewhere than to `target`, and every bundle not in `bundles`.

        Only after the head. Returns how many bundles went.
        """
        for path in self._layout.offer(channel, None, target).parents[1].glob("*/*"):
            if path.stem != target:
                path.unlink(missing_ok=True)
        gone = [p for p in self._layout.bundle(target).parent.glob("*") if p.name not in bundles]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)


class DirectorySource:
    """A folder that gives. See `Source`."""

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        return await self._there(self._layout.head(channel), MAX_SMALL_BYTES)

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        return await _whole(self._layout.root(number), MAX_SMALL_BYTES)

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        data = await _whole(self._layout.offer(channel, base, target), MAX_OFFER_BYTES)
        return None if data is None else answered(data, channel, base, target)

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`."""
        path = self._layout.digests(channel, base, target)
        return await _whole(path, MAX_DIGESTS_BYTES)

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        return await self._there(self._layout.objects.path(name), MAX_WHOLE_BYTES)

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        path = self._layout.bundle(bundle)
        if not await asyncio.to_thread(path.is_file):
            path = self._layout.objects.path(bundle)
        while start < stop:
            piece = await asyncio.to_thread(_read, path, start, min(READ_BYTES, stop - start))
            if piece is None:
                raise RefusedError(f"{path}: not found", hint="the stick carries other versions")
            if not piece:
                raise TransportError(
                    f"{path}: ended {stop - start} bytes early", hint="copy the stick again"
                )
            start += len(piece)
            yield piece

    async def acks(self, channel: str) -> bytes | None:
        """What the hub said of the blocks that it has; None where it said nothing."""
        return await _whole(self._layout.acks(channel), MAX_ACKS_BYTES)

    async def _there(self, path: Path, limit: int) -> bytes:
        data = await _whole(path, limit)
        if data is None:
            raise RefusedError(f"{path}: not found", hint="the stick may be another one")
        return data


class DirectorySink:
    """A folder that takes. See `Sink`; a block is named by its digest."""

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._put("samples", block)

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._put("events", block)

    async def _put(self, kind: str, block: bytes) -> bool:
        path = self._layout.block(kind, digest(block))
        if not self._layout.folder.is_dir():  # never make it: who pulled it out has the folder
            raise TransportError(f"{self._layout.folder}: not found", hint=_PULLED)
        try:
            if await asyncio.to_thread(_read, path, 0, len(block) + 1) == block:
                return False
            await asyncio.to_thread(atomic_write, path, block)
        except OSError as error:
            raise TransportError(f"{path}: {error.strerror}", hint=_PULLED) from error
        return True


class Letters:
    """The blocks that nodes left in a folder, for the hub."""

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)

    def waiting(self, kind: str) -> Iterator[Digest]:
        """Names of the blocks of `kind`, sorted. Half-written and foreign files are none."""
        try:
            paths = sorted((self._layout.folder / kind).iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise TransportError(
                f"{self._layout.folder / kind}: {error.strerror}", hint=_PULLED
            ) from error
        for path in paths:
            with contextlib.suppress(ContentError):
                yield parse_digest(path.name)

    def read(self, kind: str, name: Digest, limit: int) -> bytes:
        """One block, of at most `limit` bytes.

        Raises ContentError when it was not copied whole, TransportError when the stick is gone.
        """
        path = self._layout.block(kind, name)
        data = _read(path, 0, limit + 1)
        if data is None:
            raise TransportError(f"{path}: not found", hint=_PULLED)
        if digest(data) != name:
            raise ContentError(f"{path} is damaged", hint="the node still has it, or it is lost")
        return data

    def remove(self, kind: str, name: Digest) -> None:
        """Takes one block off the stick, once the hub has it. Raises TransportError."""
        path = self._layout.block(kind, name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise TransportError(f"{path}: {error.strerror}", hint=_PULLED) from error


_PULLED = "the stick may have been pulled out; put it back"


async def _whole(path: Path, limit: int) -> bytes | None:
    """All of a file of at most `limit` bytes; None where there is none."""
    data = await asyncio.to_thread(_read, path, 0, limit + 1)
    if data is not None and len(data) > limit:
        raise TransportError(f"{path}: more than the {limit} bytes allowed")
    return data


def _read(path: Path, start: int, count: int) -> bytes | None:
    """At most `count` bytes from `start`; None where there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(count)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TransportError(f"{path}: {error.strerror}", hint=_PULLED) from error
