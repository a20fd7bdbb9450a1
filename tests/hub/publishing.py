"""A hub that can publish, a shelf that fails on demand, and a node that installs."""

from pathlib import Path

from hub.config import PublisherTable, ReviewTable
from hub.library import Library
from hub.publisher import Publisher
from hub.review import Review
from hub.shelf import Shelf
from sync import keys
from sync.bundle import BundleReader
from sync.canonical import Digest
from sync.head import head_from_bytes
from sync.lesson import CHANNEL_PATH, Lesson, lesson_from_bytes
from sync.manifest import Manifest
from sync.signing import Publisher as Signing
from sync.trust import Floors, TrustedState
from sync.verdict import Verdict
from tests.hub.fakes import CHANNEL, Clock, a_lesson

CHANNEL_ID = CHANNEL.id


class PowerCut(Exception):  # noqa: N818 - it is no error of ours
    """The machine went off."""


class FailingShelf(Shelf):
    """A shelf that fails at the `fail_at`th thing put on it (from 1; 0 never)."""

    def __init__(self, folder: Path, fail_at: int = 0) -> None:
        super().__init__(folder)
        self.fail_at = fail_at
        self.puts = 0

    def put_object(self, data: bytes) -> Digest:
        self._step()
        return super().put_object(data)

    def put_manifest(self, value: Manifest) -> None:
        self._step()
        super().put_manifest(value)

    def put_head(self, channel: str, data: bytes) -> None:
        self._step()
        super().put_head(channel, data)

    def _step(self) -> None:
        self.puts += 1
        if self.puts == self.fail_at:
            raise PowerCut


class Hub:
    """Keys, a library with a channel and one lesson, and a shelf."""

    def __init__(self, folder: Path, library: Library, clock: Clock, prebuilt: int = 5) -> None:
        self.folder, self.library, self.clock = folder, library, clock
        self.settings = PublisherTable(prebuilt=prebuilt)
        self.shelf = Shelf(folder / "published")
        keys.create(folder / "keys")
        self.shelf.put_root(1, Signing(folder / "keys").create_root(clock.now))
        library.set_channel(CHANNEL, clock.now)
        self.review = Review(library, ReviewTable(), clock)
        self.write(a_lesson())

    def write(self, lesson: Lesson) -> None:
        """Approves a lesson."""
        self.review.bring_in(lesson, ["Rosa", "Julián"])

    def publisher(self, shelf: Shelf | None = None, keys_folder: str = "keys") -> Publisher:
        signing = Signing(self.folder / keys_folder)
        return Publisher(
            self.library, shelf or self.shelf, signing, CHANNEL_ID, self.settings, self.clock
        )

    def files(self) -> dict[str, bytes]:
        """Every published file by path."""
        folder = self.folder / "published"
        paths = sorted(p for p in folder.rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


class Village:
    """Installs what the shelf's head says, by the delta from what it has."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self.shelf, self.clock = shelf, clock
        self.manifest: Manifest | None = None
        self.objects: dict[Digest, bytes] = {}

    def sync(self) -> Verdict:
        """Judges the head, applies the bundle, checks every byte of the new version."""
        head, root = self.shelf.head(CHANNEL_ID), self.shelf.root(1)
        assert head is not None
        assert root is not None
        verdict = TrustedState(root, Floors(), CHANNEL_ID).judge(
            head_from_bytes(head), self.clock.now
        )
        base = self.manifest.root if self.manifest else "none"
        offer = self.shelf.offer(CHANNEL_ID, base, verdict.root)
        assert offer is not None
        path = self.shelf.bundle_path(offer.bundle)
        assert path is not None
        reader = BundleReader(path.read_bytes(), self.manifest)
        for entry, data in reader.objects(self.objects.__getitem__):
            self.objects[entry.hash] = data
        self.manifest = reader.target_manifest()
        assert self.manifest.root == verdict.root
        return verdict

    def titles(self) -> set[str]:
        """The titles of the lessons installed."""
        assert self.manifest is not None
        entries = [e for e in self.manifest.entries if e.path != CHANNEL_PATH]
        return {lesson_from_bytes(self.objects[e.hash]).title for e in entries}
