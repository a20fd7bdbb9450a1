"""What nodes report: once, durable, bounded, and never poisoned by a bad clock."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hub.answers import RefusedError
from hub.blocks import Blocks, Name, Totals
from hub.intake import Intake, Receipt
from hub.library import Library
from sync.errors import ContentError
from sync.samples import ABSENT, Block, Series, encode_block
from tests.hub.fakes import Clock
from tests.hub_web.reports import NOW, events, missed, samples

VERSION = "chaski_node_installed_version"


class Box:
    """An intake with its store and library, which can be closed and opened again."""

    def __init__(self, folder: Path, library: Library, *, max_bytes: int = 10**6) -> None:
        self.path, self.library, self.clock = folder / "intake.db", library, Clock()
        self.max_bytes = max_bytes
        self.open()

    def open(self) -> None:
        self.blocks = Blocks(self.path, max_names=100, max_bytes=self.max_bytes)
        self.intake = Intake(self.blocks, self.library, self.clock, max_nodes=3, max_series=2)

    def close(self) -> None:
        self.blocks.close()

    def version(self, node: str = "puno-1") -> float | None:
        return next((r.value for r in self.blocks.readings([VERSION]) if r.node == node), None)

    def searches(self) -> list[tuple[str, int]]:
        return [(m.query, m.times) for m in self.library.missed_searches()]


class Locked(Library):
    """A library that another program has locked."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        raise sqlite3.OperationalError("database is locked")
        yield


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "hub.db") as opened:
        yield opened


@pytest.fixture
def box(tmp_path: Path, library: Library) -> Iterator[Box]:
    with closing(Box(tmp_path, library)) as made:
        yield made


def test_a_block_is_stored_once_and_survives(box: Box) -> None:
    body = samples(3)
    assert box.intake.samples(body) == Receipt(True)
    assert box.intake.samples(body) == Receipt(False)
    box.close()
    box.open()
    assert box.intake.samples(body) == Receipt(False)
    assert box.blocks.body(Name("samples", "puno-1", "boot1", 3)) == body
    assert box.path.stat().st_mode & 0o777 == 0o600
    assert [(c.node, c.blocks, c.clock) for c in box.blocks.contacts()] == [("puno-1", 1, "rtc")]


def test_blocks_of_other_nodes_epochs_and_kinds_are_other_blocks(box: Box) -> None:
    stored = [
        box.intake.samples(samples(0)),
        box.intake.samples(samples(0, node="puno-2")),
        box.intake.samples(samples(0, epoch="boot2")),
        box.intake.events(events(0)),
    ]
    assert all(receipt.stored for receipt in stored)


def test_a_clock_ahead_is_refused_and_changes_nothing(box: Box) -> None:
    box.intake.samples(samples(0, version=1))
    with pytest.raises(RefusedError) as caught:
        box.intake.samples(samples(1, at=NOW + 601, version=9))
    assert (caught.value.status, caught.value.reason) == (422, "clock")
    assert box.version() == 1
    assert box.blocks.body(Name("samples", "puno-1", "boot1", 1)) is None
    assert box.intake.samples(samples(2, at=NOW + 599)).stored


def test_a_node_in_1970_is_heard(box: Box) -> None:
    assert box.intake.samples(samples(0, at=60, clock="unknown", version=4)).stored
    assert box.version() == 4
    assert box.blocks.contacts()[0].last == NOW


def test_an_old_block_that_comes_late_does_not_hide_a_newer_value(box: Box) -> None:
    """Spools send the newest first; what comes after is older."""
    box.intake.samples(samples(5, at=NOW - 10, version=5))
    box.intake.samples(samples(4, at=NOW - 3600, version=4))
    assert box.version() == 5
    box.intake.samples(samples(0, epoch="boot0", at=NOW - 86400, version=3))
    assert box.version() == 5
    box.intake.samples(samples(0, epoch="boot2", at=NOW - 5, version=6))
    assert box.version() == 6


def test_without_a_sure_clock_a_new_run_counts_from_its_arrival(box: Box) -> None:
    box.intake.samples(samples(9, at=NOW, version=5))
    box.intake.samples(samples(0, epoch="boot2", at=60, clock="unknown", version=6))
    assert box.version() == 6


def test_the_last_value_of_a_block_is_the_newest_that_is_there(box: Box) -> None:
    times = tuple(int(NOW * 1000) + n for n in range(4))
    values = (1.0, 7.0, ABSENT, ABSENT)
    gone = Series("gone", (("why", "absent"),), (ABSENT,) * 4)
    block = Block("puno-1", "b", 0, "rtc", times, (Series(VERSION, (), values), gone))
    box.intake.samples(encode_block(block))
    assert [(r.name, r.value, r.time) for r in box.blocks.readings([VERSION, "gone"])] == [
        (VERSION, 7.0, times[1])
    ]
    assert not math.isnan(box.version() or math.nan)


