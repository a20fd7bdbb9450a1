"""A node that is killed while it applies an update: the next start sees the old version or the
new one, never a mixture, and the next sync ends with the new one."""

import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.node.crash import NEW, OLD

OLD_STATE = {
    "version": 1, "root": True, "texts": [OLD], "new": 0, "searched": [OLD], "whole": True,
}  # fmt: skip
NEW_STATE = {
    "version": 2, "root": True, "texts": [NEW], "new": 3, "searched": [NEW], "whole": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def told(root: Path) -> list[dict[str, Any]]:
    """What every killed node left, in order of when it was killed."""
    # In memory where there is such a folder: a killed process loses nothing there either, and
    # some hundred installs do not wait for the disk.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        done = subprocess.run(
            [sys.executable, "-m", "tests.node.crash", home],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.fault(1, "at every step and statement")
@pytest.mark.parametrize("kind", ["step", "statement"])
def test_a_killed_node_has_the_old_version_or_the_new_one(
    told: list[dict[str, Any]], kind: str
) -> None:
    states = [one["first"] for one in told if one["kind"] == kind]
    assert len(states) > 10
    assert states[0] == OLD_STATE
    assert states[-1] == NEW_STATE
    assert all(state in (OLD_STATE, NEW_STATE) for state in states)
    assert sum(a != b for a, b in pairwise(states)) == 1


@pytest.mark.parametrize("kind", ["slow step", "slow statement"])
def test_a_node_killed_between_instalments_has_each_lesson_whole_and_loses_none(
    told: list[dict[str, Any]], kind: str
) -> None:
    states = [one["first"] for one in told if one["kind"] == kind]
    assert len(states) > 10
    assert (states[0], states[-1]) == (OLD_STATE, NEW_STATE)
    parts = [s for s in states if s not in (OLD_STATE, NEW_STATE)]
    assert parts
    for state in parts:
        assert (state["version"], state["root"], state["whole"]) == (2, True, True)
        assert state["texts"] == state["searched"] == sorted([OLD, NEW])
    new = [state["new"] for state in states]
    assert new == sorted(new)
    assert set(new) == {0, 1, 2, 3}


def test_the_next_sync_after_a_kill_ends_with_the_new_version(told: list[dict[str, Any]]) -> None:
    assert {one["again"] for one in told} == {"updated", "current"}
    assert all(one["then"] == NEW_STATE for one in told)
