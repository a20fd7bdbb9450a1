"""Model switch: what a new model costs on the way, on the disk, in memory and in answers.

    python -m tests.bench.model_switch [--quick]

* The shipped tutor and the same trained further: 30 % of the int8 weights of 10 matrices went up
  or down by one. Real bundle, real self-test in its process, real engines.
* `delta`, `whole`: bytes of the bundle from the version before, and from nothing.
* `silent_seconds`: for how long nobody could be asked; `beside`: there was memory for two models,
  `in_turn`: there was not. `selftest.peak_mb`: memory of the process that tried it.
* `disk_bytes`: by how much the copy made the data folder larger.
"""

import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from models.engine import Sampling
from models.examiner import Examiner
from models.selftest import measure as measure_selftest
from models.selftest import to_bytes
from models.store import MODEL, SELFTEST, unlocked
from node.config import SHIPPED_MODELS
from sync.bundle import BundleWriter
from sync.modelfiles import model_path
from tests.bench import trees
from tests.bench.report import finish, options, say
from tests.node.thinker import Thinker, carry

NAME = "tutor-es-small"
MATRICES = 10
SHARE = 0.3
TICK = 0.002


def main(arguments: list[str]) -> None:
    """Measures, prints the report."""
    options(__doc__ or "").parse_args(arguments)
    finish(measure())


def measure() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as text:
        home = Path(text)
        old = SHIPPED_MODELS / NAME
        new = finetuned(old, home / "new" / NAME)
        result = _way(old, new) | {"selftest": _tried(new)}
        for name, memory in (("beside", None), ("in_turn", 0)):
            result[name] = _changed(home / name, new, memory)
            say(f"{name}: {result[name]}")
        return result


def finetuned(old: Path, folder: Path) -> Path:
    """The model in `old` a little further, in `folder`."""
    shutil.copytree(old, folder)
    random = np.random.default_rng(5)
    model = onnx.load(folder / MODEL)
    matrices = [t for t in model.graph.initializer if numpy_helper.to_array(t).dtype == np.uint8]
    for place in random.choice(len(matrices), min(MATRICES, len(matrices)), replace=False):
        array = numpy_helper.to_array(matrices[place]).astype(int)
        moved = (random.random(array.shape) < SHARE) * random.choice([-1, 1], array.shape)
        nudged = np.clip(array + moved, 0, 255).astype(np.uint8)
        matrices[place].CopyFrom(numpy_helper.from_array(nudged, matrices[place].name))
    onnx.save(model, folder / MODEL)
    (folder / SELFTEST).write_bytes(to_bytes(measure_selftest(unlocked(folder), 2)))
    return folder


def _way(old: Path, new: Path) -> dict[str, Any]:
    before, after = (
        {model_path(NAME, f.name): f.read_bytes() for f in folder.iterdir()}
        for folder in (old, new)
    )
    base, target = trees.version(before), trees.version(after)
    read = trees.objects(before, after).__getitem__
    delta = len(BundleWriter(base, target, read).write())
    whole = len(BundleWriter(None, target, read).write())
    size = sum(map(len, after.values()))
    say(f"delta {delta:,} of {size:,} bytes; whole {whole:,}")
    return {"size": size, "delta": delta, "whole": whole}


def _tried(folder: Path) -> dict[str, Any]:
    began = time.monotonic()
    report = Examiner(threads=2).examine(folder)
    assert report
    assert report.passed, report.detail
    return {
        "seconds": round(time.monotonic() - began, 3),
        "peak_mb": round(report.peak_bytes / 1e6, 1),
    }


def _changed(home: Path, new: Path, memory: int | None) -> dict[str, Any]:
    """One change of models while answers are being written."""
    home.mkdir()
    node = Thinker(home, SHIPPED_MODELS, NAME, memory=memory)
    node.switch.start()
    carry(node.place, 1, new)
    before = _disk(home)
    with node.seat.lend() as engine:
        assert engine
        streams = [engine.submit("El agua", Sampling(max_tokens=60)) for _ in range(2)]
    silent, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(TICK):
            silent[0] += TICK if node.seat.engine is None else 0.0

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    node.switch.look()
    seconds = time.monotonic() - began
    done.set()
    watcher.join()
    finished = sum(stream.completion().reason in ("end", "length", "stop") for stream in streams)
    assert node.version == unlocked(new).version, "it did not switch"
    grown = _disk(home) - before
    node.close()
    return {
        "seconds": round(seconds, 3),
        "silent_seconds": round(silent[0], 3),
        "answers_finished": finished,
        "answers": len(streams),
        "disk_bytes": grown,
    }


def _disk(folder: Path) -> int:
    """Bytes that the files in `folder` take, each once however many names it has."""
    seen = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        if path.is_file() and "node.db" not in path.name:
            seen[stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())


if __name__ == "__main__":
    main(sys.argv[1:])
