"""Delta: bytes from one version of a catalogue to the next, ours and those of six tools.

    python -m tests.bench.delta [--quick] --data DIR [--windows week,year]
    python -m tests.bench.delta [--quick] --old TREE --new TREE

* DIR holds WINDOW-v1.tar and WINDOW-v2.tar; TREE is a folder or a tar. Without either, the
  sample library is edited a little (week) to thoroughly (restruct): for a look, no history.
* `total` is all that travels: the bundle (header, manifest delta, groups) and the signed head.
* `encode_cold_s` and `encode_warm_s` are seconds of CPU, without and with kept scripts.
* `--quick` cuts every tree to 2 MB, what changed first.
"""

import sys
import tempfile
from argparse import BooleanOptionalAction
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.scripts import Scripts
from sync import keys
from sync.bundle import BundleReader, BundleWriter
from sync.head import head_to_bytes, pack_head
from sync.manifest import Manifest
from sync.signing import Publisher
from tests.bench import histories, peers, trees, unpack
from tests.bench.report import Stopwatch, finish, options, say
from tests.bench.trees import Tree

WINDOWS = ("week", "quarter", "year", "restruct")
QUICK_BYTES = 2_000_000
PEER_SECONDS, QUICK_PEER_SECONDS = 600.0, 10.0
NOW = 1_790_000_000.0

Window = tuple[str, Tree, Tree]


def main(arguments: list[str]) -> None:
    """Measures every window, prints the report."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder of WINDOW-v1.tar and WINDOW-v2.tar")
    parser.add_argument("--windows", default=",".join(WINDOWS), help="which, with commas")
    parser.add_argument("--old", type=Path, help="any tree: a folder or a tar")
    parser.add_argument("--new", type=Path, help="the tree that came of it")
    parser.add_argument(
        "--peers", action=BooleanOptionalAction, default=True, help="run the other tools"
    )
    chosen = parser.parse_args(arguments)
    if (chosen.old is None) != (chosen.new is None):
        parser.error("--old and --new go together")
    result: dict[str, Any] = {"windows": {}}
    for name, old, new in windows(chosen.data, chosen.windows.split(","), chosen.old, chosen.new):
        if chosen.quick:
            old, new = trees.trimmed(old, new, QUICK_BYTES)
        say(f"{name}: {len(new)} files, {sum(map(len, new.values())):,} bytes")
        seconds = QUICK_PEER_SECONDS if chosen.quick else PEER_SECONDS
        result["windows"][name] = measure(old, new, seconds if chosen.peers else None)
    finish(result)


def windows(
    data: Path | None, names: list[str], old: Path | None, new: Path | None
) -> Iterator[Window]:
    """The pairs of trees that were asked for."""
    if old and new:
        yield "given", trees.load(old), trees.load(new)
        return
    for name in names:
        if data:
            pair = (data / f"{name}-v{n}.tar" for n in (1, 2))
            yield name, *(trees.load(path) for path in pair)  # type: ignore[misc]
        else:
            yield name, *histories.sample(name)


def measure(old: Tree, new: Tree, seconds: float | None) -> dict[str, Any]:
    """One window: our bytes, proof that they lead to `new`, and the peers (None: none)."""
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as name:
        folder = Path(name)
        ours = _ours(old, new, folder)
        (folder / "peers").mkdir()
        theirs = (
            dict.fromkeys(peers.NAMES)
            if seconds is None
            else peers.measure(old, new, folder / "peers", seconds)
        )
    least = min((size for size in theirs.values() if size), default=None)
    ratio = round(ours["total"] / least, 4) if least else None
    return {**ours, "peers": theirs, "of_best_peer": ratio}


def _ours(old: Tree, new: Tree, folder: Path) -> dict[str, Any]:
    base, target = trees.version(old), trees.version(new)
    read = trees.objects(old, new)
    trees.store(folder / "objects", old, new)
    scripts = Scripts(folder / "scripts.db")
    spent, bundles = [], []
    for _ in range(2):
        watch = Stopwatch()
        with scripts.memory() as memory:
            writer = BundleWriter(base, target, read.__getitem__, memory=memory)
            bundles.append(writer.write())
        spent.append(watch.read())
    header = BundleReader(bundles[0], base).header
    groups = sum(group.length for group in header.groups)
    trust = trust_bytes(base, target, folder / "keys")
    say(f"  ours: {len(bundles[0]) + trust:,}, {spent[0]} s, then {spent[1]} s")
    found = unpack.run(folder, bundles[0], base, target)
    return {
        "total": len(bundles[0]) + trust,
        "groups": groups,
        "header": len(bundles[0]) - groups,
        "trust": trust,
        "codecs": [group.codec for group in header.groups],
        "encode_cold_s": spent[0],
        "encode_warm_s": spent[1],
        "decode_s": found["cpu_seconds"],
        "decode_rss_mb": found["rss_mb"],
        "verified": found["verified"] and bundles[0] == bundles[1],
    }


def trust_bytes(base: Manifest, target: Manifest, folder: Path) -> int:
    """Bytes of the signed head of `target`, as a node that trusts `base` is sent it."""
    keys.create(folder)
    signing = Publisher(folder)
    signing.create_root(NOW)
    before = signing.sign_head(base.channel, 1, base, NOW, None, 90)
    after = signing.sign_head(target.channel, 2, target, NOW + 86_400, before, 90)
    return len(pack_head(head_to_bytes(after)))


if __name__ == "__main__":
    main(sys.argv[1:])
