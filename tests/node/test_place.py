"""Where the road stands moves with what it led to, or not at all."""

from pathlib import Path

import pytest

from node.fetcher import Fetcher, Room
from node.meter import Meter
from node.outcome import Outcome
from node.telemetry.clock import Clock
from node.updater import SPARE_EVERY, Subscription, Updater
from node.worker import Worker
from sync.journal import Journal
from tests.node.city import CHANNEL, City
from tests.node.village import AT, lesson, village


class Journey:
    """A road's place, which the test moves."""

    def __init__(self) -> None:
        self.place: bytes | None = b"first"
        self.settled_at: list[bytes | None] = []
        self.rested = 0

    def settled(self) -> None:
        self.settled_at.append(self.place)

    async def rest(self) -> None:
        self.rested += 1


class Behind(Meter):
    """A road that goes on saying what it said once."""

    said = b""

    async def head(self, channel: str) -> bytes:
        return self.said


class Cut(Exception):  # noqa: N818 - it is no error of ours
    """The power went."""


async def test_the_place_moves_in_the_transaction_of_the_install_or_not_at_all(
    tmp_path: Path,
) -> None:
    (tmp_path / "village").mkdir()
    here, city, journey = village(tmp_path / "village"), City(tmp_path), Journey()
    cut_at = "commit"
    worker = Worker("test")

    def step(name: str) -> None:
        if name == cut_at:
            raise Cut

    updater = Updater(
        Subscription(CHANNEL, city.roots[0]), here.store, here.blobs, city,
        Fetcher(here.blobs, Journal(here.folder / "journal"), worker, Room(lambda: 10**12, 0)),
        worker, Clock(0.0, lambda: AT), journey=journey, step=step,
    )  # fmt: skip
    city.publish([lesson()])
    with pytest.raises(Cut):
        await updater.sync()
    assert (here.store.installed(), here.store.place()) == (None, None)
    assert journey.settled_at == []
    cut_at = ""
    assert (await updater.sync()).kind == "updated"
    assert here.store.place() == b"first"
    journey.place = b"second"
    assert (await updater.sync()).kind == "current"
    assert here.store.place() == b"second"
    assert journey.settled_at == [b"first", b"second"]
    city.down = True
    journey.place = b"third"
    assert (await updater.sync()).kind == "unreachable"
    assert here.store.place() == b"second"
    assert journey.rested == 4
    await updater.close()
    here.store.close()


@pytest.mark.fault(15, "missing")
async def test_a_road_without_news_for_long_is_checked_against_the_hub_itself(
    tmp_path: Path,
) -> None:
    (tmp_path / "village").mkdir()
    here, hub = village(tmp_path / "village"), City(tmp_path)
    hub.publish([lesson()])
    behind = Behind(hub)
    behind.said = await hub.head(CHANNEL)
    hub.publish([lesson(title="Otra")])
    worker = Worker("test")
    heard: list[Outcome] = []
    updater = Updater(
        Subscription(CHANNEL, hub.roots[0]), here.store, here.blobs, behind,
        Fetcher(here.blobs, Journal(here.folder / "journal"), worker, Room(lambda: 10**12, 0)),
        worker, Clock(0.0, lambda: AT), spare=hub, journey=Journey(), heard=heard.append,
    )  # fmt: skip
    for _ in range(SPARE_EVERY + 1):
        await updater.sync()
    kinds = [outcome.kind for outcome in heard]
    assert kinds == ["updated", *["current"] * (SPARE_EVERY - 1), "updated"]
    assert heard[-1].to_version == 2
    await updater.close()
    here.store.close()
