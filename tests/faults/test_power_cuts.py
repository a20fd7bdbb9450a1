"""The power fails while a node writes: what was not synced is lost, torn and out of order.

A kill never finds a missing fsync, since the system keeps what a dead process wrote. Here a real
command is recorded, a prefix of it is carried out on a model of a disk (`crashfs.py`), and a
real node is started over what that disk may hold. `--crash-states` says how many times.
"""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sync.errors import ChaskiError
from tests.faults.crashfs import Disk, write_out
from tests.faults.shim import Change, Shim, What
from tests.faults.world import FIRST, NONE, SECOND, Shown, Visit, World, visit

pytestmark = pytest.mark.compiler
PAGES_EVERY = 16


@dataclass(frozen=True, slots=True)
class Recording:
    """What a command did to a folder, and which states may be seen after a power cut in it."""

    folder: Path
    changes: Sequence[Change]
    allowed: tuple[Shown, ...]
    done: Shown
    """What the command said was so, by its exit code 0: no power cut takes it back."""

    def cut(self, number: int, home: Path, *, last: bool = False) -> tuple[int, Path]:
        """The `number`-th power cut, and the folder it leaves; `last`: right after the end."""
        chance = random.Random(number)
        at = len(self.changes) if last else chance.randint(0, len(self.changes))
        disk = Disk(self.folder)
        for change in self.changes[:at]:
            disk.apply(change)
        left = home / "left"
        write_out(disk.after_a_power_cut(chance), left, chance)
        return at, left

    def wrong(self, number: int, home: Path) -> str:
        """Cuts the power and starts the node; what is wrong then, empty for nothing."""
        at, left = self.cut(number, home, last=number % 10 == 0)
        about = f"power cut {number}, before change {at} of {len(self.changes)}"
        try:
            seen: Visit = asyncio.run(visit(left, pages=number % PAGES_EVERY == 0))
        except (ChaskiError, AssertionError) as error:
            return f"{about}: {error!r}"
        if seen.before not in self.allowed or seen.after != self.allowed[-1]:
            return f"{about}: {seen}"
        if at == len(self.changes) and seen.before != self.done:
            return f"{about}: {self.done} was said, {seen.before} is there"
        return ""


def record(
    world: World, shim: Shim, of: Path, allowed: tuple[Shown, ...], *command: str
) -> Recording:
    """`command` in a copy of `of`; its last state is the one that it announced."""
    folder = world.copy(of, "recorded")
    ran = shim.run(folder, *command)
    assert ran.code == 0, ran.said
    disk = Disk(of)
    for change in ran.changes:
        disk.apply(change)
    assert disk.now() == contents(folder), "the shim has missed a change"
    return Recording(of, ran.changes, allowed, allowed[-1])


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every name below `folder` with its bytes, None for a folder."""
    found: dict[str, bytes | None] = {".": None}
    for path in folder.rglob("*"):
        found[str(path.relative_to(folder))] = None if path.is_dir() else path.read_bytes()
    return found


@pytest.fixture(scope="module")
def states(request: pytest.FixtureRequest) -> int:
    """How many power cuts each test tries."""
    return int(request.config.getoption("--crash-states"))


def careless(made: Recording, *, folders: bool) -> Recording:
    """What a program would do that forgets its fsyncs of folders, or else of files."""
    known = {str(path.relative_to(made.folder)) for path in made.folder.rglob("*") if path.is_dir()}
    known |= {"."} | {change.paths[0] for change in made.changes if change.what is What.MKDIR}
    opened: dict[int, str] = {}
    kept = []
    for change in made.changes:
        if change.what is What.OPEN:
            opened[change.fd] = change.paths[0]
        if change.what is not What.SYNC or (opened[change.fd] in known) != folders:
            kept.append(change)
    return replace(made, changes=kept)


@pytest.mark.fault(2, "in an update")
@pytest.mark.fault(2, "un-synced writes dropped, reordered and torn at 512 and 4096 bytes")
@pytest.mark.fault(2, "renames undone without an fsync of the folder")
def test_a_power_cut_in_an_update_leaves_the_old_version_or_the_new(
    world: World, shim: Shim, states: int
) -> None:
    made = record(world, shim, world.old, (FIRST, SECOND), "sync")
    assert [told for n in range(states) if (told := made.wrong(n, world.home))] == []


@pytest.mark.fault(2, "in the first sync of a new folder")
def test_a_power_cut_in_the_first_sync_leaves_nothing_or_all(
    world: World, shim: Shim, states: int
) -> None:
    made = record(world, shim, world.new, (NONE, FIRST), "sync")
    assert [told for n in range(states) if (told := made.wrong(n, world.home))] == []


@pytest.mark.fault(2, "in an update after a power cut")
def test_a_power_cut_after_a_power_cut_leaves_the_old_version_or_the_new(
    world: World, shim: Shim, states: int
) -> None:
    """The database still has its log, the journal its chunks, the objects their leftovers."""
    count = shim.run(world.copy(world.old, "whole"), "sync").count
    for number, share in enumerate((0.35, 0.6, 0.75)):
        before = world.copy(world.old, "before")
        killed = shim.run(before, "sync", mode="kill", at=int(count * share))
        assert killed.code == -signal.SIGKILL
        for memory in before.rglob("*-shm"):
            memory.unlink()
        first = asyncio.run(visit(world.copy(before, "seen"), sync=False)).before
        made = record(world, shim, before, tuple(dict.fromkeys((first, SECOND))), "sync")
        cuts = range(number, states, 6)
        assert [told for n in cuts if (told := made.wrong(n, world.home))] == []


@pytest.mark.fault(2, "in a rollback")
def test_a_power_cut_in_a_rollback_shows_one_of_the_two(
    world: World, shim: Shim, states: int
) -> None:
    both = world.copy(world.old, "both")
    assert shim.run(both, "sync").code == 0
    made = record(world, shim, both, (SECOND, FIRST), "rollback")
    for number in range(0, states, 4):
        at, left = made.cut(number, world.home, last=number % 10 == 0)
        seen = asyncio.run(visit(left, sync=False)).before
        assert seen in ((FIRST,) if at == len(made.changes) else (FIRST, SECOND)), (number, at)


@pytest.mark.parametrize("folders", [True, False], ids=["of folders", "of files"])
def test_the_model_finds_a_program_that_forgets_its_fsyncs(
    world: World, shim: Shim, folders: bool
) -> None:
    """What this file says means something only if a missing fsync would be found."""
    made = careless(record(world, shim, world.old, (FIRST, SECOND), "sync"), folders=folders)
    assert any(made.wrong(number, world.home) for number in range(200))
