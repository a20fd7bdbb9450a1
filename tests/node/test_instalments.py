"""A slow link that dies: what has come is readable, the most valuable first, and nothing else.

The link is simulated by bytes: 32 kbit/s is 4,000 of them a second. It is cut again and again,
and what pages show is compared with the best prefixes of the planner's order.
"""

import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from node.agenda import Agenda, day_of
from node.config import NodeConfig, NodeTable, SyncTable
from node.fetcher import Fetcher, Room
from node.instalments import labels, parts
from node.interests import InterestsTable
from node.link import LinkTable
from node.outcome import Outcome
from node.store.ledger import Ledger
from node.store.pins import Pins
from node.store.store import Store, no_step
from node.telemetry.clock import Clock
from node.updater import Subscription, Updater
from node.worker import Worker
from sync.bundle import BundleReader
from sync.canonical import digest
from sync.journal import Journal
from sync.lesson import Lesson
from sync.manifest import Manifest
from sync.transport.rationed import Rationed
from tests.node.city import CHANNEL, LINK_DIED, City
from tests.node.village import AT, Village, lesson, village

SLOW = LinkTable(kilobits_per_second=32, patience_seconds=0.05)
LESSONS = 12
CUT = 256
"""Bytes that come before the link dies: four chunks, a sixteenth of a second."""


def text(number: int, edition: str) -> str:
    """A page that hardly packs, of this edition."""
    words = (digest(f"{number} {edition} {n}".encode()) for n in range(8))
    return f"Edición {edition}. {' '.join(words)}."


def library(edition: str, changed: int = LESSONS, more: int = 0) -> list[Lesson]:
    """`LESSONS` lessons of which the first `changed` are of this edition, and `more` new ones."""
    made = [
        lesson(
            f"leccion-{n}",
            title=f"Lección {n}",
            grade=f"primaria-{n % 6 + 1}",
            topic="salud" if n % 3 == 0 else "matematica",
            body=[text(n, edition if n < changed else "A")],
        )
        for n in range(LESSONS)
    ]
    return made + [lesson(f"nueva-{n}", body=[text(50 + n, edition)]) for n in range(more)]


@dataclasses.dataclass
class Bench:
    """A village, a city that cuts bundles small, and the updater between them."""

    place: Village
    city: City
    link: LinkTable = SLOW
    interests: InterestsTable = dataclasses.field(default_factory=InterestsTable)
    wall: float = AT
    step: Callable[[str], None] = no_step
    updater: Updater = None  # type: ignore[assignment]
    agenda: Agenda = None  # type: ignore[assignment]
    ledger: Ledger = None  # type: ignore[assignment]

    def restart(self) -> None:
        """A new process over the same folder."""
        worker, store = Worker("test"), self.place.store
        trust = store.trust()
        clock = Clock(trust.floors.signed_at if trust else 0.0, lambda: self.wall)
        config = NodeConfig(
            NodeTable("nodo", str(self.place.folder)),
            SyncTable(hub="http://hub.example"),
            link=self.link,
            interests=self.interests,
        )
        self.ledger = Ledger(store)
        self.agenda = Agenda(config, store, self.ledger, clock.now)
        limited = bool(self.link.bytes_per_day)
        self.updater = Updater(
            Subscription(CHANNEL, self.city.roots[0]),
            store,
            self.place.blobs,
            Rationed(self.city, self.agenda) if limited else self.city,
            Fetcher(
                self.place.blobs,
                Journal(self.place.folder / "journal"),
                worker,
                Room(lambda: 10**12, 0),
                lambda name: self.step(name),
            ),
            worker,
            clock,
            agenda=self.agenda,
            step=lambda name: self.step(name),
        )

    def shown(self) -> dict[str, str]:
        """The edition of each lesson that pages show, by id; every one is read whole."""
        rows = self.place.store.reader().execute("SELECT id FROM lessons ORDER BY id")
        found = {}
        for (id_,) in rows.fetchall():
            made = self.place.library.lesson(id_, "es")
            assert made is not None
            number = int(id_.rpartition("-")[2]) + (50 if id_.startswith("nueva") else 0)
            edition = made.markdown[len("Edición ")]
            assert made.markdown == text(number, edition)  # never a mixture
            found[id_] = edition
        return found

    def prefixes(self) -> list[set[str]]:
        """What of the newest version may be readable at a cut: nothing, then the lessons of the
        planner's first group, of its first two, and so on."""
        base, target = self.place.store.base(), self.city.versions[-1]
        reader = self.reader(base, target)
        spans = reader.spans()
        planned = self.agenda.terms().planner.order(
            parts(reader, range(len(spans)), lambda start, stop: stop - start, self.agenda.terms())
        )
        brought = labels(reader)
        ids = [
            {label.path.split("/")[1].split(".")[0] for label in brought[part.number]
             if label.row[0] == "lesson"}
            for part in planned
        ]  # fmt: skip
        return [set().union(*ids[:count]) for count in range(len(ids) + 1)]

    def size(self, base: Manifest | None = None) -> int:
        """Bytes of the bundle to the newest version."""
        return self.city.bundle(base, self.city.versions[-1])[0].size

    def reader(self, base: Manifest | None, target: Manifest) -> BundleReader:
        """Of the bundle between two versions."""
        return BundleReader(self.city.bundle(base, target)[1], base)

    async def sync(self, dies_after: int | None = None) -> Outcome:
        """One sync over a link that carries so many bytes of bundles, then dies."""
        self.city.dies_after = dies_after
        try:
            return await self.updater.sync()
        finally:
            self.city.dies_after = None


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "village").mkdir()
    city = City(tmp_path)
    city.group_bytes = 2_500
    city.chunk = city.pieces = 64
    made = Bench(village(tmp_path / "village"), city)
    made.restart()
    yield made
    await made.updater.close()
    made.place.store.close()


