"""librdkafka's mock cluster as a broker in this process: fast, and it keeps no promises on disk.

It speaks the protocol as of Kafka 2.3, makes topics when they are first asked for, compacts
nothing, and keeps 5 MB a partition. Closing it is the broker going away with all its data.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from sync.broker import ANNOUNCEMENTS, BUNDLES, UP, BrokerTable


class MockBroker:
    """One broker at `address`, with the three topics."""

    def __init__(self) -> None:
        self._owner = Producer({"bootstrap.servers": "mock:1", "test.mock.num.brokers": 1})
        [broker] = self._owner.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"
        for name in (ANNOUNCEMENTS, BUNDLES, UP):
            self._owner.list_topics(self.table().topic(name), timeout=10)

    def table(self, timeout_seconds: float = 20.0) -> BrokerTable:
        """How it is reached."""
        return BrokerTable(bootstrap=self.address, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        """Ends it; everything in it is lost."""
        self._owner.flush(1)
        del self._owner
        gc.collect()


@contextmanager
def mock_broker() -> Iterator[MockBroker]:
    """A broker for one test."""
    broker = MockBroker()
    try:
        yield broker
    finally:
        if hasattr(broker, "_owner"):
            broker.close()
        gc.collect()  # and the sockets that kafka-python left behind
