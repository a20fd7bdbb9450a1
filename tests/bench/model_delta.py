"""Model delta: what an update of a model costs, retrained, fine-tuned or nudged.

    python -m tests.bench.model_delta [--quick]

* A synthetic model of 100 int8 tensors, 9.73 MB. `retrained`: 10 tensors are new;
  `finetuned`: 30 % of the entries of 10 tensors went up or down by one; `sparse`: 2 % of all
  entries did. Bytes of the whole bundle.
* `peers` are those of the delta benchmark that are worth a look here.
* `--quick` leaves bsdiff and git out and cuts nothing: the aims are about this size.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from sync.bundle import BundleReader, BundleWriter
from sync.codec.raw import compress
from tests.bench import models, peers, trees, unpack
from tests.bench.report import Stopwatch, finish, options, say

QUICK = ("xdelta3",)
PEERS = ("xdelta3", "bsdiff", "zstd_patch")
PEER_SECONDS = 300.0


def main(arguments: list[str]) -> None:
    """Measures, prints the report."""
    chosen = options(__doc__ or "").parse_args(arguments)
    finish(measure(models.cases(), QUICK if chosen.quick else PEERS))


def measure(cases: dict[str, tuple[bytes, bytes]], names: tuple[str, ...]) -> dict[str, Any]:
    """Every case: our bytes under its name, details and peers beside."""
    result: dict[str, Any] = {"peers": {}, "codecs": {}, "decode": {}}
    for name, (before, after) in cases.items():
        old, new = {"model.safetensors": before}, {"model.safetensors": after}
        with tempfile.TemporaryDirectory(prefix="chaski-bench-") as text:
            folder = Path(text)
            bundle, seconds = _ours(old, new, folder, result, name)
            say(f"{name}: {bundle:,} of {len(after):,} in {seconds} s")
            (folder / "peers").mkdir()
            result["peers"][name] = peers.measure(old, new, folder / "peers", PEER_SECONDS, names)
        result[name] = bundle
        result["size"] = len(after)
        result["full"] = result.get("full") or len(compress(after))
    result["verified"] = all(found["verified"] for found in result["decode"].values())
    return result


def _ours(
    old: trees.Tree, new: trees.Tree, folder: Path, result: dict[str, Any], name: str
) -> tuple[int, float]:
    base, target = trees.version(old), trees.version(new)
    read = trees.objects(old, new)
    trees.store(folder / "objects", old, new)
    watch = Stopwatch()
    bundle = BundleWriter(base, target, read.__getitem__).write()
    seconds = watch.read()
    result["codecs"][name] = [group.codec for group in BundleReader(bundle, base).header.groups]
    result["decode"][name] = unpack.run(folder, bundle, base, target)
    return len(bundle), seconds


if __name__ == "__main__":
    main(sys.argv[1:])
