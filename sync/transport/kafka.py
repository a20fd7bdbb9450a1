"""Kafka: the doorway of kafka-python. What a node (`kafka_road.py`) and the hub need of it.

* No consumer groups: a `Session` connects, reads from an offset that we keep, disconnects.
* It blocks: whoever calls has a thread for it, and one object belongs to one thread. Every
  wait ends after `timeout_seconds`. What the library raises becomes TransportError here.
* Topics are made by the hub alone; only partition 0 of each is used, since announcements refer
  to offsets.
"""

import contextlib
import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.broker_version_data import BrokerVersionData
from kafka.protocol.metadata import ApiVersionsRequest

from sync.broker import ANNOUNCEMENTS, ANSWERS, BUNDLES, UP, BrokerTable
from sync.errors import SettingsError, TransportError
from sync.files import atomic_write

API_VERSION = (2, 3)
"""What we speak. Newer versions answer in 700 bytes more a session (measured on 4.1)."""
FETCH_BYTES = 65 * 1024
"""One chunk and an offer come in one answer. What is more is cut off in the middle of the next
record and travels in vain: with 96 KiB a large bundle cost 1.43 times its size, with 65 1.02
(measured on Kafka 4.1)."""
WAIT_MS, SLICE_MS = 500, 50
IDLE_MS = 9 * 60 * 1000
CLOSE_MS = 1000
BACKOFF_MS = 1000
METADATA_MS = 60 * 60 * 1000
DAY_MS = 86_400_000
TOPICS: dict[str, dict[str, str]] = {
    ANNOUNCEMENTS: {"cleanup.policy": "compact"},
    BUNDLES: {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(90 * DAY_MS),
        "retention.bytes": str(2 * 1024**3),
    },
    ANSWERS: {"cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS)},
    UP: {"cleanup.policy": "delete", "retention.ms": str(60 * DAY_MS)},
}
"""What each topic is made with."""

# Every attempt is a line of its log, several a second; what matters is raised.
logging.getLogger("kafka").setLevel(logging.CRITICAL)

_HINT = "see that the broker runs and [kafka] names it rightly; it is tried again later"


class _Terse(KafkaNetClient):  # type: ignore[misc]
    """The library's client, which does not ask each connection what versions the broker speaks.

    We have decided on `API_VERSION`; the answer costs 400 bytes twice a session (Kafka 4.1).
    """

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        manager = KafkaConnectionManager(net, **configs)
        told = BrokerVersionData(API_VERSION).api_versions
        known = {key: value for key, value in told.items() if key != ApiVersionsRequest.API_KEY}
        manager.broker_version_data = BrokerVersionData(API_VERSION, known)
        super().__init__(net, manager)


class Record(NamedTuple):
    """One record of a topic."""

    offset: int
    key: bytes
    value: bytes


def settings(broker: BrokerTable) -> dict[str, Any]:
    """What every client of the library is told. Raises SettingsError."""
    timeout = int(broker.timeout_seconds * 1000)
    told: dict[str, Any] = {
        "bootstrap_servers": broker.bootstrap.split(","),
        "client_id": "chaski",
        "api_version": API_VERSION,
        "metadata_max_age_ms": METADATA_MS,
        "request_timeout_ms": max(timeout, 2 * WAIT_MS),
        "connections_max_idle_ms": max(IDLE_MS, 2 * timeout),
        "bootstrap_timeout_ms": timeout,
        "reconnect_backoff_max_ms": BACKOFF_MS,  # it sleeps that long beyond any timeout
        "proxy_url": broker.proxy or None,
        "security_protocol": "SSL" if broker.tls else "PLAINTEXT",
    }
    if broker.tls:
        told["ssl_context"] = _tls(broker)
    if broker.username:
        if broker.mechanism == "PLAIN" and not broker.tls:
            raise SettingsError(
                "kafka.mechanism is PLAIN without TLS",
                hint="set kafka.tls, or take SCRAM-SHA-256: the password would be readable",
            )
        told |= {
            "security_protocol": "SASL_SSL" if broker.tls else "SASL_PLAINTEXT",
            "sasl_mechanism": broker.mechanism,
            "sasl_plain_username": broker.username,
            "sasl_plain_password": _password(broker),
        }
    return told


def _tls(broker: BrokerTable) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=broker.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"kafka.ca_file {broker.ca_file}: {error}", hint="it is a file of PEM certificates"
        ) from error


def _password(broker: BrokerTable) -> str:
    try:
        return Path(broker.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"kafka.password_file {broker.password_file!r} cannot be read: {error}",
            hint="put the password of kafka.username there, mode 0600",
        ) from error


