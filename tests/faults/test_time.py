"""Time: a head that is frozen until it expires, and clocks that jump while a node syncs."""

import shutil
import time
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from node import app
from node.config import load
from node.portal.app import build_portal
from sync.head import head_to_bytes
from sync.transport.directory import DirectoryWriter
from tests.faults.world import OLD, lessons
from tests.node.city import CHANNEL, City
from tests.node.stick import fill, settings
from tests.node.test_updater import DAY, Bench, bench, library

__all__ = ["bench"]  # the fixture
EXPIRED = "Lo que muestra la ciudad ya venció"


class Frozen:
    """A node that has version 1, and a city whose head for version 2 had expired."""

    def __init__(self, folder: Path) -> None:
        self.city = City(folder / "city", time.time() - 40 * DAY)
        self.city.publish(lessons(OLD))
        self.folder = folder / "node"
        self.config = settings(self.folder, self.city)
        fill(self.folder / "stick", self.city)

    def renew(self, now: float, days: float) -> None:
        """The city signs again at `now`, for so many days."""
        self.city.now = now
        self.city.sign(days)
        assert self.city.signed
        DirectoryWriter(self.folder / "stick").put_head(CHANNEL, head_to_bytes(self.city.signed))


@pytest.fixture
def frozen(tmp_path: Path) -> Frozen:
    return Frozen(tmp_path)


async def look(node: app.Node) -> tuple[str, str, str, dict[str, bool]]:
    """The health page, the figures, a lesson, and what programs are told."""
    async with TestClient(TestServer(build_portal(node.services))) as visitor:
        texts = []
        for path in ("/salud", "/metrics", "/leccion/leccion-0/es"):
            async with visitor.get(path, headers={"Accept-Language": "es"}) as answer:
                assert answer.status == 200
                texts.append(await answer.text())
        async with visitor.get("/api/status") as answer:
            return texts[0], texts[1], texts[2], (await answer.json())["alarms"]


@pytest.mark.fault(7, "lessons are served on")
@pytest.mark.fault(7, "an alarm on the health page and in the metrics")
async def test_a_head_that_has_expired_raises_an_alarm_and_takes_no_lesson_away(
    frozen: Frozen,
) -> None:
    async with app.build(load(frozen.config, {}), model=False) as node:
        assert (await node.updater.sync()).kind == "updated"
        held = sorted(node.blobs.digests())
        quiet = await look(node)
        assert EXPIRED not in quiet[0]
        assert "chaski_node_head_expired 0.0" in quiet[1]

        frozen.renew(time.time() - 20 * DAY, days=10)
        for _ in range(3):
            outcome = await node.updater.sync()
            assert (outcome.kind, outcome.rule) == ("refused", "expired")
    async with app.build(load(frozen.config, {}), model=False) as node:  # also after a restart
        health, figures, page, told = await look(node)
        assert EXPIRED in health
        assert "chaski_node_head_expired 1.0" in figures
        assert told == {"head_expired": True, "read_only": False}
        assert OLD in page
        assert sorted(node.blobs.digests()) == held

        shutil.move(frozen.folder / "stick", frozen.folder / "away")
        assert (await node.updater.sync()).kind == "unreachable"
        assert (await look(node))[3]["head_expired"]  # a dead link does not silence it
        shutil.move(frozen.folder / "away", frozen.folder / "stick")

        frozen.renew(time.time(), days=10)
        assert (await node.updater.sync()).kind in ("updated", "current")
        assert EXPIRED not in (await look(node))[0]


@pytest.mark.fault(14, "back in the middle of an update")
@pytest.mark.parametrize("step", ["head", "judge", "offer", "chunk", "object", "lessons", "commit"])
@pytest.mark.parametrize("years", [-50, -0.01, 10])
async def test_a_clock_that_jumps_in_the_middle_of_an_update_loses_nothing(
    bench: Bench, step: str, years: float
) -> None:
    bench.city.publish(library("Uno."))
    await bench.updater.sync()
    before = bench.place.store.trust()
    bench.city.publish(library("Dos."))

    def jump(name: str) -> None:
        if name == step:
            bench.wall = max(bench.wall + years * 365 * DAY, 0.0)

    bench.step = jump
    outcome = await bench.updater.sync()
    after = bench.place.store.trust()
    assert before
    assert after
    late = years > 0 and step in ("head", "judge")  # both come before the judgement
    assert (outcome.kind, bench.version) == (("refused", 1) if late else ("updated", 2))
    assert after.floors.signed_at >= before.floors.signed_at
    assert after.floors.timestamp >= before.floors.timestamp
    assert bench.clock.now() >= after.floors.signed_at


@pytest.mark.fault(14, "ten years ahead")
async def test_a_clock_ten_years_ahead_keeps_the_lessons_and_is_forgiven(bench: Bench) -> None:
    bench.city.publish(library("Uno."))
    await bench.updater.sync()
    right = bench.wall
    bench.wall = right + 3650 * DAY
    bench.restart()
    bench.city.publish(library("Dos."))
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.rule, bench.version) == ("refused", "expired", 1)
    assert bench.text().endswith("Uno.")
    bench.wall = right
    bench.restart()
    assert (await bench.updater.sync()).kind == "updated"
