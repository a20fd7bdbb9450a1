"""A village whose only wire is Kafka: what is too large, damaged, cut off or tidied away."""

import contextlib
import hashlib
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest
from aiohttp.test_utils import TestServer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from hub import herald
from hub.app import build_app
from hub.config import HubConfig, HubTable, ServerTable
from hub.config import KafkaTable as HubKafkaTable
from hub.herald import Crier
from hub.metrics import Metrics
from hub.supplier import Supplied, Supplier
from node.app import Node
from sync.broker import ANNOUNCEMENTS, ANSWERS, BUNDLES, UP, BrokerTable
from sync.bundle import Offer
from sync.canonical import digest
from sync.errors import TransportError
from sync.transport.kafka import TOPICS, Collector, Producer, Session, make_topics
from sync.want import MAGIC, Want, want_to_bytes
from tests.hub.fakes import a_lesson
from tests.hub.publishing import CHANNEL_ID
from tests.services.kafka import Broker, until
from tests.services.relay import Relay
from tests.services.test_kafka import TIDY, kafka, offsets, table, town, tune
from tests.services.test_kafka_mock import stick
from tests.services.town import Town, titles, version

__all__ = ["kafka", "table", "town"]  # the fixtures
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings(
        "ignore:unclosed <:ResourceWarning",
        "ignore:Exception ignored in. <(ssl|socket):pytest.PytestUnraisableExceptionWarning",
    ),
]
CHUNK = 65536


def config(town: Town, broker: BrokerTable | None = None) -> HubConfig:
    """The hub's settings: nothing is announced with its bundle."""
    broker = broker or town.broker
    fields = {name: getattr(broker, name) for name in broker.__struct_fields__}
    kafka = HubKafkaTable(**fields, inline_kilobytes=0)
    return HubConfig(HubTable(str(town.folder / "hub")), ServerTable(port=0), kafka=kafka)


class Desk:
    """The hub's end of `up`, a page at a time."""

    def __init__(self, town: Town, megabytes: int = 100) -> None:
        self.now = 0.0
        self.town = town
        told = config(town)
        self.supplier = Supplier(
            town.hub.shelf, CHANNEL_ID, town.broker, megabytes * 1_000_000,
            partial(herald.opened, told), lambda: self.now,
        )  # fmt: skip

    def answer(self) -> list[Supplied]:
        """Answers every want that waits."""
        done: list[Supplied] = []
        with contextlib.closing(Collector(self.town.broker, self.town.folder / "place")) as up:
            while page := up.take(0):
                done += [self.supplier.supply(one) for one in page if one.startswith(MAGIC[:3])]
                up.done()
        return done


def heavy(town: Town, title: str = "La papa") -> Offer:
    """Publishes a version of many chunks, announces it without its bundle; the whole's offer."""
    for number in range(5):
        body = tuple(
            hashlib.shake_256(f"{title} {number} {line}".encode()).hexdigest(300)
            for line in range(300)
        )
        town.hub.write(a_lesson(f"leccion-{number}", title=title, body=body))
    town.publish()
    assert town.announce(inline=0).inline == 0
    (root,) = [town.library.versions(CHANNEL_ID)[0].root]
    offer = town.hub.shelf.offer(CHANNEL_ID, "none", root)
    assert offer
    assert offer.chunk_count >= 3
    return offer


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as made:
        yield made


async def kinds(node: Node, most: int = 50) -> list[str]:
    """What syncs come to, until one is good."""
    seen: list[str] = []
    while len(seen) < most:
        outcome = await node.updater.sync()
        seen.append(outcome.kind)
        if outcome.good:
            break
    return seen


async def test_a_hub_that_serves_gives_a_node_with_kafka_alone_what_it_asks_for(
    town: Town,
) -> None:
    heavy(town)
    async with TestServer(build_app(config(town))), town.node() as node:
        first = await node.updater.sync()
        assert first.kind == "unreachable"
        assert "the hub was asked" in first.message
        assert (await kinds(node))[-1] == "updated"
        assert len(titles(node)) == 2
    wants = [value for _, value in records(town, UP) if value.startswith(MAGIC)]
    assert len(wants) == 1


def records(town: Town, topic: str) -> list[tuple[bytes, bytes]]:
    """Key and value of everything in a topic."""
    with contextlib.closing(Session(town.broker)) as session:
        return [(r.key, r.value) for r in session.news(town.broker.topic(topic), 0)]