async def test_at_every_cut_exactly_the_best_prefix_is_readable(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B", changed=10, more=3))
    prefixes, size = bench.prefixes(), bench.city.bundle(*bench.city.versions[-2:])[0].size
    assert len(prefixes) > 6
    seen, dead, outcome = [], 0, None
    for _ in range(size // CUT + 10):
        outcome = await bench.sync(dies_after=CUT)
        bench.restart()
        new = {id_ for id_, edition in bench.shown().items() if edition == "B"}
        assert new in prefixes
        assert set(bench.shown()) >= {f"leccion-{n}" for n in range(LESSONS)}
        seen.append(prefixes.index(new))
        if outcome.kind == "updated":
            break
        assert (outcome.kind, LINK_DIED in outcome.message) == ("unreachable", True)
        assert outcome.to_version == 1
        dead += 1
    assert outcome is not None
    assert outcome.kind == "updated"
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert dead >= size // CUT - 2


async def test_a_first_installation_over_a_dying_link_shows_its_first_lessons(
    bench: Bench,
) -> None:
    bench.city.publish(library("A"))
    prefixes = bench.prefixes()
    first = await bench.sync(dies_after=4_000)
    installed = bench.place.store.installed()
    assert installed is not None
    assert installed.part is not None
    assert installed.version == 1
    assert 0 < installed.part.lessons_here < installed.part.lessons == LESSONS
    assert set(bench.shown()) in prefixes
    assert (first.kind, first.to_version) == ("unreachable", 0)
    assert f"{installed.part.lessons_here} of 12 lessons" in first.message
    assert bench.place.library.topics("es")
    assert (await bench.sync()).kind == "updated"
    assert bench.shown() == {f"leccion-{n}": "A" for n in range(LESSONS)}
    installed = bench.place.store.installed()
    assert installed is not None
    assert installed.part is None
    assert installed.root == bench.city.versions[0].root
    assert [one.version for one in bench.place.store.history()] == [1]


async def test_wishes_change_what_is_readable_first(bench: Bench) -> None:
    bench.city.publish(library("A"))
    bench.interests = InterestsTable(grades=("primaria-3",))
    bench.city.group_bytes = 1_000
    bench.restart()
    await bench.sync(dies_after=1_600)
    shown = set(bench.shown())
    assert shown
    assert shown <= {"leccion-2", "leccion-8"}
    assert (await bench.sync()).kind == "updated"
    assert len(bench.shown()) == LESSONS


async def test_a_search_in_vain_changes_it_too(bench: Bench) -> None:
    bench.city.publish(library("A", more=1))
    bench.city.group_bytes = 1_000
    for _ in range(5):
        bench.agenda.miss("nueva", "es")
    await bench.sync(dies_after=2_000)
    assert "nueva-0" in bench.shown()


async def test_nothing_that_came_is_fetched_again(bench: Bench) -> None:
    bench.city.publish(library("A"))
    offer = bench.city.bundle(None, bench.city.versions[0])[0]
    down = 0
    for _ in range(100):
        outcome = await bench.sync(dies_after=700)
        bench.restart()
        down += outcome.bytes_down
        if outcome.kind == "updated":
            break
    heads_and_offers = bench.city.asked.count("head") * 9_000
    assert outcome.kind == "updated"
    assert bench.city.asked.count("digests") == 1
    assert down < offer.size + heads_and_offers
    asked = [int(ask.rpartition(" ")[2]) for ask in bench.city.asked if "bundle from" in ask]
    assert len(asked) > 10


# The budget of a day


DAY_BYTES = 8_000
"""Enough for a head, an offer, and half of the bundle."""


def rationed_link(size: int) -> LinkTable:
    return msgspec.structs.replace(SLOW, megabytes_per_day=size / 1e6)


async def test_a_version_larger_than_a_day_comes_over_days_and_none_is_exceeded(
    bench: Bench,
) -> None:
    bench.city.chunk = 512
    bench.city.publish(library("A"))
    bench.link = rationed_link(DAY_BYTES)
    kinds, shown = [], [set[str]()]
    for day in range(30):
        bench.wall = AT + day * 86_400
        bench.restart()
        for _ in range(3):  # the timer asks more than once a day
            outcome = await bench.sync()
            assert bench.ledger.spent(day_of(bench.wall)) <= DAY_BYTES
        kinds.append(outcome.kind)
        shown.append(set(bench.shown()))
        assert shown[-2] <= shown[-1]
        if outcome.kind == "current":
            break
        assert (outcome.kind, outcome.good) == ("partial", True)
    assert kinds[-1] == "current"
    assert len(kinds) > 1
    assert 0 < len(shown[1]) < LESSONS


async def test_a_hub_that_tells_no_digests_is_fetched_ahead_within_the_budget(
    bench: Bench,
) -> None:
    bench.city.publish(library("A"))
    bench.city.tells_digests = False
    bench.city.chunk = 512
    bench.link = rationed_link(DAY_BYTES)
    bench.restart()
    first = await bench.sync()
    assert (first.kind, bench.shown()) == ("partial", {})
    assert first.bytes_down < DAY_BYTES
    bench.link = LinkTable()
    bench.restart()
    assert (await bench.sync()).kind == "updated"


# What may not happen


async def test_false_digests_show_nothing_and_the_bundle_comes_whole(bench: Bench) -> None:
    bench.city.publish(library("A"))
    bench.city.false_digests = True
    first = await bench.sync(dies_after=4_000)
    assert (first.kind, bench.shown()) == ("unreachable", {})
    assert (await bench.sync()).kind == "updated"


async def test_a_spoilt_chunk_costs_itself_and_not_what_came_before(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync(dies_after=4_000)
    before = bench.shown()
    assert before
    bench.city.corrupt = 1
    assert (await bench.sync()).kind == "updated"
    assert "offer of the whole" in bench.city.asked
    assert set(bench.shown()) > set(before)


async def test_a_damaged_base_object_is_fetched_by_itself(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    manifest = bench.place.store.manifest()
    assert manifest is not None
    path = bench.place.blobs.path(manifest.by_path()["lessons/leccion-4.es.json"].hash)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    bench.city.asked.clear()
    outcome = await bench.sync()
    assert outcome.kind == "updated"
    assert set(bench.shown().values()) == {"B"}


async def test_a_newer_version_comes_while_one_is_here_in_part(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    await bench.sync(dies_after=2_000)
    part = {id_ for id_, edition in bench.shown().items() if edition == "B"}
    assert 0 < len(part) < LESSONS
    bench.city.publish(library("C"))
    await bench.sync(dies_after=3_000)
    shown = bench.shown()
    assert set(shown.values()) == {"A", "B", "C"} or set(shown.values()) == {"B", "C"}
    assert (await bench.sync()).kind == "updated"
    assert set(bench.shown().values()) == {"C"}
    bench.place.store.turn_back(bench.place.blobs.get, AT)
    assert set(bench.shown().values()) == {"A"}  # the last that was whole


async def test_a_version_that_is_taken_back_ends_what_came_of_it(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    await bench.sync(dies_after=2_000)
    bench.city.publish(library("A"))
    outcome = await bench.sync()
    assert (outcome.kind, outcome.to_version) == ("updated", 3)
    assert set(bench.shown().values()) == {"A"}


async def test_a_lesson_of_an_installed_part_that_is_damaged_is_mended(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync(dies_after=5_000)
    shown = sorted(bench.shown())
    manifest = bench.place.store.manifest()
    assert manifest is not None
    path = bench.place.blobs.path(manifest.by_path()[f"lessons/{shown[0]}.es.json"].hash)
    path.write_bytes(bytes(path.stat().st_size))
    bench.restart()
    await bench.sync(dies_after=0)
    assert shown[0] in bench.shown()


# Rollback, pins and tidying with a part in place


async def test_a_part_can_be_left_and_shown_again(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    await bench.sync(dies_after=2_000)
    part = bench.shown()
    store, read = bench.place.store, bench.place.blobs.get
    store.turn_back(read, AT)
    assert set(bench.shown().values()) == {"A"}
    bench.place.blobs.collect(store.kept())
    assert (await bench.sync()).kind == "held"
    store.turn_back(read, AT, forward=True)
    assert bench.shown() == part
    installed = store.installed()
    assert installed is not None
    assert installed.part is not None
    assert (await bench.sync()).kind == "updated"
    assert set(bench.shown().values()) == {"B"}


async def test_who_rolls_back_while_it_comes_is_not_overruled(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    shown = 0

    def step(name: str) -> None:
        nonlocal shown
        shown += name == "committed"
        if shown == 3 and name == "committed":  # another program, between two groups
            other = Store(bench.place.folder / "node.db")
            other.turn_back(bench.place.blobs.get, AT)
            other.close()

    bench.step = step
    outcome = await bench.sync()
    assert (outcome.kind, "rolled back" in outcome.message) == ("paused", True)
    assert set(bench.shown().values()) == {"A"}
    assert (await bench.sync()).kind == "held"


async def test_a_spoilt_list_of_digests_is_asked_for_again(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync(dies_after=2_000)
    [told] = (bench.place.folder / "journal").glob("*.list")
    told.write_bytes(bytes(len(told.read_bytes())))
    assert (await bench.sync()).kind == "updated"
    assert bench.city.asked.count("digests") == 2


async def test_nothing_of_a_part_is_collected(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    await bench.sync(dies_after=2_000)
    shown = bench.shown()
    assert bench.place.blobs.collect(bench.place.store.kept()) == 0
    assert bench.shown() == shown
    assert (await bench.sync()).kind == "updated"


async def test_a_pinned_lesson_stays_while_its_version_comes_in_parts(bench: Bench) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    pins = Pins(bench.place.store, bench.place.blobs.get)
    pins.add("lessons/leccion-0.es.json", AT)
    bench.city.publish(library("B"))
    for _ in range(60):
        if (await bench.sync(dies_after=600)).kind == "updated":
            break
        assert bench.shown()["leccion-0"] == "A"
    assert bench.shown() == {f"leccion-{n}": "B" for n in range(LESSONS)} | {"leccion-0": "A"}
    pins.release("lessons/leccion-0.es.json")
    assert bench.shown()["leccion-0"] == "B"


# Power


class PowerCut(Exception):  # noqa: N818 - it is no error of ours
    """The machine went off."""


async def test_a_power_cut_at_any_step_leaves_a_prefix_and_the_next_sync_goes_on(
    bench: Bench,
) -> None:
    bench.city.publish(library("A"))
    await bench.sync()
    bench.city.publish(library("B"))
    prefixes = bench.prefixes()
    cuts, kind = 0, ""
    while kind not in ("updated", "current"):  # cut after the last step, it is current
        left = 7 + cuts % 11

        def step(name: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise PowerCut(name)

        bench.step = step
        try:
            kind = (await bench.sync()).kind
        except PowerCut:
            cuts += 1
        bench.step = no_step
        bench.restart()
        new = {id_ for id_, edition in bench.shown().items() if edition == "B"}
        assert new in prefixes
        assert len(bench.shown()) == LESSONS
        assert cuts < 500
    assert cuts > 10
    assert set(bench.shown().values()) == {"B"}


# Pause


async def test_a_pause_stops_at_the_next_piece_and_keeps_what_came(bench: Bench) -> None:
    bench.city.publish(library("A"))

    def step(name: str) -> None:
        if name == "object":
            bench.updater.halt(halted=True)

    bench.step = step
    outcome = await bench.sync()
    assert (outcome.kind, outcome.good) == ("paused", True)
    assert bench.updater.progress is None
    shown = bench.shown()
    bench.step = no_step
    bench.updater.halt(halted=False)
    assert (await bench.sync()).kind == "updated"
    assert set(bench.shown()) > set(shown)
