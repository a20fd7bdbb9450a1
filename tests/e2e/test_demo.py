"""`make demo ARGS=--once`: every step of the story, checked by what a person would see."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import DEMO_SECONDS, command


@pytest.mark.slow
def test_a_lesson_goes_from_the_city_to_the_village_and_back_comes_a_metric(
    root: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        command(root, tmp_path / "data", "--once"),
        capture_output=True, text=True, timeout=DEMO_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout


def test_the_demo_does_not_empty_a_folder_that_it_did_not_make(root: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    done = subprocess.run(
        command(root, tmp_path, "--once"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "not a demo's" in done.stdout
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "precious"