async def test_many_who_ask_for_the_same_cost_one_bundle(town: Town) -> None:
    heavy(town)
    desk = Desk(town)
    for name in ("nodo-1", "nodo-2"):
        async with town.node(name) as node:
            assert (await node.updater.sync()).kind == "unreachable"
            assert (await node.updater.sync()).kind == "unreachable"
    assert desk.answer() == ["given", "quiet"]
    lying = len(offsets(town.broker, BUNDLES))
    async with town.node("nodo-3") as node:
        assert (await node.updater.sync()).kind == "updated"
    again = Desk(town)  # the hub was started anew
    ask(town, Want(CHANNEL_ID, target=town.library.versions(CHANNEL_ID)[0].root))
    assert again.answer() == ["there"]
    assert len(offsets(town.broker, BUNDLES)) == lying


def ask(town: Town, *wants: Want | bytes) -> None:
    """Puts wants on the topic, as anybody can who may write there."""
    with contextlib.closing(Producer(town.broker)) as producer:
        for one in wants:
            data = one if isinstance(one, bytes) else want_to_bytes(one)
            producer.put(town.broker.topic(UP), b"nodo-x", data)


def test_what_strangers_ask_for_is_bounded(town: Town) -> None:
    first = heavy(town).target
    heavy(town, "La quinua")
    target = town.library.versions(CHANNEL_ID)[0].root
    ask(
        town, Want(CHANNEL_ID, target=first), Want("otra", target=target), MAGIC + b"nonsense",
        b"CHW9", Want(CHANNEL_ID, object=first),
        Want(CHANNEL_ID, target=target, base=digest(b"unknown")),
        *[Want(CHANNEL_ID, target=target)] * 20,
    )  # fmt: skip
    desk = Desk(town)
    done = desk.answer()
    assert done[:7] == ["foreign", "foreign", "damaged", "damaged", "none", "none", "given"]
    assert set(done[7:]) == {"quiet"}
    desk.now += 700
    small = Desk(town, megabytes=0)
    for done_by in small.answer(), desk.answer():
        assert done_by == []
    base = first
    ask(town, Want(CHANNEL_ID, target=target, base=base))
    assert small.answer() == ["over"]
    small.now += 86400
    assert small.supplier.supply(want_to_bytes(Want(CHANNEL_ID, target=target, base=base))) == (
        "over"
    )


async def test_a_damaged_object_is_mended_over_kafka(town: Town) -> None:
    town.publish("La papa")
    town.announce()
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "updated"
        manifest = node.store.manifest()
        assert manifest
        entry = manifest.entries[0]
    path = town.folder / "nodo-1" / "objects" / entry.hash[:2] / entry.hash
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    desk = Desk(town)
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "unreachable"
        assert desk.answer() == ["given"]
        assert (await node.updater.sync()).kind == "current"
    assert path.read_bytes() == good


async def cut(town: Town, relay: Relay) -> Offer:
    """A link that dies, and stays dead, in the middle of what was asked for."""
    offer = heavy(town)
    ask(town, Want(CHANNEL_ID, target=offer.target))
    assert Desk(town).answer() == ["given"]
    town.broker = msgspec.structs.replace(town.broker, proxy=relay.url, timeout_seconds=3)
    relay.cut_after = offer.size // 2
    return offer


OVERHEAD = 20_000
"""Bytes of sessions, of answers, and of records that are cut off at the end of a fetch."""


@pytest.mark.parametrize("stays", [False, True])
async def test_a_cut_in_the_middle_costs_at_most_one_chunk(
    town: Town, relay: Relay, stays: bool
) -> None:
    offer = await cut(town, relay)
    relay.stays_cut = stays
    async with town.node() as node:
        assert (await node.updater.sync()).kind == ("unreachable" if stays else "updated")
        relay.closed = False
        assert (await node.updater.sync()).kind == ("updated" if stays else "current")
    assert relay.cut_after is None
    assert relay.down <= offer.size + CHUNK + OVERHEAD


async def test_a_cut_and_a_power_cut_cost_at_most_two_chunks_more(town: Town, relay: Relay) -> None:
    offer = await cut(town, relay)
    relay.stays_cut = True
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "unreachable"
        assert version(node) == 0
    relay.closed = False
    async with town.node() as node:
        outcome = await node.updater.sync()
        assert outcome.kind == "updated"
    assert offer.size // 3 < outcome.bytes_down < offer.size * 5 // 6
    # The offer is read again: its answer has a chunk in it, and the library asks for one more.
    assert relay.down <= offer.size + 3 * CHUNK + OVERHEAD


async def test_what_retention_has_eaten_in_the_middle_is_asked_for_again_and_resumed(
    town: Town, relay: Relay
) -> None:
    offer = heavy(town)
    ask(town, Want(CHANNEL_ID, target=offer.target))
    desk = Desk(town)
    assert desk.answer() == ["given"]
    direct = town.broker
    town.broker = msgspec.structs.replace(direct, proxy=relay.url, timeout_seconds=3)
    relay.cut_after, relay.stays_cut = offer.size * 2 // 3, True
    async with town.node() as node:
        assert (await node.updater.sync()).kind == "unreachable"
    town.broker = direct
    expire(town)
    desk.now += 3600
    async with town.node() as node:
        for _ in range(3):  # no loop: one want, however often it looks
            assert (await node.updater.sync()).kind == "unreachable"
        assert desk.answer() == ["given"]
        outcome = await node.updater.sync()
        assert outcome.kind == "updated"
        assert outcome.bytes_down < offer.size * 2 // 3


