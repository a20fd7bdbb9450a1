"""Supplier: puts into Kafka what nodes without any other wire ask for.

* A want costs the hub no more than its bounds: only what is current (or an object on the shelf)
  is given, the same thing once for all who ask, and so many bytes a day in all. What is over
  that, or for another channel, is counted and passed over; the node asks again later.
* What was given and still lies there whole is not put again; it is answered again.
* Records lie in a row, as those of announced bundles do; the answer comes last.
* Only one thread uses it; `turn` keeps other programs of this hub from writing in between.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from hub.announcer import Records, put_bundle
from hub.deltas import NO_BASE
from hub.publisher import published
from hub.shelf import Shelf
from sync.announcement import short
from sync.broker import ANSWERS, BUNDLES, BrokerTable
from sync.bundle import Offer
from sync.canonical import Digest
from sync.errors import ContentError
from sync.want import (
    OBJECT_CHUNK_BYTES,
    Answer,
    Want,
    answer_from_bytes,
    answer_to_bytes,
    object_key,
    want_from_bytes,
)

QUIET_S = 600.0
"""Who asked meanwhile finds the answer that was just given."""
MAX_GIVEN = 4096
DAY_S = 86400.0
TRIES = 2

Supplied = Literal["given", "there", "none", "quiet", "over", "foreign", "damaged", "failed"]


class Topics(Records, Protocol):
    """The topics, to be written and to be looked into."""

    def keys(self, topic: str, offset: int, count: int) -> list[bytes]:
        """The keys of the `count` records from `offset` on; fewer where one is missing."""
        ...

    def all(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Key and value of every record."""
        ...


@dataclass(frozen=True, slots=True)
class _Given:
    answer: Answer
    at: float | None
    """By the clock; None: in an earlier run."""


class Supplier:
    """For one channel, at most `bytes_per_day`."""

    def __init__(
        self,
        shelf: Shelf,
        channel: str,
        broker: BrokerTable,
        bytes_per_day: int,
        connect: Callable[[], AbstractContextManager[Topics]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connect` opens the topics in their turn, and raises TransportError."""
        self._shelf, self._channel, self._broker = shelf, channel, broker
        self._rate, self._allowance = bytes_per_day / DAY_S, float(bytes_per_day)
        self._most = float(bytes_per_day)
        self._connect, self._clock = connect, clock
        self._filled_at = clock()
        self._given: dict[str, _Given] | None = None

    def supply(self, record: bytes) -> Supplied:
        """Gives what the `record` of `up` asks for. Raises TransportError: nothing was said."""
        try:
            want = want_from_bytes(record)
        except ContentError:
            return "damaged"
        if want.channel != self._channel or not self._current(want):
            return "foreign"
        if self._just_given(want):
            return "quiet"
        try:
            offer, data = self._found(want)
        except ContentError:  # our own disk: selftest says so
            return "failed"
        with self._connect() as topics:
            if self._given is None:
                self._given = self._recalled(topics)
            return self._give(want, offer, data, topics)

    def _just_given(self, want: Want) -> bool:
        """True when the answer is so new that who asks may not have read it yet."""
        known = (self._given or {}).get(want.key)
        if known is None or known.answer.name != want.name or known.at is None:
            return False
        return self._clock() - known.at < QUIET_S

    def _current(self, want: Want) -> bool:
        """True when it leads to what is published now, or is a single object."""
        head = published(self._shelf, self._channel)
        return head is not None and (want.object is not None or want.target == head.root)

    def _found(self, want: Want) -> tuple[Offer | None, bytes | None]:
        """What is to be given: a bundle, or an object; neither when there is no such thing."""
        if want.object is not None:
            return None, self._shelf.object(want.object)
        assert want.target is not None
        return self._shelf.offer(self._channel, want.base or NO_BASE, want.target), None

    def _give(
        self, want: Want, offer: Offer | None, data: bytes | None, topics: Topics
    ) -> Supplied:
        assert self._given is not None
        if offer is None and data is None:
            self._say(want, Answer(want.name, None), topics)
            return "none"
        size = offer.size if offer else len(data or b"")
        keys = _keys(want, offer, size)
        known = self._given.get(want.key)
        if known and known.answer.name == want.name and known.answer.at is not None:
            lying = topics.keys(self._broker.topic(BUNDLES), known.answer.at, len(keys))
            if lying == keys:
                self._say(want, known.answer, topics)
                return "there"
        if not self._allowed(size):
            return "over"
        for _ in range(TRIES):
            at = (
                put_bundle(topics, self._broker, self._shelf.deltas, offer)
                if offer
                else self._put_object(topics, want.name, data or b"")
            )
            if at is not None:
                self._say(want, Answer(want.name, at, size), topics)
                return "given"
        return "failed"

    def _put_object(self, topics: Topics, name: Digest, data: bytes) -> int | None:
        """The offset of its first record; None when they do not lie in a row."""
        first = None
        for number, start in enumerate(range(0, len(data), OBJECT_CHUNK_BYTES)):
            piece = data[start : start + OBJECT_CHUNK_BYTES]
            key = object_key(name, number).encode()
            at = topics.put(self._broker.topic(BUNDLES), key, piece)
            first = at if first is None else first
            if at != first + number:
                return None
        return first

    def _say(self, want: Want, answer: Answer, topics: Topics) -> None:
        assert self._given is not None
        topics.put(self._broker.topic(ANSWERS), want.key.encode(), answer_to_bytes(answer))
        self._given.pop(want.key, None)
        self._given[want.key] = _Given(answer, self._clock())
        if len(self._given) > MAX_GIVEN:
            del self._given[next(iter(self._given))]

    def _allowed(self, size: int) -> bool:
        """Takes `size` bytes from what the day allows, if that much is left."""
        now = self._clock()
        self._allowance = min(self._most, self._allowance + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if size > self._allowance:
            return False
        self._allowance -= size
        return True

    def _recalled(self, topics: Topics) -> dict[str, _Given]:
        """What an earlier run has answered."""
        found: dict[str, _Given] = {}
        for key, value in topics.all(self._broker.topic(ANSWERS))[-MAX_GIVEN:]:
            try:
                found[key.decode(errors="replace")] = _Given(answer_from_bytes(value), None)
            except ContentError:
                continue
        return found


def _keys(want: Want, offer: Offer | None, size: int) -> list[bytes]:
    """The keys of its records, in order."""
    if offer is None:
        count = -(-size // OBJECT_CHUNK_BYTES)
        return [object_key(want.name, number).encode() for number in range(count)]
    stem = f"{offer.channel}/{short(offer.base)}"
    return [f"{stem}/{number}".encode() for number in range(offer.chunk_count + 1)]
