"""Power that fails at any step of a change of models: the old one answers or the new one, and the
next start ends with the new one."""

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from models.engine import Sampling
from models.store import unlocked
from tests.models import editions
from tests.node.thinker import Thinker, carry, ship


def life(root: Path, data: Path, shipped: Path, where: str) -> int:
    """How many steps it took; -1 when it was killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.node.model_crash", str(data), str(shipped), where],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr
    return int(done.stdout) if done.returncode == 0 else -1


@pytest.mark.slow
def test_power_that_fails_at_any_step_leaves_the_old_model_or_the_new_one(
    root: Path, tmp_path: Path
) -> None:
    old = ship(tmp_path / "shipped", editions.decoder(tmp_path / "0", seed=3))
    new = editions.decoder(tmp_path / "1")
    versions = {unlocked(old / new.name).version: "old", unlocked(new).version: "new"}
    before = tmp_path / "before"
    before.mkdir()
    world = Thinker(before, old)
    carry(world.place, 1, new)
    world.close()
    steps = life(root, shutil.copytree(before, tmp_path / "whole"), old, "0")
    assert steps > 12
    found = []
    for number in range(1, steps + 1):
        data = shutil.copytree(before, tmp_path / f"cut{number}")
        assert life(root, data, old, str(number)) == -1
        after = Thinker(data, old)
        after.switch.start()
        found.append(versions[after.version])
        assert after.seat.engine
        assert after.seat.engine.generate("El agua", Sampling(max_tokens=2)).tokens
        after.switch.look()
        after.switch.look()
        assert versions[after.version] == "new", number
        assert after.kept == {after.edition(new).id}, number
        after.close()
    assert found[0] == "old"
    assert found[-1] == "new"
    assert sum(a != b for a, b in pairwise(found)) == 1


def test_a_test_that_was_cut_off_is_begun_again_but_not_for_ever(
    root: Path, tmp_path: Path
) -> None:
    """As when the model fells the machine each time it is tried."""
    old = ship(tmp_path / "shipped", editions.decoder(tmp_path / "0", seed=3))
    data = tmp_path / "data"
    data.mkdir()
    world = Thinker(data, old)
    carry(world.place, 1, editions.decoder(tmp_path / "1"))
    world.close()
    for _ in range(3):
        assert life(root, data, old, "test") == -1
    assert life(root, data, old, "test") > 0
    after = Thinker(data, old)
    after.switch.start()
    last = after.switch.status().last
    assert last
    assert (last.kind, last.why) == ("refused", "crash")
    after.close()
