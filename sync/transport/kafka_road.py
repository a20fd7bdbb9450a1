"""Kafka road: a Source that reads announcements and inline bundles, a Sink that writes to `up`.

* Connect, drain, disconnect: nothing is held open between two syncs. Where to go on is the
  node's own `place`, which it stores in the transaction that installs what it leads to.
* A place that the broker no longer has (retention, a topic made anew) means: from the
  beginning, which compaction keeps short. Old and repeated announcements are passed over.
* Nothing is believed here: a forged announcement costs its bytes; the judge has the last word.
* Where it is the only wire (`asks_as`), what is not announced, or lies there no longer, is asked
  for on `up`; the hub answers on `answers`, and a later session fetches it, chunk by chunk.
* The library blocks, so that all of it happens in one thread, which owns the connection.
"""

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import NoReturn

import msgspec

from sync import announcement
from sync.announcement import Announcement
from sync.broker import ANNOUNCEMENTS, ANSWERS, BUNDLES, UP, BrokerTable
from sync.bundle.offer import MAX_OFFER_BYTES, Offer
from sync.canonical import Digest, decode, encode, parse_digest
from sync.errors import ContentError, TransportError
from sync.head import head_to_bytes
from sync.lane import Lane
from sync.transport import RefusedError, answered, gathered, slug
from sync.transport.kafka import Producer, Record, Session, settings
from sync.want import Answer, Want, answer_from_bytes, object_fits, object_key, want_to_bytes

MAX_HELD = 256
MAX_ANSWERS = 4096
MAX_PLACE_BYTES = 8192
ASK_AGAIN_S = 1800.0
"""Seconds before the same is asked for again: the hub may be busy, or away."""
ROOT_KEY = "root/"

log = logging.getLogger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where a node has got to: the announcement last handed out, and its offset."""

    offset: int
    value: bytes


class KafkaSource:
    """Announcements of one channel. See `Source`. Use it from one event loop; close it."""

    def __init__(
        self,
        broker: BrokerTable,
        channel: str,
        place: bytes | None = None,
        *,
        asks_as: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`place` is what an earlier source's `place` was; `asks_as` the node's id, None: it
        asks for nothing."""
        self._asks_as, self._clock = asks_as, clock
        self._answers: dict[str, Answer] = {}
        self._answers_next = 0
        self._asked: dict[str, float] = {}
        self._gone: set[int | None] = set()
        settings(broker)  # refuses now what could never work
        self._broker = broker
        self._channel = slug(channel)
        self._thread = Lane("kafka")
        self._session: Session | None = None
        self._held: dict[int, Record] = {}
        self._roots: dict[int, bytes] = {}
        self._offered: tuple[Offer, int, Want] | None = None
        self._chunk: tuple[str, int, bytes] = ("", 0, b"")
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
        announced = self._announced(channel)
        want = Want(channel, target=target, base=base)
        at = self._still(announced.offset(base))
        if at is None:
            if base and self._still(announced.offset(None)) is not None:
                return None  # the whole lies there
            answer = await self._answer(want)
            if answer is None or answer.at is None:
                return None
            at = answer.at
        if self._offered is not None and self._offered[1:] == (at, want):
            return self._offered[0]  # a cut costs no second look at it
        data = (await self._record(at, f"{want.key}/0", want, at)).value
        if len(data) > MAX_OFFER_BYTES:
            raise RefusedError(f"an offer of {len(data)} bytes")
        try:
            found = answered(data, channel, base, target)
        except ContentError:
            self._gone.add(at)
            raise
        self._offered = (found, at, want)
        return found

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        if self._offered is None or self._offered[0].bundle != bundle:
            raise RefusedError(f"bundle {bundle[:12]} does not travel over Kafka")
        offer, at, want = self._offered
        while start < stop:
            number = start // offer.chunk_size
            key = f"{want.key}/{number + 1}"
            if self._chunk[:2] != (bundle, number):  # a part of it may be all that was asked for
                held = (await self._record(at + 1 + number, key, want, at)).value
                self._chunk = bundle, number, held
            data = self._chunk[2]
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
        want = Want(self._channel, object=parse_digest(name))
        answer = await self._answer(want)
        if answer is None or answer.at is None:
            raise RefusedError(f"object {name[:12]} does not travel over Kafka")
        parts = []
        for number in range(object_fits(answer)):
            key = object_key(name, number)
            parts.append((await self._record(answer.at + number, key, want, answer.at)).value)
        data = b"".join(parts)
        if len(data) != answer.size:
            raise RefusedError(f"object {name[:12]} has {len(data)} bytes, not {answer.size}")
        return data

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

    async def _record(self, offset: int, key: str, want: Want, first: int) -> Record:
        """The record at `offset`, which belongs to what lies from `first` on.

        When it is gone, that is asked for again.
        """
        if offset not in self._held:
            self._held.clear()
            await self._thread.run(self._fetch, offset)
        found = self._held.pop(offset, None)
        if found is not None and found.key == key.encode():
            return found
        self._gone.add(first)
        if self._asks_as is not None:
            await self._ask(want)
        raise RefusedError(
            f"kafka {self._broker.bootstrap}: {key} is gone", hint="it comes over another road"
        )

    def _still(self, at: int | None) -> int | None:
        return None if at in self._gone else at

    async def _answer(self, want: Want) -> Answer | None:
        """What the hub said of `want`; None where nobody may be asked.

        Raises TransportError when the hub has not said anything yet: it is asked.
        """
        if self._asks_as is None:
            return None
        await self._thread.run(self._hear)
        answer = self._answers.get(want.key)
        if answer is not None and answer.name == want.name and answer.at not in self._gone:
            return answer
        return await self._ask(want)

    async def _ask(self, want: Want) -> NoReturn:
        """Asks the hub for `want`, unless that was done a moment ago. Raises TransportError."""
        asked = self._asked.get(want.key)
        if asked is None or self._clock() - asked >= ASK_AGAIN_S:
            await self._thread.run(self._post, want)
            self._asked[want.key] = self._clock()
        raise TransportError(
            f"kafka {self._broker.bootstrap}: {want.key} is not there; the hub was asked for it",
            hint="the hub puts it into Kafka, and one of the next syncs fetches it",
        )

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

    def _hear(self) -> None:
        """Reads what the hub has answered to anybody."""
        topic = self._broker.topic(ANSWERS)
        try:
            for record in self._connected().news(topic, self._answers_next):
                self._answers_next = record.offset + 1
                key = record.key.decode(errors="replace")
                try:
                    self._answers.pop(key, None)
                    self._answers[key] = told = answer_from_bytes(record.value)
                    self._gone.discard(told.at)  # said anew: it lies there again
                except ContentError as error:
                    log.warning("answer %d is passed over: %s", record.offset, error)
                if len(self._answers) > MAX_ANSWERS:
                    del self._answers[next(iter(self._answers))]
        except TransportError:
            self._disconnect()
            raise

    def _post(self, want: Want) -> None:
        assert self._asks_as is not None
        with contextlib.closing(Producer(self._broker)) as producer:
            producer.put(self._broker.topic(UP), self._asks_as.encode(), want_to_bytes(want))

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
