"""What nodes may ask of the shelf, and what it answers to nonsense."""

import threading
from pathlib import Path

import pytest

from hub.deltas import Deltas
from hub.library import Library
from hub.publisher import build
from hub.scripts import Scripts
from hub.shelf import Shelf
from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.files import ObjectStore
from sync.manifest import Manifest
from tests.hub.fakes import CHANNEL, Clock, a_lesson
from tests.hub.publishing import CHANNEL_ID, Hub

BAD = ("", "..", "../../etc/passwd", "A" * 64, "0" * 63, "none/..", "0" * 64)


@pytest.fixture
def hub(tmp_path: Path, library: Library, clock: Clock) -> Hub:
    hub = Hub(tmp_path, library, clock)
    hub.publisher().publish()
    return hub


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_answered_like_an_unknown_one(hub: Hub, name: str) -> None:
    shelf = hub.shelf
    assert shelf.head(name) is None
    assert shelf.bundle_path(name) is None
    assert shelf.object(name) is None
    assert shelf.manifest(name) is None
    assert shelf.offer(CHANNEL_ID, "none", name) is None
    assert shelf.offer(name, "none", name) is None


def test_roots_are_counted_from_one(hub: Hub) -> None:
    assert [hub.shelf.root(n) is not None for n in (-1, 0, 1, 2, 10**9)] == [
        False, False, True, False, False,
    ]  # fmt: skip
    assert list(hub.shelf.roots()) == [1]


def test_an_unknown_base_or_a_target_of_another_channel_has_no_offer(hub: Hub) -> None:
    (version,) = hub.library.versions(CHANNEL_ID)
    assert hub.shelf.offer(CHANNEL_ID, "none", version.root) is not None
    assert hub.shelf.offer(CHANNEL_ID, digest(b"other"), version.root) is None
    assert hub.shelf.offer("otra", "none", version.root) is None


def test_a_damaged_object_is_an_error_and_not_an_answer(hub: Hub, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "published" / "objects")
    name = next(store.digests())
    assert hub.shelf.object(name) == store.get(name)
    store.path(name).write_bytes(b"rotten")
    with pytest.raises(ContentError, match="damaged"):
        hub.shelf.object(name)


def test_the_size_of_a_shelf_is_that_of_its_files(hub: Hub, tmp_path: Path) -> None:
    assert hub.shelf.size() == sum(map(len, hub.files().values()))
    assert Shelf(tmp_path / "empty").size() == 0


class Source:
    """The objects of one version; counts how often it is read."""

    def __init__(self) -> None:
        self.manifest, objects = build(CHANNEL, [a_lesson()])
        self.objects = {digest(data): data for data in objects}
        self.reads = 0

    def __call__(self, name: Digest) -> bytes:
        self.reads += 1
        return self.objects[name]


def deltas(folder: Path, source: Source) -> Deltas:
    scripts = Scripts(folder / "scripts.db")
    return Deltas(folder / "bundles", folder / "offers", scripts, source)


def offer_file(folder: Path, target: Manifest) -> Path:
    return folder / "offers" / CHANNEL_ID / "none" / f"{target.root}.json"


def test_a_bundle_is_built_once(tmp_path: Path) -> None:
    source = Source()
    first = deltas(tmp_path, source).offer(CHANNEL_ID, None, source.manifest)
    built, source.reads = source.reads, 0
    assert built > 0
    assert deltas(tmp_path, source).offer(CHANNEL_ID, None, source.manifest) == first
    assert source.reads == 0


def test_a_class_of_nodes_that_ask_at_once_cost_one_build(tmp_path: Path) -> None:
    source = Source()
    deltas(tmp_path / "alone", source).offer(CHANNEL_ID, None, source.manifest)
    alone, source.reads = source.reads, 0
    shared = deltas(tmp_path / "together", source)
    threads = [
        threading.Thread(target=shared.offer, args=(CHANNEL_ID, None, source.manifest))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.reads == alone


@pytest.mark.parametrize("damage", ["no bundle", "short bundle", "no offer", "rotten offer"])
def test_what_is_lost_or_damaged_is_built_anew(tmp_path: Path, damage: str) -> None:
    source = Source()
    kept = deltas(tmp_path, source)
    offer = kept.offer(CHANNEL_ID, None, source.manifest)
    bundle, said = kept.path(offer.bundle), offer_file(tmp_path, source.manifest)
    match damage:
        case "no bundle":
            bundle.unlink()
        case "short bundle":
            bundle.write_bytes(bundle.read_bytes()[:-1])
        case "no offer":
            said.unlink()
        case _:
            said.write_bytes(b"{}")
    assert kept.kept(CHANNEL_ID, None, source.manifest.root) is None
    assert kept.offer(CHANNEL_ID, None, source.manifest) == offer
    assert digest(bundle.read_bytes()) == offer.bundle


def test_pruning_takes_what_no_kept_offer_names(tmp_path: Path) -> None:
    source = Source()
    kept = deltas(tmp_path, source)
    offer = kept.offer(CHANNEL_ID, None, source.manifest)
    assert kept.prune(CHANNEL_ID, {source.manifest.root}) == 0
    assert kept.path(offer.bundle).is_file()
    assert kept.prune(CHANNEL_ID, set()) == 1
    assert not kept.path(offer.bundle).exists()


def test_a_bundle_that_the_disk_harmed_is_built_anew_when_it_is_asked_for(hub: Hub) -> None:
    (version,) = hub.library.versions(CHANNEL_ID)
    offer = hub.shelf.offer(CHANNEL_ID, "none", version.root)
    assert offer is not None
    path = hub.shelf.deltas.path(offer.bundle)
    good = path.read_bytes()
    assert hub.shelf.bundle_path(offer.bundle) == path
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert hub.shelf.bundle_path(offer.bundle) == path
    assert path.read_bytes() == good
    path.write_bytes(bytes(len(good)))
    after_a_start = Shelf(hub.folder / "published")
    assert after_a_start.offer(CHANNEL_ID, "none", version.root) == offer
    assert path.read_bytes() == good


def test_a_damaged_bundle_that_nothing_leads_to_is_not_given(hub: Hub) -> None:
    name = digest(b"old")
    path = hub.shelf.deltas.path(name)
    path.write_bytes(b"rotten")
    assert hub.shelf.bundle_path(name) is None


def test_a_bundle_whose_objects_are_damaged_too_says_so(hub: Hub) -> None:
    (version,) = hub.library.versions(CHANNEL_ID)
    offer = hub.shelf.offer(CHANNEL_ID, "none", version.root)
    assert offer is not None
    hub.shelf.deltas.path(offer.bundle).write_bytes(b"rotten")
    for path in (hub.folder / "published" / "objects").glob("*/*"):
        path.write_bytes(b"rotten")
    with pytest.raises(ContentError, match="damaged"):
        hub.shelf.bundle_path(offer.bundle)
