"""Unpack: a process that decodes one bundle as a node does, and says what that took.

    python -m tests.bench.unpack BUNDLE BASE_MANIFEST TARGET_MANIFEST OBJECTS

* The bundle is read from its file, bases from an object store, and objects put there, group
  after group; those that are there already are compared, not written.
* Every object is hashed, and the manifest that comes out compared with the one published.
* Its last line is JSON: `verified`, `objects`, `rss_mb` (peak of this process, with its
  interpreter) and `cpu_seconds`.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

from sync import manifest as manifests
from sync.bundle import BundleReader
from sync.files import ObjectStore
from sync.manifest import Manifest


class Unpacked(TypedDict):
    """What the process says."""

    verified: bool
    objects: int
    rss_mb: float
    cpu_seconds: float


def run(folder: Path, bundle: bytes, base: Manifest | None, target: Manifest) -> Unpacked:
    """Decodes `bundle` in another process; `folder/objects` has the objects of both versions."""
    (folder / "bundle").write_bytes(bundle)
    (folder / "base.json").write_bytes(manifests.to_bytes(base) if base else b"")
    (folder / "target.json").write_bytes(manifests.to_bytes(target))
    names = [str(folder / name) for name in ("bundle", "base.json", "target.json", "objects")]
    made = subprocess.run(
        [sys.executable, "-m", "tests.bench.unpack", *names], stdout=subprocess.PIPE, check=True
    )
    found: Unpacked = json.loads(made.stdout.splitlines()[-1])
    return found


def peak_mb() -> float:
    """Peak resident memory of this process, in MB. (ru_maxrss would count its parent's.)"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0


def main(bundle: Path, base_path: Path, target_path: Path, objects: Path) -> None:
    """Decodes, compares, reports."""
    text = base_path.read_bytes()
    base = manifests.from_bytes(text) if text else None
    store = ObjectStore(objects)
    count, sound = 0, True
    started = time.process_time()
    reader = BundleReader(bundle, base)
    for entry in reader.pour(store):
        sound = sound and store.path(entry.hash).stat().st_size == entry.size
        count += 1
    made = reader.target_manifest()
    spent, peak = time.process_time() - started, peak_mb()
    sound = sound and manifests.to_bytes(made) == target_path.read_bytes()
    result = Unpacked(verified=sound, objects=count, rss_mb=peak, cpu_seconds=round(spent, 3))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
