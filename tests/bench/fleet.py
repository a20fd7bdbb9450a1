"""Fleet: simulated nodes at mixed versions against one hub process.

    python -m tests.bench.fleet [--nodes 10000] [--quick]

* A hub publishes eleven versions, each with some lessons edited, without building anything
  ahead; then it is started as a process of its own, as an operator would.
* Every node has one of the ten older versions, or none, at random. It asks for head, offer
  and bundle over HTTP. Every node's first bundle of a kind is decoded and compared.
* `cpu_seconds_per_node`: of the hub process, with everything that it had to build.
  `stored_deltas`: edit scripts that it kept; `object_changes`: changes of an object between
  two versions that follow each other. `steps` has the same for a tenth and for all nodes.
"""

import asyncio
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hub.library import Library
from hub.scripts import Scripts
from hub.shelf import Shelf
from hub.stock import Stock
from sync import manifest as manifests
from sync.bundle import BundleReader, offer_from_bytes
from sync.canonical import Digest
from sync.manifest import Manifest, diff
from tests.bench import histories
from tests.bench.report import finish, options, say
from tests.hub.fakes import CHANNEL, Clock
from tests.hub.publishing import Hub

NODES, QUICK_NODES = 10_000, 400
VERSIONS = 11
AT_ONCE = 16
TICKS = 100.0
"""Of /proc, a second."""


def main(arguments: list[str]) -> None:
    """Measures, prints the report."""
    parser = options(__doc__ or "")
    parser.add_argument("--nodes", type=int, default=0, help=f"default {NODES}")
    chosen = parser.parse_args(arguments)
    nodes = chosen.nodes or (QUICK_NODES if chosen.quick else NODES)
    finish(measure(nodes, VERSIONS))


def measure(nodes: int, count: int) -> dict[str, Any]:
    """`nodes` nodes against a hub that published `count` versions."""
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as name:
        folder = Path(name)
        versions = publish(folder, count)
        changes = sum(len(diff(a, b).changed) for a, b in pairwise(versions))
        (folder / "hub.toml").write_text(
            f'[hub]\ndata = "{folder}"\n[server]\nport = 0\n[channel]\nid = "{CHANNEL.id}"\n'
        )
        steps = []
        with subprocess.Popen(
            [sys.executable, "-m", "hub.cli", "--config", str(folder / "hub.toml"), "serve"],
            stderr=subprocess.PIPE, text=True,
        ) as hub:  # fmt: skip
            try:
                url = _address(hub)
                idle, done = _cpu(hub.pid), 0
                for step in (max(nodes // 10, 1), nodes):
                    asyncio.run(_visit(url, versions, folder, range(done, step)))
                    done = step
                    spent = _cpu(hub.pid) - idle
                    kept = Scripts(folder / "published" / "scripts.db").count()
                    bundles = len(list((folder / "published" / "bundles").iterdir()))
                    steps.append(_step(step, spent, kept, bundles))
                    say(f"{steps[-1]}")
            finally:
                hub.terminate()
                hub.wait(30)
    last = steps[-1]
    return {**last, "object_changes": changes, "versions": count, "verified": True,
            "cpu_seconds_per_change": round(steps[0]["cpu_seconds"] / max(changes, 1), 5),
            "steps": steps}  # fmt: skip


def _step(nodes: int, seconds: float, kept: int, bundles: int) -> dict[str, Any]:
    return {
        "nodes": nodes, "cpu_seconds": round(seconds, 2),
        "cpu_seconds_per_node": round(seconds / nodes, 5),
        "stored_deltas": kept, "stored_bundles": bundles,
    }  # fmt: skip


def publish(folder: Path, count: int) -> list[Manifest]:
    """Publishes `count` versions of the sample library; their manifests."""
    chance = random.Random("fleet")
    vocabulary = ["mercado", "quebrada", "familia", "semilla", "camino", "puente", "lluvia"]
    clock = Clock()
    made = []
    with Library(folder / "hub.db") as library:
        hub = Hub(folder, library, clock, prebuilt=0)
        histories.carry_files(Stock(library, hub.shelf))
        lessons = histories.lessons()
        for number in range(count):
            edited = lessons if number == 0 else chance.sample(lessons, 6)
            for lesson in edited:
                block = chance.randrange(len(lesson.body))
                body = list(lesson.body)
                body[block] += f" {' '.join(chance.choices(vocabulary, k=3))} {number}."
                lessons[lessons.index(lesson)] = new = msgspec.structs.replace(
                    lesson, body=tuple(body)
                )
                hub.write(new)
            clock.now += 86_400
            root = hub.publisher().publish().root
            data = hub.shelf.manifest(root)
            assert data is not None
            made.append(manifests.from_bytes(data))
    return made


async def _visit(url: str, versions: list[Manifest], folder: Path, nodes: range) -> None:
    """Every node of `nodes` comes once, `AT_ONCE` of them at the same time."""
    chance = random.Random(nodes.start)
    bases = [chance.choice([None, *versions[:-1]]) for _ in nodes]
    shelf = Shelf(folder / "published")
    checked: Counter[Digest] = Counter()
    waiting = iter(bases)

    async def visitor(session: aiohttp.ClientSession) -> None:
        for base in waiting:
            data = await _sync(session, base, versions[-1], checked)
            if data:
                _verify(shelf, data, base, versions[-1])

    async with aiohttp.ClientSession(url) as session:
        await asyncio.gather(*(visitor(session) for _ in range(AT_ONCE)))


async def _sync(
    session: aiohttp.ClientSession, base: Manifest | None, target: Manifest, seen: Counter[Digest]
) -> bytes:
    """What one node asks for; the bundle when it is the first of its kind."""
    async with session.get(f"/v1/channels/{CHANNEL.id}/head") as answer:
        await answer.read()
    name = base.root if base else "none"
    async with session.get(f"/v1/channels/{CHANNEL.id}/bundles/{name}/{target.root}") as answer:
        offer = offer_from_bytes(await answer.read())
    wanted = {"Range": f"bytes=0-{offer.size - 1}", "If-Match": f'"{offer.bundle}"'}
    async with session.get(f"/v1/bundles/{offer.bundle}", headers=wanted) as answer:
        data = await answer.read()
    assert len(data) == offer.size
    seen[offer.bundle] += 1
    return data if seen[offer.bundle] == 1 else b""


def _verify(shelf: Shelf, data: bytes, base: Manifest | None, target: Manifest) -> None:
    def read(name: Digest) -> bytes:
        found = shelf.object(name)
        assert found is not None
        return found

    reader = BundleReader(data, base)
    for entry, content in reader.objects(read):
        assert content == read(entry.hash)
    assert reader.target_manifest() == target


def _address(hub: subprocess.Popen[str]) -> str:
    """Where the hub says that it serves."""
    assert hub.stderr is not None
    for line in hub.stderr:
        if found := re.search(r"serving at (http://[^, ]+)", line):
            return found.group(1)
    raise RuntimeError("the hub did not start")


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main(sys.argv[1:])
