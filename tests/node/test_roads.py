"""The list of roads: what is refused, which one is asked, and which one brought what."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from node.config import KafkaTable, NodeConfig, NodeTable, SyncTable, load
from node.fetcher import Fetcher, Room
from node.roads import listed, spoken
from node.telemetry.clock import Clock
from node.telemetry.metrics import Roads
from node.updater import Subscription, Updater
from node.worker import Worker
from sync.errors import SettingsError
from sync.journal import Journal
from sync.transport.fallback import Fallback
from sync.transport.health import REST, Roster
from tests.node.city import CHANNEL, City
from tests.node.village import AT, Village, lesson, village

A, B = "http://hub.example:8080", "https://mirror.example/chaski"
BROKER = "kafka:9092"


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(f'[node]\nid = "a"\ndata = "d"\n{text}', encoding="utf-8")
    return path


def test_roads_are_taken_in_their_order(tmp_path: Path) -> None:
    text = f'[sync]\nroads = ["nas", "kafka", "{A}", "/mnt/b"]\n[kafka]\nbootstrap = "{BROKER}"\n'
    config = load(written(tmp_path, text), {})
    assert config.roads == (str(tmp_path / "nas"), "kafka", A, "/mnt/b")
    assert config.linked


def test_the_simple_form_is_one_road_after_the_broker() -> None:
    node = NodeTable(id="a", data="d")
    kafka = KafkaTable(bootstrap=BROKER)
    assert NodeConfig(node=node, sync=SyncTable(hub=A)).roads == (A,)
    assert NodeConfig(node=node, sync=SyncTable(hub=A), kafka=kafka).roads == ("kafka", A)
    assert NodeConfig(node=node, sync=SyncTable(hub=A, roads=(A,))).roads == (A,)
    assert NodeConfig(node=node).roads == ()


@pytest.mark.parametrize(
    ("hub", "roads", "broker", "why"),
    [
        (A, (B,), "", "both set"),
        (A, (A, B), "", "both set"),
        ("", (A,), BROKER, "does not name kafka"),
        ("", ("kafka",), "", "kafka.bootstrap is empty"),
        ("", (A, B, A + "/"), "", "twice"),
        ("", (A, ""), "", "empty road"),
        ("ftp://hub", (), "", "no road"),
        ("http://", (), "", "no road"),
        ("http://hub:99999", (), "", "no road"),
        ("127.0.0.1:8080", (), "", "without http://"),
        ("hub.example", (), "", "without http://"),
        ("hub.example/chaski", (), "", "without http://"),
        ("localhost", (), "", "without http://"),
        ("[::1]:8080", (), "", "without http://"),
        ("", ("hub:8080/x",), "", "without http://"),
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(
    hub: str, roads: tuple[str, ...], broker: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        listed(hub, roads, broker)
    assert caught.value.hint


def test_a_forgotten_http_is_refused_with_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, '[sync]\nhub = "127.0.0.1:8080"\n'), {})
    assert "http://127.0.0.1:8080" in caught.value.hint


@pytest.mark.parametrize("folder", ["stick", "/mnt/nas", "./hub.example", "../nas", "a/b.c", "C"])
def test_a_folder_is_a_folder(folder: str) -> None:
    assert listed(folder, (), "") == (folder,)


def test_a_road_is_spoken_of_without_its_password() -> None:
    assert spoken("https://ana:secret@hub.example:81/x/") == "https://hub.example:81/x"
    assert spoken("kafka") == "kafka"


class Bench:
    """A node with two roads, each a city of its own, and a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.now = 0.0
        self.roster = Roster(lambda: self.now, lambda: 1.0)
        self.here: Village = village(folder)
        self.worker = Worker("test")

    def updater(self, first: City, second: City, anchor: bytes) -> Updater:
        """By `first`, then by `second`."""
        healths = [self.roster.add("first"), self.roster.add("second")]
        here = self.here
        return Updater(
            Subscription(CHANNEL, anchor), here.store, here.blobs,
            Fallback((first, second), self.roster, healths),
            Fetcher(here.blobs, Journal(here.folder / "j"), self.worker, Room(lambda: 10**12, 0)),
            self.worker, Clock(0.0, lambda: AT),
            spare=Fallback((second,), self.roster, healths[1:]), roster=self.roster,
        )  # fmt: skip


async def test_a_road_that_fails_rests_and_is_tried_again_later(tmp_path: Path) -> None:
    city, mirror = City(tmp_path / "city"), City(tmp_path / "mirror")
    city.publish([lesson()])
    mirror.__dict__.update(city.__dict__ | {"asked": []})
    bench = Bench(tmp_path / "node")
    updater = bench.updater(city, mirror, city.roots[0])
    city.down = True
    first = await updater.sync()
    assert first.kind == "updated"
    assert list(first.carried) == ["second"]
    assert first.carried["second"] == first.bytes_down
    city.asked.clear()
    second = await updater.sync()
    assert (second.kind, city.asked) == ("current", [])
    bench.now += REST.most_s
    city.down = False
    third = await updater.sync()
    assert list(third.carried) == ["first"]
    registry = CollectorRegistry()
    registry.register(Roads(bench.roster))
    told = {"road": "second"}
    down = registry.get_sample_value("chaski_node_road_down_bytes_total", told)
    assert down == first.bytes_down + second.bytes_down
    failures = {"road": "first"}
    assert registry.get_sample_value("chaski_node_road_failures_total", failures) == 1
    assert registry.get_sample_value("chaski_node_road_up", failures) == 1
    await updater.close()
    bench.here.store.close()


async def test_a_road_that_lies_is_passed_over_and_the_next_one_is_believed(
    tmp_path: Path,
) -> None:
    city, thief = City(tmp_path / "city"), City(tmp_path / "thief")
    city.publish([lesson()])
    thief.publish([lesson(title="Falsa")])
    bench = Bench(tmp_path / "node")
    updater = bench.updater(thief, city, city.roots[0])
    outcome = await updater.sync()
    assert (outcome.kind, outcome.to_version) == ("updated", 1)
    assert outcome.carried["second"] > outcome.carried["first"] > 0
    thief.asked.clear()
    assert (await updater.sync()).kind == "current"
    assert thief.asked == []
    city.sign(days=-1)
    bench.now += REST.most_s
    assert (await updater.sync()).kind == "refused"
    await updater.close()
    bench.here.store.close()


async def test_when_all_roads_rest_they_are_tried_all_the_same(tmp_path: Path) -> None:
    city = City(tmp_path / "city")
    city.publish([lesson()])
    bench = Bench(tmp_path / "node")
    updater = bench.updater(city, city, city.roots[0])
    city.down = True
    assert (await updater.sync()).kind == "unreachable"
    city.down = False
    assert (await updater.sync()).kind == "updated"
    await updater.close()
    bench.here.store.close()


def test_rests_grow_and_end() -> None:
    now = 0.0
    roster = Roster(lambda: now, lambda: 1.0)
    road = roster.add("road")
    rests = []
    for _ in range(9):
        road.failed()
        rests.append(road.resting_until)
    assert rests[:3] == [60.0, 120.0, 240.0]
    assert rests[-1] == REST.most_s
    assert not road.ready
    road.well(10)
    assert road.ready
    assert roster.carried() == {"road": 10}
    assert roster.carried() == {}
