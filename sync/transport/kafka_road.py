"""Kafka road: a Source that reads announcements and inline bundles, a Sink that writes to `up`.

* Connect, drain, disconnect: nothing is held open between two syncs. Where to go on is the
  node's own `place`, which it stores in the transaction that installs what it leads to.
* A place that the broker no longer has (retention, a topic made anew) means: from the
  beginning, which compaction keeps short. Old and repeated announcements are passed over.
* Nothing is believed here: a forged announcement costs its bytes; the judge has the last word.
* The library blocks, so that all of it happens in one thread, which owns the connection.
"""

import logging
from collections.abc import AsyncGenerator

import msgspec

from sync import announcement
from sync.announcement import Announcement
from sync.broker import ANNOUNCEMENTS, BUNDLES, UP, BrokerTable
from sync.bundle.offer import Offer
from sync.canonical import Digest, decode, encode
from sync.errors import ContentError, TransportError
from sync.head import head_to_bytes
from sync.lane import Lane
from sync.transport import MAX_SMALL_BYTES, RefusedError, answered, gathered, slug
from sync.transport.kafka import Producer, Record, Session, settings

MAX_HELD = 256
MAX_PLACE_BYTES = 8192
ROOT_KEY = "root/"

log = logging.getLogger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where a node has got to: the announcement last handed out, and its offset."""

    offset: int
    value: bytes


class KafkaSource:
    """Announcements of one channel. See `Source`. Use it from one event loop; close it."""

    def __init__(self, broker: BrokerTable, channel: str, place: bytes | None = None) -> None:
        """`place` is what an earlier source's `place` was."""
        settings(broker)  # refuses now what could never work
        self._broker = broker
        self._channel = slug(channel)
        self._thread = Lane("kafka")
        self._session: Session | None = None
        self._held: dict[int, Record] = {}
        self._roots: dict[int, bytes] = {}
        self._offered: tuple[Offer, int, str] | None = None
        self._place = _place(place)
        self._known = announcement.from_bytes(self._place.value) if self._place else None
        self._settled = self._known.age if self._known else (0, 0)
        self._sure = self._place is None
        self._next = 0
        self._fresh = False

    @property
    def place(self) -> bytes | None:
        """To be stored with what was made of the head handed out last."""
        return encode(self._place) if self._place else None

    def settled(self) -> None:
        """What was handed out was believed and `place` is stored: older is passed over now."""
        if self._known is not None:
            self._settled = self._known.age

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        await self._refresh()
        self._fresh = False
        return head_to_bytes(self._announced(channel).head)

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        await self._refresh()
        if number > self._announced(self._channel).root:
            return None
        if number not in self._roots:
            self._fresh = False
            raise RefusedError(f"kafka {self._broker.bootstrap}: root keys {number} are not there")
        return self._roots[number]

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        at = self._announced(channel).offset(base)
        if at is None:
            return None
        key = f"{channel}/{announcement.short(base)}"
        data = (await self._record(at, f"{key}/0")).value
        if len(data) > MAX_SMALL_BYTES:
            raise RefusedError(f"an offer of {len(data)} bytes")
        found = answered(data, channel, base, target)
        self._offered = (found, at, key)
        return found

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        if self._offered is None or self._offered[0].bundle != bundle:
            raise RefusedError(f"bundle {bundle[:12]} does not travel over Kafka")
        offer, at, key = self._offered
        while start < stop:
            number = start // offer.chunk_size
            data = (await self._record(at + 1 + number, f"{key}/{number + 1}")).value
            first, last = offer.span(number)
            if len(data) != last - first:
                raise RefusedError(f"bundle {bundle[:12]}: chunk {number} has {len(data)} bytes")
            piece = data[start - first : stop - first]
            start += len(piece)
            yield piece

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`. The hub itself tells them."""
        return None

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        raise RefusedError(f"object {name[:12]} does not travel over Kafka")

    async def rest(self) -> None:
        """Disconnects until the next question."""
        if self._session is not None:
            await self._thread.run(self._disconnect)

    async def close(self) -> None:
        """Disconnects and ends the thread."""
        await self._thread.close(self._disconnect)

    async def _refresh(self) -> None:
        if not self._fresh:
            await self._thread.run(self._drain)
            self._fresh = True

    async def _record(self, offset: int, key: str) -> Record:
        if offset not in self._held:
            self._held.clear()
            await self._thread.run(self._fetch, offset)
        found = self._held.pop(offset, None)
        if found is None or found.key != key.encode():
            raise RefusedError(
                f"kafka {self._broker.bootstrap}: {key} is gone", hint="it comes over another road"
            )
        return found

    def _announced(self, channel: str) -> Announcement:
        if self._known is None or channel != self._channel:
            raise RefusedError(
                f"kafka {self._broker.bootstrap}: nothing is announced for {channel!r}",
                hint="publish at the hub, or `chaski-hub announce`",
            )
        return self._known

    # In the thread.

    def _connected(self) -> Session:
        if self._session is None:
            self._session = Session(self._broker)
        return self._session

    def _disconnect(self) -> None:
        self._held.clear()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _fetch(self, offset: int) -> None:
        try:
            page = self._connected().page(self._broker.topic(BUNDLES), offset)
            self._held |= {record.offset: record for record in page[:MAX_HELD]}
        except TransportError:
            self._disconnect()
            raise

    def _drain(self) -> None:
        """Reads what is new; the first time also what was read last, to know the topic again."""
        try:
            if self._sure:
                self._read(self._next)
                return
            assert self._place is not None
            before = self._place
            if before not in self._read(before.offset) and self._place == before:
                log.warning("topic of %s was made anew: read from its beginning", self._channel)
                self._read(0)
            self._sure = True
        except TransportError:
            self._disconnect()
            raise

    def _read(self, offset: int) -> list[Place]:
        """Takes in all announcements from `offset`; those of our channel, as places."""
        seen = []
        self._next = offset
        for record in self._connected().news(self._broker.topic(ANNOUNCEMENTS), offset):
            self._next = record.offset + 1
            key = record.key.decode(errors="replace")
            if key == self._channel:
                seen.append(Place(record.offset, record.value))
                self._take(seen[-1])
            elif (number := _root_number(key)) and len(self._roots) < MAX_HELD:
                self._roots[number] = record.value
        return seen

    def _take(self, place: Place) -> None:
        try:
            found = announcement.from_bytes(place.value)
            if found.head.channel != self._channel:
                raise ContentError(f"announcement of channel {found.head.channel!r}")
            old = found.age < self._settled
        except ContentError as error:
            log.warning("announcement %d is passed over: %s", place.offset, error)
            return
        if old:
            log.info("announcement %d is older than what is believed", place.offset)
            return
        self._known, self._place = found, place


def _place(data: bytes | None) -> Place | None:
    """A place that cannot be read is none: the topic is read from its beginning."""
    if data is None:
        return None
    try:
        found = decode(data, Place, limit=MAX_PLACE_BYTES, what="place in Kafka")
        announcement.from_bytes(found.value)
    except ContentError as error:
        log.warning("%s", error)
        return None
    return found


def _root_number(key: str) -> int | None:
    """Which version of the root keys is under `key`."""
    digits = key.removeprefix(ROOT_KEY)
    return int(digits) if key != digits and digits.isdecimal() and len(digits) < 10 else None


class KafkaSink:
    """Blocks of one node, into the topic `up`. See `Sink`. Close it.

    True means that the broker keeps it until the hub has it; the hub stores each block once.
    """

    def __init__(self, broker: BrokerTable, node: str) -> None:
        settings(broker)
        self._broker = broker
        self._key = node.encode()
        self._thread = Lane("kafka-up")
        self._producer: Producer | None = None

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._put(block)

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        return await self._put(block)

    async def rest(self) -> None:
        """Disconnects until the next block."""
        if self._producer is not None:
            await self._thread.run(self._disconnect)

    async def close(self) -> None:
        """Disconnects and ends the thread."""
        await self._thread.close(self._disconnect)

    async def _put(self, block: bytes) -> bool:
        return await self._thread.run(self._send, block)

    def _send(self, block: bytes) -> bool:
        try:
            if self._producer is None:
                self._producer = Producer(self._broker)
            self._producer.put(self._broker.topic(UP), self._key, block)
        except TransportError:
            self._disconnect()
            raise
        return True

    def _disconnect(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None
