"""The benchmarks run, prove what they measured, and print the keys that others read."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import (
    delta,
    epub,
    fleet,
    histories,
    lessons,
    model_delta,
    model_switch,
    models,
    peers,
    resume,
    trees,
)

WINDOW = {"total", "peers", "decode_rss_mb", "verified"}


def test_a_window_is_measured_and_every_object_of_it_compared() -> None:
    found = delta.measure(*histories.sample("week"), None)
    assert set(found) > WINDOW
    assert set(found["peers"]) == {"xdelta3", "bsdiff", "git_thin", "zstd_patch", "rsync", "whole"}
    assert found["verified"]
    assert found["total"] == found["header"] + found["groups"] + found["trust"]
    assert found["decode_rss_mb"] > 0


def test_peers_are_measured_when_they_are_installed(tmp_path: Path) -> None:
    old, new = histories.sample("restruct")
    found = peers.measure(old, new, tmp_path, 60)
    tools = {"git_thin": "git", "zstd_patch": "zstd", "whole": "zstd"}
    for name, size in found.items():
        assert (size is None) == (shutil.which(tools.get(name, name)) is None)
        assert size is None or 0 < size < 200_000


def test_a_peer_that_is_out_of_time_counts_as_missing(tmp_path: Path) -> None:
    old, new = histories.sample("year")
    assert set(peers.measure(old, new, tmp_path, 0.0001).values()) == {None}


def test_lessons_are_counted_beside_a_first_installation() -> None:
    found = lessons.measure(30, 2)
    assert {"total", "full"} <= set(found)
    assert found["verified"]
    assert found["total"] < found["full"]


def test_an_edited_book_costs_what_its_edited_chapters_cost() -> None:
    """Ours with everything, the others without the head that they need too."""
    found = epub.measure(*histories.sample("week"))
    assert found["verified"]
    assert found["changed"] < 10 < found["members"]
    assert found["bundle"] < found["stored"] < found["patch"] < found["deflated"]
    assert found["bundle"] < found["full"] / 10


def test_models_are_counted_by_case() -> None:
    found = model_delta.measure(models.cases(0.01), ())
    assert {"retrained", "finetuned", "sparse"} <= set(found)
    assert found["verified"]
    assert found["sparse"] < found["size"] / 4


def test_a_resumed_download_is_whole_and_its_extra_bytes_are_counted() -> None:
    found = asyncio.run(resume.measure(150_000, 4))
    assert {"cuts", "extra_percent"} <= set(found)
    assert found["cuts"] == 4
    assert found["verified"]
    assert found["bytes_down"] >= found["bundle"]


def test_a_fleet_costs_no_more_deltas_than_objects_changed() -> None:
    found = fleet.measure(20, 3)
    assert {"nodes", "cpu_seconds_per_node", "stored_deltas", "object_changes"} <= set(found)
    assert found["nodes"] == 20
    assert 0 < found["stored_deltas"] <= found["object_changes"]


def test_the_last_line_is_one_json_object(tmp_path: Path, root: Path) -> None:
    old, new = histories.sample("quarter")
    tar = trees.write_tar(old, tmp_path / "old.tar")
    folder = trees.write_folder(new, tmp_path / "new")
    command = [sys.executable, "-m", "tests.bench.delta", "--quick", "--no-peers"]
    said = subprocess.run(
        [*command, "--old", str(tar), "--new", str(folder)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(root)},
    ).stdout  # fmt: skip
    assert json.loads(said.splitlines()[-1])["windows"]["given"]["verified"]


def test_windows_are_read_from_a_folder_of_tars(tmp_path: Path) -> None:
    old, new = histories.sample("week")
    trees.write_tar(old, tmp_path / "week-v1.tar")
    trees.write_tar(new, tmp_path / "week-v2.tar")
    assert list(delta.windows(tmp_path, ["week"], None, None)) == [("week", old, new)]


def test_names_that_no_channel_may_have_are_escaped(tmp_path: Path) -> None:
    odd = {"a:b.txt": b"1", "A.txt": b"2", "a.txt": b"3", "x ": b"4", "pa/.. /p": b"5", "n\n": b"6"}
    tree = trees.load(trees.write_tar(odd, tmp_path / "odd.tar"))
    assert sorted(tree.values()) == sorted(odd.values())
    assert len(trees.version(tree).entries) == 6


def test_a_tree_that_is_cut_keeps_what_changed() -> None:
    old, new = histories.sample("quarter")
    short_old, short_new = trees.trimmed(old, new, 100_000)
    assert sum(map(len, short_new.values())) <= 100_000
    assert set(trees.changed(short_old, short_new)) == set(trees.changed(old, new))


@pytest.mark.parametrize("name", ["delta", "lessons", "epub", "model_delta", "resume", "fleet"])
def test_every_benchmark_says_how_it_is_run(name: str, root: Path) -> None:
    text = (root / "tests" / "bench" / f"{name}.py").read_text(encoding="utf-8")
    assert re.search(rf"python -m tests\.bench\.{name} \S*\[?--", text)


def test_a_change_of_models_is_measured_with_answers_being_written() -> None:
    found = model_switch.measure()
    assert 0 < found["delta"] < found["whole"] / 4
    assert found["selftest"]["peak_mb"] > 0
    assert found["beside"]["silent_seconds"] == 0
    for way in ("beside", "in_turn"):
        assert found[way]["answers_finished"] == found[way]["answers"]
        assert found[way]["disk_bytes"] < found["size"] / 100
