"""A hub that is a Source: real keys, real bundles, in memory, with switches for faults."""

from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from sync import keys
from sync.bundle import BundleReader, BundleWriter, Offer, digests_to_bytes, offer
from sync.bundle.header import MAX_GROUP_BYTES
from sync.canonical import Digest
from sync.errors import TransportError
from sync.head import Head, head_to_bytes
from sync.lesson import Lesson
from sync.manifest import Manifest
from sync.signing import Publisher
from sync.transport import RefusedError, gathered
from tests.node.village import AT, packed

CHANNEL = "escuela"
CHUNK = 512
DAYS = 90
LINK_DIED = "the link died"


class City:
    """Publishes versions and serves them. Switches are plain attributes."""

    def __init__(self, folder: Path, now: float = AT) -> None:
        """`now` is when it signs, in Unix seconds."""
        self.folder = folder
        self.now = now
        self.key_folder = folder / "keys"
        keys.create(self.key_folder)
        self.roots = [Publisher(self.key_folder).create_root(self.now)]
        self.versions: list[Manifest] = []
        self.objects: dict[Digest, bytes] = {}
        self.signed: Head | None = None
        self.asked: list[str] = []
        self._bundles: dict[tuple[Digest | None, Digest], tuple[Offer, bytes]] = {}
        self.down = False
        """Nothing answers."""
        self.dies_after: int | None = None
        """So many more bytes of bundles come down, then the link dies, once."""
        self.corrupt = 0
        """So many more bundle downloads have a wrong byte."""
        self.deltas = True
        self.forgetful = False
        """Objects are not given one by one."""
        self.false_offer: Offer | None = None
        self.tells_digests = True
        self.false_digests = False
        self.chunk = CHUNK
        self.group_bytes = MAX_GROUP_BYTES
        self.pieces = 200
        """Bytes in one piece of a stream."""

    def publish(self, lessons: Iterable[Lesson], days: float = DAYS) -> int:
        """The next version; its number."""
        manifest, objects = packed(lessons)
        self.objects |= objects
        self.versions.append(manifest)
        self.sign(days)
        return len(self.versions)

    def sign(self, days: float = DAYS, key_folder: Path | None = None) -> None:
        """A head for the newest version."""
        signing = Publisher(key_folder or self.key_folder)
        version, manifest = len(self.versions), self.versions[-1]
        self.signed = signing.sign_head(CHANNEL, version, manifest, self.now, self.signed, days)

    def rotate(self) -> None:
        """New keys for everything; the old root vouches for the new."""
        old, self.key_folder = self.key_folder, self.folder / f"keys{len(self.roots)}"
        keys.create(self.key_folder)
        made = Publisher(self.key_folder).next_root(self.roots[-1], old, self.now)
        self.roots.append(made)
        self.signed = None
        if self.versions:
            self.sign()

    def bundle(self, base: Manifest | None, target: Manifest) -> tuple[Offer, bytes]:
        """The bundle between two versions."""
        key = (base.root if base else None, target.root)
        if key not in self._bundles:
            read = self.objects.__getitem__
            data = BundleWriter(base, target, read, group_bytes=self.group_bytes).write()
            self._bundles[key] = offer(CHANNEL, base, target, data, self.chunk), data
        return self._bundles[key]

    async def head(self, channel: str) -> bytes:
        self._ask("head")
        assert self.signed
        return head_to_bytes(self.signed)

    async def root(self, number: int) -> bytes | None:
        self._ask(f"root {number}")
        return self.roots[number - 1] if number <= len(self.roots) else None

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        self._ask("offer of a delta" if base else "offer of the whole")
        if self.false_offer:
            return self.false_offer
        found = self._manifests(base, target)
        if found is None or (base and not self.deltas):
            return None
        return self.bundle(*found)[0]

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        self._ask("digests")
        found = self._manifests(base, target) if self.tells_digests else None
        if found is None:
            return None
        told = digests_to_bytes(BundleReader(self.bundle(*found)[1], found[0]).header, found[1])
        return told[32:] + told[:32] if self.false_digests else told

    async def object(self, name: Digest) -> bytes:
        self._ask("object")
        if self.forgetful or name not in self.objects:
            raise RefusedError("not found")
        return self.objects[name]

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        self._ask(f"bundle from {start}")
        data = self._find(bundle)
        if self.corrupt:
            self.corrupt -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        while start < stop:
            piece = data[start : min(start + self.pieces, stop)]
            if self.dies_after is not None:
                if self.dies_after <= 0:
                    self.dies_after = None
                    raise TransportError(LINK_DIED)
                self.dies_after -= len(piece)
            start += len(piece)
            yield piece

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.down:
            raise TransportError("nobody answers", hint="wait for the link")

    def _manifests(
        self, base: Digest | None, target: Digest
    ) -> tuple[Manifest | None, Manifest] | None:
        by_root: dict[Digest | None, Manifest] = {m.root: m for m in self.versions}
        if target not in by_root or (base and base not in by_root):
            return None
        return by_root.get(base), by_root[target]

    def _find(self, bundle: Digest) -> bytes:
        if bundle in self.objects and not self.forgetful:
            return self.objects[bundle]
        for base in (None, *self.versions):
            for target in self.versions:
                found, data = self.bundle(base, target)
                if found.bundle == bundle:
                    return data
        raise RefusedError("not found")
