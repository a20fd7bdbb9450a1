"""One sync against a hub that fails in every way it can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from node.fetcher import Fetcher, Room
from node.outcome import Outcome, error_of
from node.store.store import no_step
from node.telemetry.clock import Clock
from node.updater import Subscription, Updater
from node.worker import Worker
from sync.canonical import Digest
from sync.errors import ContentError, SpaceError, TransportError, TrustError
from sync.files import ObjectStore
from sync.journal import Journal
from sync.lesson import Lesson, Question
from tests.node.city import CHANNEL, LINK_DIED, City
from tests.node.village import AT, Village, lesson, village

DAY = 86_400.0
PLENTY = 10**12


def library(changed: str = "") -> list[Lesson]:
    """Eight lessons with a page of text each; the first one says `changed`."""
    text = [
        f"En el pueblo {n} hay {n * 7} papas y {n * 3} ollas; la {word} es de todos."
        for n in range(12)
        for word in ("chacra", "acequia", "escuela")
    ]
    return [
        lesson(f"leccion-{n}", title=f"Lección {n}", body=[*text[n:], changed or "Fin."])
        for n in range(8)
    ]


@dataclass
class Bench:
    """A village, a city, and the updater between them."""

    place: Village
    city: City
    clock: Clock
    heard: list[Outcome]
    free: int = PLENTY
    floor: int = 0
    step: Callable[[str], None] = no_step
    wall: float = AT
    updater: Updater = None  # type: ignore[assignment]

    def restart(self, root: bytes | None = None) -> None:
        """A new process over the same folder."""
        worker = Worker("test")

        def step(name: str) -> None:
            self.step(name)

        room = Room(lambda: self.free, self.floor)
        trust = self.place.store.trust()
        self.clock = Clock(trust.floors.signed_at if trust else 0.0, lambda: self.wall)
        self.updater = Updater(
            Subscription(CHANNEL, root or self.city.roots[0]),
            self.place.store,
            self.place.blobs,
            self.city,
            Fetcher(self.place.blobs, Journal(self.place.folder / "journal"), worker, room, step),
            worker,
            self.clock,
            step=step,
            heard=self.heard.append,
        )

    @property
    def version(self) -> int:
        """What pages show."""
        installed = self.place.store.installed()
        return installed.version if installed else 0

    def text(self, id_: str = "leccion-0") -> str:
        """What the page of a lesson shows."""
        found = self.place.library.lesson(id_, "es")
        return found.markdown if found else ""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "village").mkdir()
    made = Bench(village(tmp_path / "village"), City(tmp_path), Clock(), [])
    made.restart()
    yield made
    await made.updater.close()
    made.place.store.close()


async def test_the_first_sync_brings_the_whole_channel(bench: Bench) -> None:
    bench.city.publish(library())
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.from_version, outcome.to_version) == ("updated", 0, 1)
    assert outcome.offered_version == 1
    assert len(bench.place.library.lessons("matematica", "es")) == 8
    assert bench.place.search.find("acequia", "es")
    assert bench.heard == [outcome]
    assert bench.updater.last == outcome


async def test_news_travel_as_a_delta_and_the_bytes_are_counted(bench: Bench) -> None:
    bench.city.publish(library())
    whole = await bench.updater.sync()
    bench.city.publish(library("Nuevo final."))
    delta = await bench.updater.sync()
    assert (delta.kind, delta.to_version) == ("updated", 2)
    assert "Nuevo final." in bench.text()
    assert delta.full_size == bench.city.versions[1].size
    assert delta.bytes_down < whole.bytes_down
    assert delta.bytes_down < delta.full_size / 3
    assert (
        "offer of the whole" not in bench.city.asked[bench.city.asked.index("offer of a delta") :]
    )


async def test_nothing_new_is_current_and_costs_only_the_head(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.asked.clear()
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.from_version, outcome.to_version) == ("current", 1, 1)
    assert bench.updater.last_update == bench.heard[0]
    assert bench.city.asked == ["root 2", "head"]


async def test_a_version_that_goes_back_to_an_old_content_is_installed_without_a_bundle(
    bench: Bench,
) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.publish(library())
    bench.city.asked.clear()
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("updated", 2)
    assert bench.city.asked == ["root 2", "head"]


async def test_an_unreachable_hub_leaves_the_node_serving(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.down = True
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.to_version, outcome.hint) == (
        "unreachable", 1, "wait for the link",
    )  # fmt: skip
    assert outcome.offered_version == 0
    assert isinstance(error_of(outcome), TransportError)
    assert bench.text().endswith("Fin.")


async def test_a_link_that_dies_is_resumed_and_not_begun_again(bench: Bench) -> None:
    bench.city.publish(library())
    size = bench.city.bundle(None, bench.city.versions[0])[0].size
    bench.city.dies_after = size // 2
    first = await bench.updater.sync()
    assert (first.kind, first.message, bench.version) == ("unreachable", LINK_DIED, 0)
    bench.restart()
    bench.city.asked.clear()
    second = await bench.updater.sync()
    assert second.kind == "updated"
    (begun,) = [ask for ask in bench.city.asked if ask.startswith("bundle from")]
    assert int(begun.split()[-1]) >= size // 2 - bench.city.pieces
    assert second.bytes_down < first.bytes_down + size


async def test_a_wrong_signature_is_refused_and_named(bench: Bench, tmp_path: Path) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    thief = City(tmp_path / "thief")
    thief.publish(library("Mentira."))
    thief.publish(library("Otra mentira."))
    bench.city.signed = thief.signed
    before = bench.place.store.trust()
    outcome = await bench.updater.sync()
    assert outcome.kind == "refused"
    assert "signature" in outcome.message
    assert "root.json" in outcome.hint
    assert isinstance(error_of(outcome), TrustError)
    assert (bench.version, bench.place.store.trust()) == (1, before)
    assert "Mentira." not in bench.text()


@pytest.mark.fault(7, "lessons are served on")
async def test_an_expired_head_refuses_news_and_keeps_the_lessons(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.publish(library("Nuevo."), days=1)
    bench.wall += 2 * DAY
    outcome = await bench.updater.sync()
    assert outcome.kind == "refused"
    assert "expired" in outcome.message
    assert bench.text().endswith("Fin.")


@pytest.mark.fault(6, "an older head")
async def test_an_older_head_is_refused(bench: Bench) -> None:
    bench.city.publish(library())
    old = bench.city.signed
    bench.city.publish(library("Nuevo."))
    await bench.updater.sync()
    bench.city.signed = old
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("refused", 2)
    assert "rollback" in outcome.message


@pytest.mark.fault(10, "intermediate roots of a year")
async def test_new_keys_are_followed_over_many_rotations(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    for _ in range(3):
        bench.city.rotate()
    bench.city.publish(library("Con llaves nuevas."))
    outcome = await bench.updater.sync()
    assert outcome.kind == "updated"
    trust = bench.place.store.trust()
    assert trust
    assert trust.floors.root == 4
    bench.restart()
    bench.city.asked.clear()
    await bench.updater.sync()
    assert bench.city.asked[0] == "root 5"


async def test_new_root_keys_from_the_operator_begin_trust_anew(
    bench: Bench, tmp_path: Path
) -> None:
    bench.city.publish(library())
    bench.city.publish(library("Dos."))
    await bench.updater.sync()
    other = City(tmp_path / "other")
    other.publish(library("De otra central."))
    bench.city = other
    bench.restart()
    assert (await bench.updater.sync()).kind == "updated"
    assert bench.text().endswith("De otra central.")


async def test_a_corrupt_bundle_is_fetched_again(bench: Bench) -> None:
    bench.city.publish(library())
    bench.city.corrupt = 1
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("updated", 1)


async def test_a_delta_that_stays_corrupt_gives_way_to_the_whole_channel(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.publish(library("Nuevo."))
    bench.city.corrupt = 2
    bench.city.asked.clear()
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("updated", 2)
    assert bench.city.asked.count("offer of the whole") == 1


async def test_a_hub_that_only_sends_damage_is_a_failure_and_never_a_success(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.publish(library("Nuevo."))
    bench.city.corrupt = 99
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.to_version, outcome.offered_version) == ("damaged", 1, 2)
    assert isinstance(error_of(outcome), ContentError)
    assert (bench.version, bench.text().endswith("Fin.")) == (1, True)
    assert outcome.bytes_down > 0


async def test_a_hub_without_the_delta_gives_the_whole_channel(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.publish(library("Nuevo."))
    bench.city.deltas = False
    assert (await bench.updater.sync()).kind == "updated"
    assert bench.version == 2


async def test_a_version_without_any_bundle_is_said_in_words(bench: Bench) -> None:
    bench.city.publish(library())
    bench.city.versions.clear()
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("unreachable", 0)
    assert "no bundle" in outcome.message


@pytest.mark.fault(12, "a false offer")
async def test_a_false_offer_costs_nothing(bench: Bench) -> None:
    bench.city.publish(library())
    true, _ = bench.city.bundle(None, bench.city.versions[0])
    bench.city.false_offer = msgspec.structs.replace(true, size=10**9, unpacked=10**9)
    outcome = await bench.updater.sync()
    assert outcome.kind == "damaged"
    assert not [ask for ask in bench.city.asked if ask.startswith("bundle")]


@pytest.mark.fault(20, "fetched by itself")
async def test_a_damaged_base_object_is_fetched_by_itself(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    damage(bench)
    bench.city.publish(library("Nuevo."))
    bench.city.asked.clear()
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("updated", 2)
    assert bench.city.asked.count("object") == 1
    assert "offer of the whole" not in bench.city.asked


@pytest.mark.fault(20, "nobody has it")
async def test_a_damaged_base_object_that_nobody_has_gives_way_to_the_whole_channel(
    bench: Bench,
) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    damage(bench)
    bench.city.forgetful = True
    bench.city.publish(library("Nuevo."))
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("updated", 2)
    assert "offer of the whole" in bench.city.asked


@pytest.mark.fault(4, "in an object of the installed version")
async def test_the_first_quiet_sync_of_a_run_mends_what_is_damaged(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    damage(bench)
    bench.restart()
    outcome = await bench.updater.sync()
    assert (outcome.kind, "1 damaged" in outcome.message) == ("current", True)
    assert bench.text().endswith("Fin.")


async def test_a_missing_object_is_seen_at_every_sync(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    await bench.updater.sync()
    bench.place.blobs.path(first_object(bench)).unlink()
    assert "1 damaged" in (await bench.updater.sync()).message


@pytest.mark.fault(13, "too little space, known beforehand")
async def test_a_full_disk_is_said_before_anything_is_fetched(bench: Bench) -> None:
    bench.city.publish(library())
    bench.free = 1000
    outcome = await bench.updater.sync()
    assert outcome.kind == "full"
    assert isinstance(error_of(outcome), SpaceError)
    assert "MB" in outcome.message
    assert not [ask for ask in bench.city.asked if ask.startswith("bundle")]
    assert bench.version == 0


async def test_the_disk_keeps_its_floor(bench: Bench) -> None:
    bench.city.publish(library())
    bench.floor = PLENTY
    bench.restart()
    assert (await bench.updater.sync()).kind == "full"


async def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_version(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    bench.city.publish(library("Nuevo."))
    for name in ("chunk", "object", "lessons", "version", "floors", "commit"):

        def fill(step: str, name: str = name) -> None:
            if step == name:
                raise OSError(28, "No space left on device")

        bench.step = fill
        outcome = await bench.updater.sync()
        assert (name, outcome.kind, bench.version) == (name, "full", 1)
        assert bench.text().endswith("Fin.")
        assert not bench.place.search.find("Nuevo", "es")
    bench.step = no_step
    assert (await bench.updater.sync()).kind == "updated"


async def test_a_lesson_that_is_none_is_not_installed(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    twisted = Question("¿?", ("a", "b"), 5, "", "")
    broken, *others = library("Nuevo.")
    bench.city.publish([msgspec.structs.replace(broken, quiz=(twisted,)), *others])
    outcome = await bench.updater.sync()
    assert (outcome.kind, bench.version) == ("damaged", 1)
    assert "question 1" in outcome.message
    assert bench.text().endswith("Fin.")


@pytest.mark.fault(22, "in one process")
async def test_two_calls_are_one_sync(bench: Bench) -> None:
    bench.city.publish(library())
    one, two = await asyncio.gather(bench.updater.sync(), bench.updater.sync())
    assert one is two
    assert len(bench.heard) == 1


async def test_a_caller_that_leaves_does_not_stop_the_sync(bench: Bench) -> None:
    bench.city.publish(library())
    caller = asyncio.create_task(bench.updater.sync())
    other = asyncio.create_task(bench.updater.sync())
    await asyncio.sleep(0)
    caller.cancel()
    assert (await other).kind == "updated"


async def test_objects_of_the_version_before_stay_one_version_long(bench: Bench) -> None:
    seen: list[set[Digest]] = []
    for words in ("Uno.", "Dos.", "Tres."):
        bench.city.publish(library(words))
        await bench.updater.sync()
        seen.append(set(bench.place.blobs.digests()))
    first, second, third = bench.city.versions
    hashes = [{entry.hash for entry in version.entries} for version in (first, second, third)]
    assert seen[1] == hashes[0] | hashes[1]
    assert seen[2] == hashes[1] | hashes[2]


async def test_the_journal_is_empty_after_a_success(bench: Bench) -> None:
    bench.city.publish(library())
    await bench.updater.sync()
    assert Journal(bench.place.folder / "journal").held() == {}


@pytest.mark.fault(14, "1970")
async def test_a_node_that_wakes_in_1970_believes_the_signed_time(bench: Bench) -> None:
    bench.wall = 0.0
    bench.restart()
    bench.city.publish(library())
    assert (await bench.updater.sync()).kind == "updated"
    assert bench.clock.now() >= AT
    bench.restart()
    assert bench.clock.now() >= AT


def first_object(bench: Bench) -> Digest:
    """The object of the first lesson."""
    manifest = bench.place.store.manifest()
    assert manifest
    return manifest.by_path()["lessons/leccion-0.es.json"].hash


def damage(bench: Bench) -> None:
    """Flips a byte of the first lesson's object."""
    store: ObjectStore = bench.place.blobs
    path = store.path(first_object(bench))
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
