"""Announcer: says on Kafka what the shelf says: root keys, small bundles, and last the head.

* It only reads the shelf; announcing again changes nothing for a node that has it all.
* Bundles lie in their topic, offer first, then one record a chunk, before the announcement
  names their offsets. One that is too large, or whose records do not lie in a row, is not
  named: nodes fetch it over HTTP.
* The newest bases come first; those that no longer fit into 2 KB are not named either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from hub.deltas import Deltas
from hub.library import Library
from hub.shelf import Shelf
from sync import announcement
from sync.announcement import Announcement
from sync.broker import ANNOUNCEMENTS, BUNDLES, BrokerTable
from sync.bundle import Offer
from sync.canonical import Digest, encode
from sync.errors import ContentError
from sync.head import Head, head_from_bytes

MAX_BASES = 16


class Records(Protocol):
    """Where announcements go; `sync.transport.kafka.Producer`."""

    def put(self, topic: str, key: bytes, value: bytes) -> int:
        """Writes a record, durably, and returns its offset."""
        ...


@dataclass(frozen=True, slots=True)
class Announced:
    """What was said. `inline` bundles lie in Kafka; sizes in bytes."""

    channel: str
    offset: int
    bytes: int
    inline: int
    inline_bytes: int = 0


class Announcer:
    """Announces one channel."""

    def __init__(
        self, library: Library, shelf: Shelf, broker: BrokerTable, channel: str, inline_bytes: int
    ) -> None:
        self._library, self._shelf, self._broker = library, shelf, broker
        self._channel, self._inline_bytes = channel, inline_bytes

    def announce(self, records: Records, target: Digest) -> Announced:
        """Announces the head on the shelf, whose manifest has root `target`.

        Raises ContentError: nothing is published. TransportError: the broker is not there.
        """
        data = self._shelf.head(self._channel)
        if data is None:
            raise ContentError(
                f"channel {self._channel!r} has no head", hint="publish it: `chaski-hub publish`"
            )
        newest = self._put_roots(records)
        named: list[tuple[str, int]] = []
        spent = 0
        for offer in self._inline(target):
            offset = put_bundle(records, self._broker, self._shelf.deltas, offer)
            if offset is not None:
                named.append((announcement.short(offer.base), offset))
                spent += offer.size
        value, count = fitting(head_from_bytes(data), newest, named)
        topic = self._broker.topic(ANNOUNCEMENTS)
        offset = records.put(topic, self._channel.encode(), value)
        return Announced(self._channel, offset, len(value), count, spent)

    def _put_roots(self, records: Records) -> int:
        """Every root but the first, which nodes are enrolled with; the newest's version."""
        newest = 1
        for number in self._shelf.roots():
            data = self._shelf.root(number)
            if number > 1 and data is not None:
                records.put(self._broker.topic(ANNOUNCEMENTS), f"root/{number}".encode(), data)
            newest = number
        return newest

    def _inline(self, target: Digest) -> Iterable[Offer]:
        """The bundles to `target` that are kept and small; from the newest base back to none."""
        versions = self._library.versions(self._channel)[:MAX_BASES]
        bases: list[Digest | None] = list(dict.fromkeys(v.root for v in versions))
        for base in (*bases, None):
            offer = self._shelf.deltas.kept(self._channel, base, target)
            if offer is not None and base != target and offer.size <= self._inline_bytes:
                yield offer


def put_bundle(records: Records, broker: BrokerTable, deltas: Deltas, offer: Offer) -> int | None:
    """The offset of its offer; None when its records do not lie in a row."""
    data = deltas.path(offer.bundle).read_bytes()
    key = f"{offer.channel}/{announcement.short(offer.base)}"
    topic = broker.topic(BUNDLES)
    first = records.put(topic, f"{key}/0".encode(), encode(offer))
    for number in range(offer.chunk_count):
        start, stop = offer.span(number)
        at = records.put(topic, f"{key}/{number + 1}".encode(), data[start:stop])
        if at != first + 1 + number:
            return None
    return first


def fitting(head: Head, root: int, named: list[tuple[str, int]]) -> tuple[bytes, int]:
    """The record's value with as many of `named` as 2 KB allow, and how many those are.

    Raises ContentError when the head alone is too long.
    """
    made = Announcement(head, root, tuple(named))
    while True:
        try:
            return announcement.to_bytes(made), len(made.bundles)
        except ContentError:
            if not made.bundles:
                raise
            made = msgspec.structs.replace(made, bundles=made.bundles[:-1])
