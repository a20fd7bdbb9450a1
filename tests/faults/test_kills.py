"""A node that is killed before any one of the changes it makes to its files.

The changes of a whole sync are counted with the shim; then it is done again as often as there
are changes, and the n-th time SIGKILL comes instead of the n-th one. The next start must show
the old version or the new one, whole, and sync to the new one.
"""

import asyncio
import random
import signal
from itertools import pairwise

import pytest

from tests.faults.shim import Shim, What
from tests.faults.world import FIRST, NONE, SECOND, Shown, Visit, World, visit

pytestmark = pytest.mark.compiler
PAGES_EVERY = 16
"""Whole pages are asked for after every so many kills; the state after each."""


def versions(visits: list[Visit]) -> list[int]:
    return [one.before.version for one in visits]


@pytest.mark.fault(1, "before every change of an update")
def test_a_node_killed_before_any_change_of_an_update_has_the_old_or_the_new(
    world: World, shim: Shim
) -> None:
    whole = shim.run(world.copy(world.old, "whole"), "sync")
    assert whole.code == 0
    assert whole.count > 100
    visits = []
    for number in range(1, whole.count + 1):
        folder = world.copy(world.old, "killed")
        assert shim.run(folder, "sync", mode="kill", at=number).code == -signal.SIGKILL
        visits.append(asyncio.run(visit(folder, pages=number % PAGES_EVERY == 0)))
    assert all(one.before in (FIRST, SECOND) for one in visits), visits
    assert all(one.after == SECOND for one in visits), visits
    assert (visits[0].before, visits[-1].before) == (FIRST, SECOND)
    assert sum(a != b for a, b in pairwise(versions(visits))) == 1


@pytest.mark.fault(1, "in the middle of a write")
def test_a_write_that_was_cut_in_two_shows_nobody_a_mixture(world: World, shim: Shim) -> None:
    writes = frozenset({What.WRITE})
    whole = shim.run(world.copy(world.old, "whole"), "sync")
    count = sum(change.what is What.WRITE for change in whole.changes)
    for number in range(1, count + 1, 3):
        folder = world.copy(world.old, "killed")
        ran = shim.run(folder, "sync", mode="tear", at=number, kinds=writes)
        assert ran.code == -signal.SIGKILL
        seen = asyncio.run(visit(folder))
        assert seen.before in (FIRST, SECOND), number
        assert seen.after == SECOND, number


@pytest.mark.fault(1, "in the first sync of a new folder")
def test_a_node_killed_in_its_first_sync_has_nothing_or_all(world: World, shim: Shim) -> None:
    world_new = world.copy(world.new, "whole")
    whole = shim.run(world_new, "sync")
    for number in range(1, whole.count + 1, 7):
        folder = world.copy(world.new, "killed")
        assert shim.run(folder, "sync", mode="kill", at=number).code == -signal.SIGKILL
        seen = asyncio.run(visit(folder))
        assert seen.before in (NONE, FIRST), number
        assert seen.after == FIRST, number


@pytest.mark.fault(1, "in a rollback")
def test_a_node_killed_in_a_rollback_shows_one_of_the_two(world: World, shim: Shim) -> None:
    both = world.copy(world.old, "both")
    assert shim.run(both, "sync").code == 0
    whole = shim.run(world.copy(both, "whole"), "rollback")
    seen: list[Shown] = []
    for number in range(1, whole.count + 1, 3):
        folder = world.copy(both, "killed")
        assert shim.run(folder, "rollback", mode="kill", at=number).code == -signal.SIGKILL
        seen.append(asyncio.run(visit(folder, sync=False)).before)
    assert {one.version for one in seen} == {1, 2}
    assert all(one in (FIRST, SECOND) for one in seen)


@pytest.mark.fault(3, "a loop of kills at random times, 85 in 100")
def test_a_loop_of_kills_at_random_times_ends_with_the_new_version(
    world: World, shim: Shim
) -> None:
    """As a reboot loop on a machine: most tries are cut off, what they did stays."""
    chance = random.Random("reboots")
    count = shim.run(world.copy(world.old, "whole"), "sync").count
    for _ in range(6):
        folder = world.copy(world.old, "killed")
        for _ in range(15):
            cut = chance.random() < 0.85
            at = chance.randint(1, int(count * 1.1))
            ran = shim.run(folder, "sync", mode="kill" if cut else "watch", at=at)
            assert ran.code in (0, -signal.SIGKILL)
            seen = asyncio.run(visit(folder, sync=False)).before
            assert seen in (FIRST, SECOND)
            if seen == SECOND and ran.code == 0:
                break
        assert asyncio.run(visit(folder, pages=True)).after == SECOND
