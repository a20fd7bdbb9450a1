"""What Kafka costs a thin link: bytes to learn of a new version, and bytes while nothing is new.

`python -m tests.bench.kafka_idle [--quick]`. A hub announces real signed heads on Apache Kafka
(librdkafka's mock cluster where `make services` has not been); a node reads them through a
relay that counts what passes in both directions, connecting and disconnecting included.

* `learn_bytes`: a session of a running node that finds one new announcement, head included.
* `idle_bytes_per_min`: sessions that find nothing, at the usual `sync.every_seconds`.
* `first_session_bytes`: the first session of a run, which reads the last record again.
* `held_open_bytes_per_min`: what a consumer that stays connected would cost with the same
  library: tuned (a fetch waits 25 s) and as it comes. `null` with `--quick`.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from node.config import SyncTable
from sync.broker import ANNOUNCEMENTS, BrokerTable
from sync.transport.kafka import API_VERSION, make_topics
from sync.transport.kafka_road import KafkaSource
from tests.hub.publishing import CHANNEL_ID
from tests.services.kafka import Broker, installed
from tests.services.mock_broker import mock_broker
from tests.services.relay import Relay
from tests.services.town import Town

MINUTE = 60.0
SESSIONS = 5
TUNED = {
    "api_version": API_VERSION,
    "fetch_max_wait_ms": 25_000,
    "request_timeout_ms": 60_000,
    "metadata_max_age_ms": 3_600_000,
}


@contextlib.contextmanager
def broker() -> Iterator[tuple[str, BrokerTable]]:
    """Its name, and how it is reached."""
    if not installed():
        with mock_broker() as mock:
            yield "librdkafka mock", mock.table()
        return
    with tempfile.TemporaryDirectory() as folder:
        real = Broker.prepare(Path(folder))
        real.start()
        try:
            table = BrokerTable(real.plain)
            make_topics(table, 1)
            yield "Apache Kafka", table
        finally:
            real.stop()


async def session(source: KafkaSource, relay: Relay) -> int:
    """Bytes of one session."""
    relay.reset()
    await source.head(CHANNEL_ID)
    await source.rest()
    return relay.total


async def measure(town: Town, relay: Relay) -> dict[str, Any]:
    """The sessions of one node."""
    town.broker, direct = msgspec.structs.replace(town.broker, proxy=relay.url), town.broker
    source = KafkaSource(town.broker, CHANNEL_ID)
    town.broker = direct
    learnt, record = [], 0
    first = await session(source, relay)
    for number in range(SESSIONS):
        town.publish(f"La papa {number}")
        record = town.announce().bytes
        learnt.append(await session(source, relay))
    quiet = [await session(source, relay) for _ in range(SESSIONS)]
    place = source.place
    await source.close()
    again = KafkaSource(msgspec.structs.replace(direct, proxy=relay.url), CHANNEL_ID, place)
    restarted = await session(again, relay)
    await again.close()
    every = SyncTable().every_seconds
    return {
        "learn_bytes": max(learnt),
        "idle_bytes_per_min": round(max(quiet) * MINUTE / every),
        "quiet_session_bytes": max(quiet),
        "every_seconds": every,
        "record_bytes": record,
        "enrolled_bytes": first,
        "first_session_bytes": restarted,
    }


def held_open(table: BrokerTable, relay: Relay, seconds: float, **settings: Any) -> int:
    """Bytes a minute of a consumer that waits at the end of the topic."""
    consumer = KafkaConsumer(
        bootstrap_servers=table.bootstrap,
        proxy_url=relay.url,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        **settings,
    )
    place = TopicPartition(table.topic(ANNOUNCEMENTS), 0)
    consumer.assign([place])
    consumer.poll(timeout_ms=3000)
    relay.reset()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        consumer.poll(timeout_ms=1000)
    total = relay.total
    consumer.close(timeout_ms=1000)
    return round(total * MINUTE / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ends within 50 s")
    quick = parser.parse_args().quick
    with broker() as (name, table), Relay() as relay, tempfile.TemporaryDirectory() as folder:
        with contextlib.closing(Town(Path(folder), table)) as town:
            town.publish("La papa")
            town.announce()
            found = asyncio.run(measure(town, relay))
        peers: dict[str, int | None] = {"tuned": None, "defaults": None}
        if not quick:
            peers["tuned"] = held_open(table, relay, 2 * MINUTE, **TUNED)
            if name != "librdkafka mock":
                peers["defaults"] = held_open(table, relay, MINUTE)
    found |= {"held_open_bytes_per_min": peers, "broker": name}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
