"""Deltas: the bundles from one channel version to another, each built once and kept on disk.

* A bundle is named by its digest and never changes; an offer is named by (channel, base root,
  target root) and points at one.
* The bundle is written first, its offer last; an offer whose bundle is gone is built anew.
* A bundle is hashed when it is first given out after a start, and again when its file has
  changed; a damaged one is built anew from the objects.
* One thread builds at a time: a class of nodes that ask for the same delta cost one build.
* What bundles of different bases have in common, the edit scripts, is told once: `scripts.py`.
* Which base is known and which target is current is the shelf's affair.
"""

import hashlib
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from hub.scripts import Scripts
from sync import bundle
from sync.bundle import BundleWriter, Offer
from sync.bundle.reader import Opened
from sync.canonical import Digest, decode, encode, parse_digest
from sync.errors import ContentError
from sync.files import atomic_write, keep, space_errors, temporary
from sync.manifest import Manifest

NO_BASE = "none"
MAX_OFFER_BYTES = 16 * 1024 * 1024


class Deltas:
    """Builds and keeps bundles. Any thread may call it."""

    def __init__(
        self,
        bundles: Path,
        offers: Path,
        scripts: Scripts,
        read: Callable[[Digest], bytes],
        opened: Opened | None = None,
    ) -> None:
        """`read` and `opened` give objects whole and in slices, as `ObjectStore` does."""
        self._bundles = bundles
        self._offers = offers
        self._scripts = scripts
        self._read, self._opened = read, opened
        self._building = threading.Lock()
        self._sound: dict[Digest, tuple[int, int, int]] = {}
        """What the files of bundles that were hashed looked like."""

    def offer(self, channel: str, base: Manifest | None, target: Manifest) -> Offer:
        """The offer from `base` (a whole bundle when None) to `target`, built when it is not kept.

        Raises ContentError: an object is missing or damaged. SpaceError: the disk is full.
        """
        root = base.root if base else None
        with self._building:
            return self.kept(channel, root, target.root) or self._build(channel, base, target)

    def kept(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """The offer that is on disk and whose bundle is too, sound; None when there is none."""
        offer = _read(self._offer_path(channel, base, target))
        return offer if offer is not None and self.sound(offer.bundle) else None

    def sound(self, name: Digest) -> bool:
        """True when the bundle `name` is on disk and its bytes are its own; hashed once."""
        path = self.path(name)
        try:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._sound.get(name) == seen:
                return True
            if not _sound(path):
                self._sound.pop(name, None)
                return False
        except FileNotFoundError:
            self._sound.pop(name, None)
            return False
        self._sound[name] = seen
        return True

    def leading(self, name: Digest) -> tuple[str, Digest | None, Digest] | None:
        """Channel, base and target of an offer that names the bundle; None when none does."""
        for path in self._offers.glob("*/*/*.json"):
            offer = _read(path)
            if offer is not None and offer.bundle == name:
                return offer.channel, offer.base, offer.target
        return None

    def path(self, name: Digest) -> Path:
        """Where the bundle `name` is, or would be. Raises ContentError for a bad name."""
        return self._bundles / parse_digest(name)

    def damaged(self) -> list[Path]:
        """Bundles on disk that do not hash to their name. Reads all of them."""
        return [path for path in sorted(self._bundles.glob("[!.]*")) if not _sound(path)]

    def prune(self, channel: str, targets: Collection[Digest]) -> int:
        """Forgets what leads to other versions than `targets`; returns how many bundles went."""
        for path in (self._offers / channel).glob("*/*.json"):
            if path.stem not in targets:
                path.unlink(missing_ok=True)
        kept = (_read(path) for path in self._offers.glob("*/*/*.json"))
        needed = {offer.bundle for offer in kept if offer}
        gone = [path for path in self._bundles.glob("[!.]*") if path.name not in needed]
        for path in gone:
            path.unlink(missing_ok=True)
            self._sound.pop(Digest(path.name), None)
        return len(gone)

    def _build(self, channel: str, base: Manifest | None, target: Manifest) -> Offer:
        with temporary(self._bundles) as path:
            with self._scripts.memory() as memory:
                writer = BundleWriter(base, target, self._read, opened=self._opened, memory=memory)
                with space_errors(str(path)):
                    writer.write_file(path)
            offer = bundle.offer(channel, base, target, path)
            keep(path, self.path(offer.bundle))
        atomic_write(self._offer_path(channel, offer.base, offer.target), encode(offer))
        return offer

    def _offer_path(self, channel: str, base: Digest | None, target: Digest) -> Path:
        return self._offers / channel / (base or NO_BASE) / f"{target}.json"


def _sound(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == path.name


def _read(path: Path) -> Offer | None:
    """The offer at `path`; None when there is none or it is damaged, so it is built anew."""
    try:
        return decode(path.read_bytes(), Offer, limit=MAX_OFFER_BYTES, what=str(path))
    except (FileNotFoundError, ContentError):
        return None
