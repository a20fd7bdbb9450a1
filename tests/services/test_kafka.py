"""Apache Kafka itself: what only a real broker does. One broker serves the whole file."""

import contextlib
import gc
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from hub import herald
from hub.config import HubConfig, HubTable
from hub.config import KafkaTable as HubKafkaTable
from sync.broker import ANNOUNCEMENTS, BUNDLES, UP, BrokerTable
from sync.canonical import digest
from sync.errors import TransportError
from sync.transport.kafka import TOPICS, Producer, Session, make_topics
from tests.hub.publishing import CHANNEL_ID
from tests.services.foreign import Stranger
from tests.services.kafka import PASSWORD, USER, Broker, until
from tests.services.town import Town, titles

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings(
        "ignore:unclosed <:ResourceWarning",
        "ignore:Exception ignored in. <(ssl|socket):pytest.PytestUnraisableExceptionWarning",
    ),
]
TIDY = {"segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100"}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker.prepare(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()
    gc.collect()  # the sockets that kafka-python left behind


@pytest.fixture
def table(kafka: Broker) -> BrokerTable:
    """A door without a lock, and topics of this test's own."""
    return BrokerTable(kafka.plain, prefix=f"t{uuid.uuid4().hex[:8]}", timeout_seconds=60)


@pytest.fixture
def town(tmp_path: Path, table: BrokerTable) -> Iterator[Town]:
    make_topics(table, 1)
    with contextlib.closing(Town(tmp_path, table)) as made:
        yield made


def tune(broker: BrokerTable, topic: str, settings: dict[str, str]) -> None:
    """Sets what a topic of `broker` does."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    name = broker.topic(topic)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)


def offsets(broker: BrokerTable, topic: str) -> list[int]:
    """Where records lie in a topic."""
    with contextlib.closing(Session(broker)) as session:
        return [record.offset for record in session.news(broker.topic(topic), 0)]


def test_the_hub_makes_its_topics_once_and_as_described(table: BrokerTable) -> None:
    assert make_topics(table, 1) == sorted(table.topic(name) for name in TOPICS)
    assert make_topics(table, 1) == []
    admin = AdminClient({"bootstrap.servers": table.bootstrap})
    for name, wanted in TOPICS.items():
        resource = ConfigResource(ConfigResource.Type.TOPIC, table.topic(name))
        [told] = admin.describe_configs([resource]).values()
        found = {key: entry.value for key, entry in told.result(30).items()}
        for key, value in wanted.items():
            assert sorted(found[key].split(",")) == sorted(value.split(","))


@pytest.mark.fault(15, "missing")
async def test_a_village_lives_on_kafka_and_a_long_absence_costs_one_record(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
        assert titles(node) == {"La papa"}
    tune(town.broker, ANNOUNCEMENTS, TIDY | {"cleanup.policy": "compact"})
    for number in range(5):
        town.publish(f"La papa {number}")
        town.announce()
    with contextlib.closing(Producer(town.broker)) as producer:

        def compacted() -> bool:
            topic = town.broker.topic(ANNOUNCEMENTS)
            producer.put(topic, b"otro", b"rolls the segment")
            with contextlib.closing(Session(town.broker)) as session:
                keys = [record.key for record in session.news(topic, 0)]
            return keys.count(CHANNEL_ID.encode()) == 1

        until(compacted, "compaction")
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"
        assert titles(node) == {"La papa 4"}
    async with town.node("nodo-nuevo") as node:
        assert (await node.updater.sync()).kind == "updated"


@pytest.mark.fault(15, "retention has eaten the place")
async def test_a_place_that_retention_has_eaten_means_from_the_beginning(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
    admin = AdminClient({"bootstrap.servers": town.broker.bootstrap})
    topic = town.broker.topic(ANNOUNCEMENTS)
    tune(town.broker, ANNOUNCEMENTS, {"cleanup.policy": "delete"})
    town.publish("La quinua")
    town.announce()
    town.announce()
    for done in admin.delete_records([TopicPartition(topic, 0, 2)]).values():
        done.result(30)
    assert offsets(town.broker, ANNOUNCEMENTS) == [2]
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"
        assert titles(node) == {"La quinua"}


async def test_a_bundle_that_retention_has_eaten_is_not_there(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    admin = AdminClient({"bootstrap.servers": town.broker.bootstrap})
    end = offsets(town.broker, BUNDLES)[-1] + 1
    for done in admin.delete_records([TopicPartition(town.broker.topic(BUNDLES), 0, end)]).values():
        done.result(30)
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "unreachable"
        town.announce()
        assert (await node.updater.sync()).kind == "updated"


@pytest.mark.fault(15, "the topic was made anew")
async def test_a_topic_deleted_and_made_anew_is_read_from_its_beginning(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
    topics = [town.broker.topic(name) for name in TOPICS]
    admin = AdminClient({"bootstrap.servers": town.broker.bootstrap})
    for done in admin.delete_topics(topics).values():
        done.result(30)
    until(lambda: not set(topics) & set(admin.list_topics(timeout=30).topics), "deletion")
    make_topics(town.broker, 1)
    town.publish("La quinua")
    town.announce()
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"
        assert titles(node) == {"La quinua"}


@pytest.mark.parametrize("door", ["scram", "tls"])
async def test_a_village_comes_in_by_a_locked_door(
    kafka: Broker, town: Town, door: str, tmp_path: Path
) -> None:
    town.publish("La papa")
    town.announce()
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    locked = msgspec.structs.replace(
        town.broker,
        bootstrap=getattr(kafka, door),
        tls=door == "tls",
        ca_file=str(kafka.ca) if door == "tls" else "",
        username=USER,
        password_file=str(password),
    )
    town.broker = locked
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"
        assert not (await node.report()).trouble
    password.write_text("otra cosa")
    town.broker = msgspec.structs.replace(locked, timeout_seconds=2)
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "unreachable"
        assert titles(node) == {"La papa"}
    if door == "tls":
        password.write_text(PASSWORD)
        town.broker = msgspec.structs.replace(locked, ca_file="", timeout_seconds=2)
        async with town.node() as node:
            assert (await node.updater.sync()).kind == "unreachable"


async def test_blocks_go_up_once_acknowledged(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        await node.updater.sync()
        sent = await node.report()
        assert sent.stored >= 2
        assert sent.trouble == ""
    with contextlib.closing(Session(town.broker)) as session:
        records = list(session.news(town.broker.topic(UP), 0))
    assert {record.key for record in records} == {b"nodo-1"}
    assert {record.value[:3] for record in records} == {b"CHS", b"CHE"}


def test_the_hub_announces_what_it_has_published(town: Town) -> None:
    town.publish("La papa")
    table = {name: getattr(town.broker, name) for name in town.broker.__struct_fields__}
    config = HubConfig(HubTable(str(town.folder / "hub")), kafka=HubKafkaTable(**table))
    done = herald.after_publishing(config, town.library, town.hub.shelf)
    assert done
    assert done.inline == 1
    off = HubConfig(HubTable(str(town.folder / "hub")))
    assert herald.after_publishing(off, town.library, town.hub.shelf) is None
    dead = HubConfig(
        HubTable(str(town.folder / "hub")),
        kafka=HubKafkaTable("127.0.0.1:1", timeout_seconds=1),
    )
    assert herald.after_publishing(dead, town.library, town.hub.shelf) is None
    with pytest.raises(TransportError):
        herald.announce(dead, town.library, town.hub.shelf)


def test_a_stranger_reads_and_verifies_an_announcement_by_format_md_alone(
    town: Town, root: Path
) -> None:
    town.publish("La papa")
    town.publish("La quinua")
    said = town.announce()
    format_md = root / "sync" / "FORMAT.md"
    stranger = Stranger(town.broker.bootstrap, town.broker.prefix, format_md)
    with contextlib.closing(stranger):
        read = stranger.announcement(CHANNEL_ID)
        target = stranger.verified(read["head"], town.root.read_bytes(), CHANNEL_ID)
        assert target["custom"]["version"] == 2
        assert read["root"] == 1
        assert len(read["bundles"]) == said.inline == 2
        for base, offset in read["bundles"]:
            [(key, offer), (chunk_key, chunk)] = stranger.records("bundles", offset, 2)
            told = json.loads(offer)
            assert key == f"{CHANNEL_ID}/{base}/0".encode()
            assert chunk_key == f"{CHANNEL_ID}/{base}/1".encode()
            assert told["target"] == target["hashes"]["sha256"]
            assert told["bundle"] == hashlib.sha256(chunk).hexdigest() == digest(chunk)
            assert (told["base"] or "none")[:16] == base