def test_labels_come_back_as_they_were(box: Box) -> None:
    labels = (("quality", "rtc"), ("zone", "año «1»"))
    block = Block("puno-1", "b", 0, "rtc", (1,), (Series("x", labels, (1.0,)),))
    box.intake.samples(encode_block(block))
    assert box.blocks.readings(["x"])[0].labels == labels


@pytest.mark.parametrize("body", [b"", b"junk", samples(0)[:-3], events(0)])
def test_what_is_no_block_is_refused_as_damaged(box: Box, body: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        box.intake.samples(body)
    assert (caught.value.status, caught.value.reason) == (400, "damaged")
    assert box.intake.nodes() == 0


def test_a_hub_takes_so_many_nodes(box: Box) -> None:
    for number in range(3):
        box.intake.samples(samples(0, node=f"n{number}"))
    with pytest.raises(RefusedError) as caught:
        box.intake.samples(samples(0, node="n3"))
    assert (caught.value.status, caught.value.reason) == (403, "nodes")
    assert box.intake.samples(samples(1, node="n2")).stored


def test_a_node_with_too_many_series_is_refused_whole(box: Box) -> None:
    for number in range(2):
        box.intake.samples(samples(number, name=f"series_{number}"))
    with pytest.raises(RefusedError) as caught:
        box.intake.samples(samples(2, name="series_2"))
    assert (caught.value.status, caught.value.reason) == (422, "series")
    assert box.blocks.series("puno-1") == 2
    assert not box.blocks.knows(Name("samples", "puno-1", "boot1", 2))


def test_missed_searches_reach_the_library_once(box: Box) -> None:
    body = events(0, missed("el eclipse"), missed("El  ECLIPSE"), missed("quipu", language="qu"))
    receipt = box.intake.events(body)
    assert receipt == Receipt(True, ("search_missed",) * 3)
    assert box.intake.events(body) == Receipt(False)
    assert box.searches() == [("el eclipse", 2), ("quipu", 1)]


def test_a_search_from_the_future_counts_as_now(box: Box) -> None:
    box.intake.events(events(0, missed("eclipse", at=NOW + 10**6)))
    assert box.library.missed_searches()[0].last == NOW


def test_a_busy_library_loses_no_missed_search(box: Box) -> None:
    locked = Intake(box.blocks, Locked(box.path.parent / "hub.db"), box.clock)
    assert locked.events(events(0, missed("eclipse"))).stored
    assert box.searches() == []
    box.intake.deliver()
    assert box.searches() == [("eclipse", 1)]
    assert box.blocks.undelivered() == []


def test_a_stored_block_that_the_disk_harmed_stops_nothing(box: Box) -> None:
    locked = Intake(box.blocks, Locked(box.path.parent / "hub.db"), box.clock)
    locked.events(events(0, missed("one")))
    with closing(sqlite3.connect(box.path)) as db, db:
        db.execute("UPDATE blocks SET body = x'00'")
    box.intake.events(events(1, missed("two")))
    assert box.searches() == [("two", 1)]


def test_when_the_store_is_full_the_oldest_bytes_go_and_are_counted(
    tmp_path: Path, library: Library
) -> None:
    one = len(samples(10))
    with closing(Box(tmp_path, library, max_bytes=one * 10)) as box:
        for number in range(10, 40):
            assert box.intake.samples(samples(number)).stored
        totals = box.blocks.totals()
        assert totals.kept <= one * 10
        assert totals.let_go == 30 - totals.kept // one
        assert box.blocks.body(Name("samples", "puno-1", "boot1", 39)) is not None
        assert box.blocks.body(Name("samples", "puno-1", "boot1", 10)) is None
        assert box.intake.samples(samples(10)) == Receipt(False)
        assert box.version() == 1


def test_names_are_remembered_up_to_a_bound(tmp_path: Path, library: Library) -> None:
    with closing(Box(tmp_path, library)) as box:
        for number in range(150):
            box.intake.samples(samples(number))
        with closing(sqlite3.connect(box.path)) as db:
            assert db.execute("SELECT count(*) FROM blocks").fetchone() == (100,)
        kept = sum(len(samples(number)) for number in range(50, 150))
        assert box.blocks.totals() == Totals(kept, 50)


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "intake.db"
    path.write_bytes(b"not a database, but long enough to look like one " * 40)
    with pytest.raises(ContentError, match=r"intake\.db"):
        Blocks(path, max_names=1, max_bytes=1)
