"""What the hub puts on a stick, and takes off one."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from hub import stick
from hub.blocks import Blocks
from hub.intake import Intake
from hub.library import Library
from sync import manifest as manifests
from sync.bundle import Offer
from sync.canonical import Digest, digest
from sync.errors import ContentError, SpaceError, TransportError
from sync.head import head_from_bytes
from sync.transport.directory import STICK, DirectorySink, DirectorySource, DirectoryWriter
from sync.trust import Floors, TrustedState
from tests.hub.fakes import Clock, a_lesson
from tests.hub.publishing import CHANNEL_ID, Hub, PowerCut
from tests.hub_web.reports import events, missed, samples


def unflushed() -> None:
    """Nothing: the tests need no disk to spin."""


@pytest.fixture
def hub(tmp_path: Path, library: Library, clock: Clock) -> Hub:
    return Hub(tmp_path, library, clock)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def versions(hub: Hub) -> list[Digest]:
    """Roots of what was published, newest first."""
    return [v.root for v in hub.library.versions(CHANNEL_ID)]


def fill(hub: Hub, folder: Path, **more: object) -> stick.Filled:
    return stick.fill(folder, hub.shelf, CHANNEL_ID, versions(hub), flush=unflushed, **more)  # type: ignore[arg-type]


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


async def test_a_stick_carries_roots_the_whole_bundle_and_deltas(
    hub: Hub, media: Path, clock: Clock
) -> None:
    first = hub.publisher().publish()
    hub.write(a_lesson(title="Sumar bien"))
    second = hub.publisher().publish()
    filled = fill(hub, media)
    assert (filled.version, filled.root) == (2, second.root)
    assert [offer.base for offer in filled.offers] == [None, first.root]
    source = DirectorySource(media / STICK)
    root, head = await source.root(1), await source.head(CHANNEL_ID)
    assert root is not None
    verdict = TrustedState(root, Floors(), CHANNEL_ID).judge(head_from_bytes(head), clock.now)
    assert verdict.version == 2
    for base in (None, first.root):
        offer = await source.offer(CHANNEL_ID, base, second.root)
        assert offer is not None
        data = await source.chunk_range(offer.bundle, 0, offer.size)
        assert digest(data) == offer.bundle
    assert not (media / STICK / "objects").exists()


async def test_objects_for_repair_are_put_on_it_when_asked_for(hub: Hub, media: Path) -> None:
    hub.publisher().publish()
    filled = fill(hub, media, objects=True)
    data = hub.shelf.manifest(filled.root)
    assert data is not None
    names = {entry.hash for entry in manifests.from_bytes(data).entries}
    assert filled.objects == len(names)
    source = DirectorySource(media / STICK)
    assert {digest(await source.object(name)) for name in names} == names


def test_what_leads_to_older_versions_goes_after_the_new_head(hub: Hub, media: Path) -> None:
    hub.publisher().publish()
    fill(hub, media)
    (media / "fotos").mkdir()
    (media / "fotos" / "mine.jpg").touch()
    before = files(media)
    hub.write(a_lesson(title="Sumar bien"))
    hub.publisher().publish()
    filled = fill(hub, media)
    bundles = {p.name for p in (media / STICK / "bundles").iterdir()}
    assert bundles == {offer.bundle for offer in filled.offers}
    assert {"fotos/mine.jpg", f"{STICK}/channels/{CHANNEL_ID}/head.json"} <= files(media) & before
    assert fill(hub, media) == filled


class FailingWriter(DirectoryWriter):
    """A stick that is pulled out at the `fail_at`th file."""

    fail_at = 0
    puts = 0

    def _step(self) -> None:
        FailingWriter.puts += 1
        if FailingWriter.puts == FailingWriter.fail_at:
            raise PowerCut

    def put_root(self, number: int, data: bytes) -> None:
        self._step()
        super().put_root(number, data)

    def put_bundle(self, offer: Offer, data: bytes | Iterable[bytes]) -> None:
        self._step()
        super().put_bundle(offer, data)

    def put_head(self, channel: str, data: bytes) -> None:
        self._step()
        super().put_head(channel, data)

    def prune(self, *arguments: object) -> int:
        self._step()
        return super().prune(*arguments)  # type: ignore[arg-type]


async def test_a_stick_pulled_out_while_it_is_filled_shows_the_old_version_or_the_new(
    hub: Hub, media: Path, clock: Clock
) -> None:
    old = hub.publisher().publish()
    fill(hub, media)
    hub.write(a_lesson(title="Sumar bien"))
    new = hub.publisher().publish()
    seen = []
    for fail_at in range(1, 6):
        FailingWriter.fail_at, FailingWriter.puts = fail_at, 0
        with pytest.raises(PowerCut):
            fill(hub, media, writer_to=FailingWriter)
        source = DirectorySource(media / STICK)
        head = head_from_bytes(await source.head(CHANNEL_ID))
        root = await source.root(1)
        assert root is not None
        verdict = TrustedState(root, Floors(), CHANNEL_ID).judge(head, clock.now)
        offer = await source.offer(CHANNEL_ID, None, verdict.root)
        assert offer is not None
        data = await source.chunk_range(offer.bundle, 0, offer.size)
        assert digest(data) == offer.bundle
        seen.append(verdict.root)
    assert seen == [old.root] * 4 + [new.root]


def test_a_stick_that_is_not_plugged_in_is_not_made(hub: Hub, tmp_path: Path) -> None:
    hub.publisher().publish()
    with pytest.raises(TransportError, match="no such folder"):
        fill(hub, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_nothing_published_is_said(hub: Hub, media: Path) -> None:
    with pytest.raises(ContentError, match="no published version"):
        fill(hub, media)
    assert files(media) == set()


def test_a_stick_that_is_too_small_is_refused_before_it_is_written(hub: Hub, media: Path) -> None:
    hub.publisher().publish()
    with pytest.raises(SpaceError, match="must stay free"):
        fill(hub, media, slack=10**18)
    assert files(media) == set()


# The way home


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[Blocks]:
    opened = Blocks(tmp_path / "intake.db", max_names=1000, max_bytes=10**6)
    yield opened
    opened.close()


@pytest.fixture
def intake(blocks: Blocks, library: Library, clock: Clock) -> Intake:
    return Intake(blocks, library, clock)


async def left(media: Path) -> None:
    """What two nodes left on a stick."""
    (media / STICK).mkdir(exist_ok=True)
    sink = DirectorySink(media / STICK)
    await sink.samples(samples(1))
    await sink.samples(samples(1, node="cusco-2"))
    await sink.events(events(2, missed("volcanes")))


async def test_blocks_are_stored_once_and_leave_the_stick(
    media: Path, intake: Intake, library: Library
) -> None:
    intake.samples(samples(1, node="cusco-2"))
    await left(media)
    done = stick.collect(media, intake)
    assert (done.stored, done.known, done.damaged, done.refused) == (2, 1, 0, 0)
    assert files(media) == set()
    assert intake.nodes() == 2
    (one,) = library.missed_searches(10)
    assert one.query == "volcanes"
    assert stick.collect(media, intake) == stick.Collected()


async def test_two_sticks_with_the_same_blocks_count_once(
    media: Path, tmp_path: Path, intake: Intake
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    await left(media)
    await left(other)
    assert stick.collect(media, intake, keep=True).stored == 3
    assert len(files(media)) == 3
    assert stick.collect(other, intake).known == 3


async def test_damaged_and_refused_blocks_stay_and_are_counted(
    media: Path, intake: Intake, clock: Clock
) -> None:
    await left(media)
    (media / STICK).mkdir(exist_ok=True)
    sink = DirectorySink(media / STICK)
    await sink.samples(samples(9, at=clock.now + 86_400))
    await sink.events(b"no block at all")
    cut = media / STICK / "samples" / digest(samples(1))
    cut.write_bytes(cut.read_bytes()[:-3])
    (media / STICK / "samples" / ".half.tmp").touch()
    (media / STICK / "samples" / "notes.txt").touch()
    done = stick.collect(media, intake)
    assert (done.stored, done.damaged, done.refused) == (2, 2, 1)
    assert len(files(media)) == 5


def test_a_stick_without_blocks_is_no_error(media: Path, intake: Intake) -> None:
    assert stick.collect(media, intake) == stick.Collected()
    with pytest.raises(TransportError, match="no such folder"):
        stick.collect(media / "none", intake)
