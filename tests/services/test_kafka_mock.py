"""Hub and nodes over Kafka's protocol, with the mock broker: what a node believes, and keeps."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from hub.app import build_app
from hub.config import HubConfig, HubTable, ServerTable
from hub.config import KafkaTable as HubKafkaTable
from sync import announcement
from sync.announcement import Announcement
from sync.broker import ANNOUNCEMENTS, BrokerTable
from sync.canonical import digest
from sync.errors import SettingsError
from sync.head import head_from_bytes
from sync.transport import RefusedError
from sync.transport.directory import DirectoryWriter
from sync.transport.kafka import Collector, Producer, settings
from sync.transport.kafka_road import KafkaSink, KafkaSource
from tests.hub.fakes import a_lesson
from tests.hub.publishing import CHANNEL_ID
from tests.services.mock_broker import MockBroker, mock_broker
from tests.services.town import Town, titles, version

# kafka-python leaves the sockets of attempts that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <:ResourceWarning",
    "ignore:Exception ignored in. <(ssl|socket):pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture
def broker() -> Iterator[MockBroker]:
    with mock_broker() as made:
        yield made


@pytest.fixture
def town(tmp_path: Path, broker: MockBroker) -> Iterator[Town]:
    with contextlib.closing(Town(tmp_path, broker.table())) as made:
        yield made


def say(town: Town, key: str, value: bytes) -> int:
    """Puts a record among the announcements."""
    with contextlib.closing(Producer(town.broker)) as producer:
        return producer.put(town.broker.topic(ANNOUNCEMENTS), key.encode(), value)


def current(town: Town) -> Announcement:
    """What an honest hub would say, without bundles."""
    head = town.hub.shelf.head(CHANNEL_ID)
    assert head
    return Announcement(head_from_bytes(head), 1)


def stick(town: Town) -> str:
    """The other road: a folder with everything."""
    folder = town.folder / "stick"
    writer, shelf = DirectoryWriter(folder), town.hub.shelf
    versions = [v.root for v in town.library.versions(CHANNEL_ID)]
    for number in shelf.roots():
        data = shelf.root(number)
        assert data
        writer.put_root(number, data)
    for base in ("none", *versions[1:]):
        offer = shelf.offer(CHANNEL_ID, base, versions[0])
        assert offer
        writer.put_bundle(offer, shelf.deltas.path(offer.bundle).read_bytes())
    head = shelf.head(CHANNEL_ID)
    assert head
    writer.put_head(CHANNEL_ID, head)
    return str(folder)


async def test_a_node_lives_on_kafka_alone(town: Town) -> None:
    town.publish("La papa")
    assert town.announce().inline == 1
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"
        assert titles(node) == {"La papa"}
        place = node.store.place()
        assert place
        assert (await node.updater.sync()).kind == "current"
        assert node.store.place() == place
        town.publish("La quinua")
        assert town.announce().inline == 2
        outcome = await node.updater.sync()
        assert (outcome.kind, titles(node)) == ("updated", {"La quinua"})
        assert node.store.place() != place
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "current"


async def test_new_root_keys_come_with_the_announcement(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
        town.rotate()
        town.publish("La quinua")
        town.announce()
        assert (await node.updater.sync()).kind == "updated"
        trust = node.store.trust()
        assert trust
        assert trust.floors.root == 2


async def test_a_bundle_that_is_too_large_comes_over_the_other_road(town: Town) -> None:
    town.publish("La papa")
    assert town.announce(inline=10).inline == 0
    async with town.node() as alone:
        outcome = await alone.updater.sync()
        assert outcome.kind == "unreachable"
        assert alone.store.place() is None
    async with town.node("nodo-2", stick(town)) as both:
        assert (await both.updater.sync()).kind == "updated"
        assert both.store.place()


async def test_bundles_of_many_chunks_come_whole(town: Town) -> None:
    noise = " ".join(f"{n * 0x9E3779B97F4A7C15 % 2**64:x}" for n in range(12_000))
    pages = tuple(noise[at : at + 15_000].strip() for at in range(0, len(noise), 15_000))
    town.hub.write(a_lesson(body=pages))
    town.publish()
    said = town.announce()
    assert said.inline_bytes > 65_536
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"


async def test_a_forged_announcement_costs_one_question_to_the_hub_itself(town: Town) -> None:
    town.publish("La papa")
    honest = current(town)
    forged = honest.head.timestamp.replace('"version":', '"version":9')
    liar = Announcement(type(honest.head)(CHANNEL_ID, forged, honest.head.snapshot,
                                          honest.head.targets), 7)  # fmt: skip
    say(town, CHANNEL_ID, announcement.to_bytes(liar))
    async with town.node() as node:
        outcome = await node.updater.sync()
        assert outcome.kind in ("refused", "unreachable")
        assert version(node) == 0
        assert node.store.place() is None
        town.announce()
        assert (await node.updater.sync()).kind == "updated"
    async with town.node("nodo-2", stick(town)) as node:
        assert (await node.updater.sync()).kind == "updated"


async def test_a_forged_head_is_refused_and_the_spare_road_asked(town: Town) -> None:
    town.publish("La papa")
    honest = current(town).head
    digit = "0" if honest.timestamp[-3] != "0" else "1"
    forged = honest.timestamp.replace('"sig":"', f'"sig":"{digit}', 1)
    liar = Announcement(type(honest)(CHANNEL_ID, forged, honest.snapshot, honest.targets), 1)
    say(town, CHANNEL_ID, announcement.to_bytes(liar))
    async with town.node() as alone:
        assert (await alone.updater.sync()).kind == "refused"
    async with town.node("nodo-2", stick(town)) as both:
        assert (await both.updater.sync()).kind == "updated"
        assert both.store.place() is None


@pytest.mark.fault(15, "repeated")
@pytest.mark.fault(15, "out of order")
async def test_old_repeated_damaged_and_foreign_records_are_passed_over(town: Town) -> None:
    town.publish("La papa")
    old = announcement.to_bytes(current(town))
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
        town.publish("La quinua")
        town.announce()
        assert (await node.updater.sync()).kind == "updated"
        place = node.store.place()
        for key, value in (
            (CHANNEL_ID, old),
            (CHANNEL_ID, b""),
            (CHANNEL_ID, b"\x01 no announcement"),
            ("otro", old),
            ("root/9", b"no root"),
            ("root/999999999999999999", b"no root"),
            ("root/x", b""),
        ):
            say(town, key, value)
            outcome = await node.updater.sync()
            assert (outcome.kind, version(node)) == ("current", 2), (key, value)
        assert node.store.place() == place
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "current"


@pytest.mark.fault(16, "the broker is away")
async def test_a_broker_that_is_away_is_an_outcome_and_the_node_serves_on(
    town: Town, broker: MockBroker
) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
    other = stick(town)
    broker.close()
    town.broker = broker.table(timeout_seconds=0.5)
    async with town.node() as node:
        outcome = await node.updater.sync()
        assert (outcome.kind, titles(node)) == ("unreachable", {"La papa"})
        assert "no answer" in outcome.message
        assert (await node.report()).trouble
    async with town.node(hub=other) as node:
        assert (await node.updater.sync()).kind == "current"
        assert not (await node.report()).trouble


@pytest.mark.fault(15, "the topic was made anew")
@pytest.mark.fault(15, "an offset ahead of the end")
@pytest.mark.parametrize("before", [1, 4])
async def test_a_topic_made_anew_is_read_from_its_beginning(
    tmp_path: Path, broker: MockBroker, before: int
) -> None:
    with contextlib.closing(Town(tmp_path, broker.table())) as town:
        town.publish("La papa")
        for _ in range(before):
            town.announce()
        async with town.node() as node:
            await node.updater.sync()
        broker.close()
        with mock_broker() as anew:
            town.broker = anew.table()
            town.publish("La quinua")
            town.announce()
            say(town, "otro", b"not ours")
            async with town.node() as node:
                assert (await node.updater.sync()).kind == "updated"
                assert titles(node) == {"La quinua"}


async def test_blocks_go_up_and_are_taken_until_they_are_done(town: Town, tmp_path: Path) -> None:
    sink = KafkaSink(town.broker, "nodo-1")
    assert await sink.samples(b"CHS1 one")
    await sink.rest()
    assert await sink.events(b"CHE1 two")
    await sink.close()
    place = tmp_path / "offset"

    def taken(*, done: bool) -> list[bytes]:
        with contextlib.closing(Collector(town.broker, place)) as collector:
            blocks = [*collector.take(0.1), *collector.take(0.1)]
            if done:
                collector.done()
            return blocks

    both = [b"CHS1 one", b"CHE1 two"]
    assert taken(done=False) == both
    assert taken(done=True) == both
    assert taken(done=True) == []
    place.write_bytes(b"no number")
    assert taken(done=False) == both


async def test_what_a_node_reports_over_kafka_is_in_the_hub_s_fleet(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
        assert not (await node.report()).trouble
    table = {name: getattr(town.broker, name) for name in town.broker.__struct_fields__}
    config = HubConfig(
        HubTable(str(town.folder / "hub")), ServerTable(port=0), kafka=HubKafkaTable(**table)
    )
    async with TestClient(TestServer(build_app(config))) as client:
        nodes = 0
        while not nodes:
            nodes = (await (await client.get("/healthz")).json())["nodes"]
    assert nodes == 1


async def test_a_road_without_news_says_so(town: Town) -> None:
    source = KafkaSource(town.broker, CHANNEL_ID)
    say(town, "otro", b"not ours")
    with pytest.raises(RefusedError, match="nothing is announced"):
        await source.head(CHANNEL_ID)
    with pytest.raises(RefusedError):
        await source.object(digest(b"an object"))
    assert source.place is None
    await source.close()


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    def told(**more: object) -> dict[str, object]:
        return settings(BrokerTable("kafka:9092", **more))  # type: ignore[arg-type]

    with pytest.raises(SettingsError, match="password_file"):
        told(username="nodo", password_file=str(tmp_path / "none"))
    (tmp_path / "password").write_text("secreto\n")
    with pytest.raises(SettingsError, match="PLAIN without TLS"):
        told(username="nodo", password_file=str(tmp_path / "password"), mechanism="PLAIN")
    with pytest.raises(SettingsError, match="ca_file"):
        told(tls=True, ca_file=str(tmp_path / "password"))
    good = told(username="nodo", password_file=str(tmp_path / "password"))
    assert good["security_protocol"] == "SASL_PLAINTEXT"
    assert good["sasl_plain_password"] == "secreto"
