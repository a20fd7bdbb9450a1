"""A real hub, a real node and a data allowance: the first lessons today, the rest when there is
more; and what the node says of it."""

import json
import time
from pathlib import Path

from click.testing import CliRunner

from hub.publisher import GRADES
from node import app
from node.cli import main
from node.config import load
from sync.canonical import digest
from sync.lesson import Lesson
from tests.hub.fakes import Clock, a_lesson
from tests.hub_web.world import World

LESSONS = 9
BLOCKS, WORDS = 5, 220


def long_lesson(number: int) -> Lesson:
    """A lesson of some 35 kB packed, each of another grade, the last the most urgent."""
    body = [
        " ".join(digest(f"{number} {block} {word}".encode()) for word in range(WORDS))
        for block in range(BLOCKS)
    ]
    return a_lesson(
        f"larga-{number:02}", title=f"Larga {number}", body=tuple(body), grade=GRADES[-number - 1]
    )


def settings(folder: Path, hub: str, megabytes: float) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f'[node]\nid = "ocongate"\ndata = "data"\nkeep_free_megabytes = 0\n'
        f'[sync]\nhub = "{hub}"\n[tutor]\nenabled = false\n'
        f"[link]\nkilobits_per_second = 32\nmegabytes_per_day = {megabytes}\n"
        "cost_per_megabyte = 10\n",
        encoding="utf-8",
    )
    return path


async def test_a_node_with_little_data_shows_the_most_urgent_lessons_first(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "node").mkdir()
    world = World(tmp_path / "hub", Clock(time.time()))
    for number in range(LESSONS):
        world.hub.write(long_lesson(number))
    world.publish()
    (tmp_path / "node" / "root.json").write_bytes(world.hub.shelf.root(1) or b"")
    async with world.served() as client:
        hub = str(client.make_url("/")).rstrip("/")
        config = load(settings(tmp_path / "node", hub, 0.25), {})
        async with app.build(config, model=False) as node:
            seen = await node.services.delivery.look()
            assert (seen.added, seen.installed) == (LESSONS + 1, 0)
            assert 0 < seen.now_lessons < seen.added
            assert seen.now_size <= 250_000 < seen.size
            assert seen.cost == seen.size / 1e5
            first = await node.updater.sync()
            assert (first.kind, first.to_version) == ("partial", 0)
            assert first.bytes_down < 250_000
            installed = node.store.installed()
            assert installed is not None
            assert installed.part is not None
            shown = {card.id for card in node.services.library.lessons("matematica", "es")}
            assert 1 < len(shown) < LESSONS
            urgent = [f"larga-{number:02}" for number in reversed(range(LESSONS))]
            assert shown - {"sumar"} == set(urgent[: len(shown - {"sumar"})])
        told = CliRunner().invoke(
            main, ["--config", str(tmp_path / "node" / "node.toml"), "status", "--json"]
        )
        assert json.loads(told.stdout)["missing_lessons"] == LESSONS + 1 - len(shown)
        config = load(settings(tmp_path / "node", hub, 10), {})
        async with app.build(config, model=False) as node:
            second = await node.updater.sync()
            assert (second.kind, second.to_version) == ("updated", 1)
            assert second.bytes_down < first.full_size - first.bytes_down / 2
            assert node.store.lessons() == LESSONS + 1
    world.close()