def expire(town: Town) -> None:
    """Lets time pass for the topic of bundles: its records are older than it keeps any."""
    topic = town.broker.topic(BUNDLES)
    end = offsets(town.broker, BUNDLES)[-1] + 1
    tune(town.broker, BUNDLES, TIDY | {"cleanup.policy": "delete", "retention.ms": "300"})
    with contextlib.closing(Producer(town.broker)) as producer:

        def gone() -> bool:
            producer.put(topic, b"otro", b"rolls the segment")
            with contextlib.closing(Session(town.broker)) as session:
                return next(iter(session.news(topic, 0))).offset >= end

        until(gone, "retention")
    settings = {"cleanup.policy": "delete", "retention.ms": "86400000", "segment.ms": "86400000"}
    tune(town.broker, BUNDLES, settings)


async def test_what_retention_has_eaten_comes_over_the_next_road(town: Town) -> None:
    heavy(town)
    town.announce()
    expire(town)
    async with town.node(hub=stick(town)) as node:
        outcome = await node.updater.sync()
        assert outcome.kind == "updated"
        assert len(outcome.carried) == 2


# The hub announces by itself


def crier(town: Town, broker: BrokerTable | None = None) -> Crier:
    return Crier(config(town, broker), town.hub.shelf, Metrics(CollectorRegistry()))


def test_a_hub_that_serves_says_what_the_topic_does_not(kafka: Broker, town: Town) -> None:
    one = crier(town)
    assert not one.look()
    town.publish("La papa")
    assert one.look()
    assert not one.look()
    assert not crier(town).look()
    town.publish("La quinua")
    assert crier(town).look()
    assert not one.look()
    admin = AdminClient({"bootstrap.servers": town.broker.bootstrap})
    topics = [town.broker.topic(name) for name in TOPICS]
    for done in admin.delete_topics(topics).values():
        done.result(30)
    until(lambda: not set(topics) & set(admin.list_topics(timeout=30).topics), "deletion")
    assert one.look()
    assert len(offsets(town.broker, ANNOUNCEMENTS)) == 1
    assert not one.look()
    away = msgspec.structs.replace(town.broker, bootstrap="127.0.0.1:1", timeout_seconds=1)
    with pytest.raises(TransportError):
        crier(town, away).look()


async def test_it_tries_until_the_broker_is_back(town: Town, relay: Relay) -> None:
    town.publish("La papa")
    relay.closed = True
    broker = msgspec.structs.replace(town.broker, proxy=relay.url, timeout_seconds=2)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        relay.closed = len(slept) < 3
        if seconds == herald.LOOK_S:
            raise TimeoutError

    one = Crier(config(town, broker), town.hub.shelf, Metrics(CollectorRegistry()), sleep)
    with pytest.raises(TimeoutError):
        await one.run()
    assert slept == [5.0, 10.0, 20.0, herald.LOOK_S]
    assert len(offsets(town.broker, ANNOUNCEMENTS)) == 1


def test_bundles_that_were_tidied_away_are_announced_anew(town: Town) -> None:
    town.publish("La papa")
    assert town.announce().inline == 1
    fields = {name: getattr(town.broker, name) for name in town.broker.__struct_fields__}
    told = HubConfig(HubTable(str(town.folder / "hub")), kafka=HubKafkaTable(**fields))
    one = Crier(told, town.hub.shelf, Metrics(CollectorRegistry()))
    assert not one.look()
    admin = AdminClient({"bootstrap.servers": town.broker.bootstrap})
    end = offsets(town.broker, BUNDLES)[-1] + 1
    for done in admin.delete_records([TopicPartition(town.broker.topic(BUNDLES), 0, end)]).values():
        done.result(30)
    spoke = [one.look() for _ in range(herald.BUNDLES_EVERY)]
    assert spoke.count(True) == 1
    assert len(offsets(town.broker, BUNDLES)) > 0


def test_the_topic_of_answers_is_small_and_read_by_nobody_who_asks_nothing(town: Town) -> None:
    make_topics(town.broker, 1)
    offer = heavy(town)
    ask(town, Want(CHANNEL_ID, target=offer.target))
    assert Desk(town).answer() == ["given"]
    [(key, value)] = records(town, ANSWERS)
    assert key == f"{CHANNEL_ID}/none".encode()
    assert len(value) < 200