@contextlib.contextmanager
def _translated(broker: BrokerTable) -> Iterator[None]:
    """Makes TransportError of what the library raises."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise TransportError(f"kafka {broker.bootstrap}: {error}", hint=_HINT) from error


class Session:
    """One consumer of single partitions, without a group. Close it.

    `consumer.bootstrap` is not used: it joins an attempt of the library that never ends.
    """

    def __init__(self, broker: BrokerTable) -> None:
        """Raises SettingsError, TransportError. Nothing is sent before the first question."""
        self._broker = broker
        with _translated(broker):
            self._consumer = KafkaConsumer(
                **settings(broker),
                kafka_client=_Terse,
                group_id=None,
                metrics_enabled=False,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                fetch_max_wait_ms=WAIT_MS,
                fetch_max_bytes=FETCH_BYTES,
                max_partition_fetch_bytes=FETCH_BYTES,
            )
        self._timeout_ms = int(broker.timeout_seconds * 1000)

    def close(self) -> None:
        """Disconnects."""
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def news(self, topic: str, offset: int) -> Iterator[Record]:
        """What lies in `topic` from `offset` up to its end now. Raises TransportError."""
        at = self._go(topic, offset)
        while found := self._some(at):
            yield from found

    def page(self, topic: str, offset: int, wait_s: float = 0.0) -> list[Record]:
        """A fetchful of `topic` from `offset` on; empty at its end, after `wait_s` there.

        Raises TransportError.
        """
        at = self._go(topic, offset)
        with _translated(self._broker):
            if wait_s and self._ended(at):
                return self._poll(at, int(wait_s * 1000))
        return self._some(at)

    def _go(self, topic: str, offset: int) -> TopicPartition:
        at = TopicPartition(topic, 0)
        with _translated(self._broker):
            if self._consumer.assignment() != {at}:
                self._consumer.assign([at])
                self._consumer.seek(at, offset)
            elif self._consumer.position(at, timeout_ms=self._timeout_ms) != offset:
                self._consumer.seek(at, offset)
        return at

    def _some(self, at: TopicPartition) -> list[Record]:
        """The next records; empty when the end is reached."""
        until = time.monotonic() + self._broker.timeout_seconds
        with _translated(self._broker):
            while time.monotonic() < until:
                if self._ended(at):
                    return []
                if polled := self._poll(at, SLICE_MS):
                    return polled
        raise TransportError(
            f"kafka {self._broker.bootstrap}: no answer about {at.topic}",
            hint="see that the broker runs, that the hub has announced once, and that this user"
            " may read the topic",
        )

    def _poll(self, at: TopicPartition, wait_ms: int) -> list[Record]:
        polled = self._consumer.poll(timeout_ms=wait_ms).get(at, ())
        return [Record(r.offset, r.key or b"", r.value or b"") for r in polled]

    def _ended(self, at: TopicPartition) -> bool:
        end = self._consumer.highwater(at)
        if end is None:
            return False
        return bool(self._consumer.position(at, timeout_ms=self._timeout_ms) >= end)


class Producer:
    """Writes records and waits until all replicas have them. Close it.

    Not idempotent: that costs a question each session, and a record twice does no harm.
    """

    def __init__(self, broker: BrokerTable) -> None:
        """Raises TransportError when no broker answers."""
        self._broker = broker
        timeout = max(int(broker.timeout_seconds * 1000), 2 * WAIT_MS)
        with _translated(broker):
            self._producer = KafkaProducer(
                **settings(broker),
                kafka_client=_Terse,
                acks="all",
                metrics_enabled=False,
                enable_idempotence=False,
                allow_auto_create_topics=False,
                max_in_flight_requests_per_connection=1,
                delivery_timeout_ms=timeout + 1,
                max_block_ms=timeout,
            )

    def put(self, topic: str, key: bytes, value: bytes) -> int:
        """The offset of the record in its partition. Raises TransportError."""
        with _translated(self._broker):
            sent = self._producer.send(topic, key=key, value=value, partition=0)
            return int(sent.get(timeout=self._broker.timeout_seconds + 1).offset)

    def close(self) -> None:
        """Disconnects."""
        with contextlib.suppress(KafkaError, OSError):
            self._producer.close(timeout=CLOSE_MS / 1000)


def make_topics(broker: BrokerTable, replication: int) -> list[str]:
    """Makes those topics that are missing; returns their names. Raises TransportError."""
    with _translated(broker):
        admin: Any = KafkaAdminClient(**settings(broker))
        try:
            there = set(admin.list_topics())
            missing = {
                broker.topic(name): {
                    "num_partitions": 1,
                    "replication_factor": replication,
                    "configs": configs,
                }
                for name, configs in TOPICS.items()
                if broker.topic(name) not in there
            }
            if missing:
                with contextlib.suppress(TopicAlreadyExistsError):
                    admin.create_topics(missing, wait_for_metadata=True)
            return sorted(missing)
        finally:
            admin.close()


class Collector:
    """The hub's end of the topic `up`: records in turn, again until they are `done`. Close it.

    How far it got is in the file `place`: a group would cost a coordinator and tell no more.
    """

    def __init__(self, broker: BrokerTable, place: Path) -> None:
        """Raises SettingsError. A broker that is down is waited for in `take`."""
        self._place, self._topic = place, broker.topic(UP)
        self._next = self._stored = self._read()
        self._session = Session(broker)

    def take(self, wait_s: float) -> list[bytes]:
        """The next blocks, or none within `wait_s`. Raises TransportError."""
        page = self._session.page(self._topic, self._next, wait_s)
        if page:
            self._next = page[-1].offset + 1
        return [record.value for record in page]

    def done(self) -> None:
        """All that was taken is stored: the next start goes on after it. Raises SpaceError."""
        if self._next != self._stored:
            atomic_write(self._place, str(self._next).encode())
            self._stored = self._next

    def close(self) -> None:
        """Disconnects."""
        self._session.close()

    def _read(self) -> int:
        """0, the beginning, where there is no such file: what comes twice is known."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return max(0, int(self._place.read_bytes()[:20]))
        return 0
