"""Herald: what the hub says on Kafka, from the settings: connect, speak, disconnect.

* It knows the concrete broker, as `app.py` and `office.py` know the other concrete classes; the
  library behind it is loaded only where Kafka is set up.
* Only one program of this hub writes announcements and bundles at a time (`turn`): the records
  of a bundle must lie in a row.
* A hub that serves looks again and again whether its head is announced, and says it when it is
  not: the broker was away, or lost the topic (`Crier`).
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from hub.announcer import Announced, Announcer
from hub.config import HubConfig
from hub.library import Library
from hub.metrics import Metrics
from hub.publisher import published
from hub.shelf import Shelf
from hub.supplier import Supplier, Topics
from sync import announcement
from sync.announcement import Announcement
from sync.broker import ANNOUNCEMENTS, BUNDLES, BrokerTable
from sync.errors import ChaskiError, ContentError, TransportError
from sync.files import make_folder
from sync.head import head_to_bytes
from sync.lane import Lane

LOOK_S = 60.0
BUNDLES_EVERY = 60
"""At every so many looks the bundles that are announced are looked for as well."""
FIRST_PAUSE_S, MOST_PAUSE_S = 5.0, 600.0
log = logging.getLogger("chaski.hub")


def announce(config: HubConfig, library: Library, shelf: Shelf) -> Announced:
    """Announces what is published. Raises TransportError, SettingsError, ContentError."""
    from sync.transport.kafka import Producer, make_topics

    channel, broker = config.channel.id, config.kafka
    verdict = published(shelf, channel)
    if verdict is None:
        raise ContentError(
            f"channel {channel!r} is not published yet", hint="publish it: `chaski-hub publish`"
        )
    make_topics(broker, broker.replication)
    announcer = Announcer(library, shelf, broker, channel, broker.inline_kilobytes * 1000)
    with turn(config), contextlib.closing(Producer(broker)) as producer:
        return announcer.announce(producer, verdict.root)


def after_publishing(config: HubConfig, library: Library, shelf: Shelf) -> Announced | None:
    """As `announce`, where Kafka is set up. The publication stands, also when this fails."""
    if not config.kafka.bootstrap:
        return None
    try:
        return announce(config, library, shelf)
    except TransportError as error:
        log.warning(
            "published, but not announced: %s; a hub that serves does it when the broker is back,"
            " and so does `chaski-hub announce`",
            error,
        )
        return None


@contextlib.contextmanager
def turn(config: HubConfig) -> Iterator[None]:
    """Waits until no other program or thread of this hub writes bundles."""
    make_folder(config.data)
    handle = os.open(config.data / "kafka.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Opened:
    """The topics of one broker. See `hub.supplier.Topics`. Close it."""

    def __init__(self, broker: BrokerTable) -> None:
        """Raises TransportError."""
        from sync.transport.kafka import Producer, Session

        self._session = Session(broker)
        try:
            self._producer = Producer(broker)
        except BaseException:
            self._session.close()
            raise

    def put(self, topic: str, key: bytes, value: bytes) -> int:
        """See `Topics`."""
        return self._producer.put(topic, key, value)

    def keys(self, topic: str, offset: int, count: int) -> list[bytes]:
        """See `Topics`."""
        found: list[bytes] = []
        while len(found) < count:
            page = self._session.page(topic, offset + len(found))
            for record in page[: count - len(found)]:
                if record.offset != offset + len(found):
                    return found
                found.append(record.key)
            if not page:
                break
        return found

    def all(self, topic: str) -> list[tuple[bytes, bytes]]:
        """See `Topics`."""
        return [(record.key, record.value) for record in self._session.news(topic, 0)]

    def close(self) -> None:
        """Disconnects."""
        self._producer.close()
        self._session.close()


@contextlib.contextmanager
def opened(config: HubConfig) -> Iterator[Topics]:
    """The topics, in our turn. Raises TransportError."""
    from sync.transport.kafka import make_topics

    make_topics(config.kafka, config.kafka.replication)
    with turn(config), contextlib.closing(Opened(config.kafka)) as topics:
        yield topics


def supplier(config: HubConfig, shelf: Shelf) -> Supplier:
    """For the server; use it from one thread."""
    return Supplier(
        shelf,
        config.channel.id,
        config.kafka,
        config.kafka.supply_megabytes * 1_000_000,
        partial(opened, config),
    )


class Crier:
    """Announces the head of a hub that serves whenever the topic does not have it."""

    def __init__(
        self,
        config: HubConfig,
        shelf: Shelf,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config, self._shelf, self._metrics, self._sleep = config, shelf, metrics, sleep
        self._seen: tuple[int, bytes] | None = None
        """Offset and head of the announcement found last."""
        self._looks = 0

    async def run(self) -> None:
        """Looks for ever; until it is cancelled."""
        trouble, pause = "", FIRST_PAUSE_S
        lane = Lane("chaski-crier")
        try:
            while True:
                wait = LOOK_S
                try:
                    await lane.run(self.look)
                    trouble, pause = "", FIRST_PAUSE_S
                except (ChaskiError, OSError, sqlite3.Error) as error:
                    if str(error) != trouble:
                        log.warning("not announced: %s", error)
                        trouble = str(error)
                    self._metrics.announcements.labels("failed").inc()
                    wait, pause = pause, min(pause * 2, MOST_PAUSE_S)
                await self._sleep(wait)
        finally:
            await lane.close(lambda: None)

    def look(self) -> bool:
        """Announces what is published unless that is announced; True when it spoke.

        Raises TransportError, ContentError, SettingsError.
        """
        head = self._shelf.head(self._config.channel.id)
        if head is None or self._announced(head):
            return False
        with Library(self._config.database) as library:
            done = announce(self._config, library, self._shelf)
        self._seen = done.offset, head
        self._metrics.announcements.labels("done").inc()
        log.info("announced %s on Kafka, %d bundles with it", done.channel, done.inline)
        return True

    def _announced(self, head: bytes) -> bool:
        """True when the newest announcement of our channel has this head."""
        from sync.transport.kafka import Session, make_topics

        broker, key = self._config.kafka, self._config.channel.id.encode()
        make_topics(broker, broker.replication)
        # What was found before is looked at first: a topic made anew has something else there.
        start = self._seen[0] if self._seen and self._seen[1] == head else 0
        newest = None
        with contextlib.closing(Session(broker)) as session:
            for record in session.news(broker.topic(ANNOUNCEMENTS), start):
                if record.key == key:
                    newest = record
        if newest is None:
            return False
        try:
            said = announcement.from_bytes(newest.value)
        except ContentError:
            return False
        told = head_to_bytes(said.head)
        self._seen = newest.offset, told
        self._looks += 1
        return told == head and (self._looks % BUNDLES_EVERY != 1 or self._bundles_lie(said))

    def _bundles_lie(self, said: Announcement) -> bool:
        """True when the bundles of an announcement have not been tidied away."""
        from sync.transport.kafka import Session

        topic = self._config.kafka.topic(BUNDLES)
        with contextlib.closing(Session(self._config.kafka)) as session:
            for base, offset in said.bundles:
                page = session.page(topic, offset)
                key = f"{self._config.channel.id}/{base}/0".encode()
                if not page or (page[0].offset, page[0].key) != (offset, key):
                    return False
        return True
