"""A disk that refuses: full, over its quota, or made read-only, at any write of a sync or from
the start. Nothing is lost, and what is there is served."""

import asyncio
import contextlib
import errno
import resource
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from node.folder import DataFolder
from node.store.frozen import Frozen
from node.store.store import Store
from sync.errors import BusyError, SpaceError
from tests.faults.shim import COUNTED, GROWING, Shim
from tests.faults.world import FIRST, SECOND, Shown, World, visit
from tests.node.village import lesson, village

pytestmark = pytest.mark.compiler
SPACE_EXIT = 7
REFUSALS = {"ENOSPC": (errno.ENOSPC, 2), "EDQUOT": (errno.EDQUOT, 4), "EROFS": (errno.EROFS, 4)}
"""Each with the stride at which changes are tried."""


@pytest.mark.fault(13, "ENOSPC from any change of a sync on")
@pytest.mark.fault(13, "EDQUOT from any change of a sync on")
@pytest.mark.fault(13, "EROFS from any change of a sync on")
@pytest.mark.parametrize("name", REFUSALS)
def test_a_disk_that_refuses_from_any_change_on_costs_no_lesson(
    world: World, shim: Shim, name: str
) -> None:
    number, stride = REFUSALS[name]
    refused = COUNTED if name == "EROFS" else GROWING
    whole = shim.run(world.copy(world.old, "whole"), "sync")
    count = sum(change.counts and change.what in refused for change in whole.changes)
    codes = []
    for at in range(1, count + 1, stride):
        folder = world.copy(world.old, "full")
        ran = shim.run(folder, "sync", mode="always", at=at, error=number, kinds=refused)
        seen = asyncio.run(visit(folder))
        assert ran.code in (0, SPACE_EXIT), (at, ran.said)
        assert seen.before in ((SECOND,) if ran.code == 0 else (FIRST, SECOND)), (at, ran.said)
        assert seen.after == SECOND, at
        codes.append(ran.code)
    assert SPACE_EXIT in codes


@pytest.mark.fault(13, "one write of a sync refused, and none after it")
def test_one_write_that_is_refused_costs_no_lesson(world: World, shim: Shim) -> None:
    whole = shim.run(world.copy(world.old, "whole"), "sync")
    for at in range(1, whole.count + 1, 4):
        folder = world.copy(world.old, "full")
        ran = shim.run(folder, "sync", mode="once", at=at, error=errno.ENOSPC, kinds=GROWING)
        seen = asyncio.run(visit(folder))
        assert ran.code in (0, SPACE_EXIT), (at, ran.said)
        assert seen.before in ((SECOND,) if ran.code == 0 else (FIRST, SECOND)), (at, ran.said)
        assert seen.after == SECOND, at


def hot(world: World, shim: Shim) -> tuple[Path, Shown]:
    """A folder after a power cut: its database still has its log. And what it shows."""
    count = shim.run(world.copy(world.old, "whole"), "sync").count
    folder = world.copy(world.old, "hot")
    assert shim.run(folder, "sync", mode="kill", at=count * 4 // 5).code == -signal.SIGKILL
    for memory in folder.rglob("*-shm"):
        memory.unlink()
    assert (folder / "data" / "node.db-wal").stat().st_size > 0
    shown = asyncio.run(visit(world.copy(folder, "seen"), sync=False)).before
    assert shown == SECOND
    return folder, shown


@pytest.mark.fault(13, "a start on a full disk")
@pytest.mark.fault(13, "a start on a read-only disk")
@pytest.mark.parametrize("name", ["ENOSPC", "EROFS"])
@pytest.mark.parametrize("after", ["a clean end", "a power cut"])
def test_a_node_that_is_started_on_a_disk_that_refuses_serves_what_it_has(
    world: World, shim: Shim, name: str, after: str
) -> None:
    folder, shown = (world.old, FIRST) if after == "a clean end" else hot(world, shim)
    folder = world.copy(folder, "full")
    (folder / "data" / "portal.key").unlink()  # as on a node that has never served
    refused = COUNTED if name == "EROFS" else GROWING
    number, _ = REFUSALS[name]
    ran = shim.run(folder, mode="always", at=1, error=number, kinds=refused)
    assert ran.code == 0, ran.said
    assert ran.count == 0
    assert msgspec.json.decode(ran.said.splitlines()[-1], type=Shown) == shown
    ran = shim.run(folder, "sync", mode="always", at=1, error=number, kinds=refused)
    assert ran.code in ((SPACE_EXIT,) if shown == FIRST else (0, SPACE_EXIT)), ran.said
    assert asyncio.run(visit(folder)).after == SECOND


# The store on such a disk


@contextlib.contextmanager
def full() -> Iterator[None]:
    """While the body runs, no file of this process can grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The database of a node that was stopped."""
    place = village(tmp_path)
    place.install(1, [lesson(body=["Uno."])])
    place.store.close()
    return tmp_path / "node.db"


def test_a_frozen_database_is_read_without_a_trace(database: Path) -> None:
    with contextlib.closing(Frozen(database)) as frozen:
        with contextlib.closing(frozen.reader()) as db:
            assert db.execute("SELECT count(*) FROM lessons").fetchone() == (1,)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                db.execute("DELETE FROM lessons")
        assert [found.name for found in database.parent.glob("node.db*")] == ["node.db"]


@pytest.mark.fault(13, "space again while the node runs")
def test_a_store_writes_again_when_the_disk_lets_it(database: Path) -> None:
    with full():
        store = Store(database)
    with contextlib.closing(store):
        assert store.read_only
        assert store.lessons() == 1
        with full(), pytest.raises(SpaceError):
            store.record_sync(1.0, "full", b"{}")
        assert store.read_only
        store.record_sync(2.0, "full", b"{}")
        assert not store.read_only
        assert store.last_sync() == b"{}"


def test_a_database_that_would_have_to_be_migrated_waits_for_space(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm003_place'")
        db.commit()
    with full(), pytest.raises(SpaceError, match="older program"):
        Store(database)


def test_two_nodes_share_no_folder_on_a_full_disk_either(world: World) -> None:
    folder = DataFolder(world.copy(world.old, "locked") / "data")
    with full(), contextlib.closing(folder.lock()), pytest.raises(BusyError):
        folder.lock()
