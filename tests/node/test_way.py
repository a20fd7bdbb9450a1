"""The way of a node: Kafka first, under the same limits as the road beside it."""

from pathlib import Path

import aiohttp
import pytest

from node.config import KafkaTable, NodeConfig, NodeTable, SyncTable
from node.fetcher import Fetcher, Room
from node.road import limited
from node.telemetry.clock import Clock
from node.updater import Subscription, Updater
from node.way import Way, way
from node.worker import Worker
from sync.canonical import digest
from sync.errors import SettingsError, TransportError
from sync.journal import Journal
from sync.transport.limited import RateLimited
from sync.transport.windowed import ClosedError, minute_of_day
from tests.node.city import CHANNEL, City
from tests.node.test_place import Journey
from tests.node.test_road import HUB, at
from tests.node.village import AT, lesson, village

BROKER = "127.0.0.1:9"


async def made(sync: SyncTable, bootstrap: str = BROKER) -> Way:
    """The way of a node with these settings. It asked nobody."""
    node = NodeTable(id="nodo-1", data="data")
    config = NodeConfig(node=node, sync=sync, kafka=KafkaTable(bootstrap=bootstrap))
    async with aiohttp.ClientSession() as session:
        return way(config, session, None, lambda: AT)


@pytest.mark.parametrize("hub", ["", HUB])
async def test_outside_its_windows_a_node_asks_no_broker_either(hub: str) -> None:
    now = minute_of_day(AT)
    found = await made(SyncTable(hub=hub, windows=(f"{at(now + 60)}-{at(now + 120)}",)))
    with pytest.raises(ClosedError, match=f"opens at {at(now + 60)}"):
        await found.source.head(CHANNEL)
    with pytest.raises(ClosedError):
        await found.source.offer(CHANNEL, None, digest(b"next"))
    await found.close()


async def test_a_road_gives_no_more_than_its_share_of_the_link(tmp_path: Path) -> None:
    source = limited(SyncTable(kilobits_per_second=64), City(tmp_path))
    assert isinstance(source, RateLimited)


async def test_blocks_leave_over_a_network_that_may_be_the_broker_alone(tmp_path: Path) -> None:
    """Sticks then take copies: what waits is not lost with them."""
    folder = SyncTable(hub=str(tmp_path))
    found = [await made(SyncTable()), await made(folder), await made(folder, ""),
             await made(SyncTable(), ""), await made(SyncTable(hub=HUB), "")]  # fmt: skip
    assert [one.by_wire for one in found] == [True, True, False, False, True]
    for one in found:
        await one.close()


async def test_without_broker_and_hub_the_way_says_so() -> None:
    found = await made(SyncTable(), "")
    with pytest.raises(TransportError, match="knows no hub"):
        await found.source.head(CHANNEL)
    with pytest.raises(SettingsError):
        await made(SyncTable(hub="ftp://hub"))


async def test_a_stick_moves_no_place_and_what_is_held_back_does(tmp_path: Path) -> None:
    (tmp_path / "village").mkdir()
    here, city, journey = village(tmp_path / "village"), City(tmp_path), Journey()
    worker = Worker("test")
    updater = Updater(
        Subscription(CHANNEL, city.roots[0]), here.store, here.blobs, city,
        Fetcher(here.blobs, Journal(here.folder / "journal"), worker, Room(lambda: 10**12, 0)),
        worker, Clock(0.0, lambda: AT), spare=city, journey=journey,
    )  # fmt: skip
    city.publish([lesson()])
    assert (await updater.sync(city)).kind == "updated"
    assert (here.store.place(), journey.settled_at, journey.rested) == (None, [], 0)
    city.publish([lesson(title="Otra")])
    assert (await updater.sync()).kind == "updated"
    assert here.store.place() == b"first"
    here.store.turn_back(here.blobs.get, AT)
    journey.place = b"second"
    assert (await updater.sync()).kind == "held"
    assert here.store.place() == b"second"
    assert journey.settled_at == [b"first", b"second"]
    await updater.close()
    here.store.close()
