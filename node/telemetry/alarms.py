"""Alarms: what somebody must do something about, though lessons are served as before.

* `head_expired`: what the hub (or who stands before it) shows is too old to be news. Lessons
  stay; nobody knows what is missing. It ends when a head is accepted, not when the link dies.
* `read_only`: the disk takes no byte, as when it is full or its card is worn out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.outcome import OutcomeKind, from_bytes
from node.store.store import Store

HEARD: tuple[OutcomeKind, ...] = ("current", "updated", "partial", "held")


@dataclass(frozen=True, slots=True)
class Alarm:
    """Which of them ring."""

    head_expired: bool
    read_only: bool


def alarm(store: Store) -> Alarm:
    """As it is now."""
    return Alarm(_head_expired(store), store.read_only)


class Alarms(Collector):
    """The same for programs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        now = alarm(self._store)
        yield GaugeMetricFamily(
            "chaski_node_head_expired",
            "1 while the newest head heard is too old to be believed.",
            value=now.head_expired,
        )
        yield GaugeMetricFamily(
            "chaski_node_read_only", "1 while the disk takes no byte.", value=now.read_only
        )


def _head_expired(store: Store) -> bool:
    refused = store.last_sync("refused")
    if refused is None or (last := from_bytes(refused)).rule != "expired":
        return False
    heard = [found for kind in HEARD if (found := store.last_sync(kind))]
    return all(from_bytes(one).at <= last.at for one in heard)
