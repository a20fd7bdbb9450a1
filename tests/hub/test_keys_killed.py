"""The power goes while `keys create` runs: there is no set of keys, or a whole one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sync import keys
from sync.errors import SettingsError


@pytest.fixture(scope="module")
def told(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What was left, in order of when it was killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hub.killed_keys", str(tmp_path_factory.mktemp("keys"))],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("offline", "whole"), [(0, [4]), (2, [3, 1, 1])])
def test_every_place_has_no_keys_or_all_of_its_keys(
    told: list[dict[str, Any]], offline: int, whole: list[int]
) -> None:
    here = [one for one in told if one["offline"] == offline]
    assert sum(one["killed"] for one in here) == len(here) - 1 >= 7
    for one in here:
        for found, wanted in zip(one["sets"], whole, strict=True):
            assert found in (0, wanted)
        assert not one["rooted"] or one["sets"] == whole


def test_the_next_create_finishes_with_one_whole_set_and_leaves_nothing_behind(
    told: list[dict[str, Any]],
) -> None:
    for one in told:
        assert one["named"]
        assert one["left"] == []
        assert one["after"] == ([3, 1, 1] if one["offline"] else [4])


def test_a_set_does_not_move_in_with_strangers(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "notes.txt").touch()
    with pytest.raises(SettingsError) as caught:
        keys.create(tmp_path / "keys")
    assert "empty" in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["keys"]
