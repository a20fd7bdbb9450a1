"""Metrics: the node's figures, on a registry that is passed in. `/metrics` renders it, the
sampler reads it; nobody else may change it.

* Names are `chaski_node_<noun>_<unit>[_total]`, of the tutor's model `chaski_model_…`; labels
  have few values, never a person, a path or a question.
* What others know already (disk, engine, spool, clock) is read when the registry is.
* A figure that is not known is NaN, never a guess: after an unreachable hub the lag is.
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.model.pointer import ChangeKind
from node.model.status import ModelStatus, State
from node.outcome import Outcome
from node.store.pins import pins
from node.store.store import Store
from node.telemetry.clock import Clock, Quality
from node.telemetry.spool import Spool
from sync.events import Event
from sync.transport.health import Roster

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import EngineStats

ANSWERS = ("answer", "lesson_only", "refusal")
PAGE_SECONDS = (0.01, 0.05, 0.2, 1.0, 5.0)
"""Upper bounds of the buckets for pages."""


class Metrics:
    """What the node counts itself. Safe from any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._pages = Histogram(
            "chaski_node_page_seconds",
            "Time to make a page, by the name of its route.",
            ["route"],
            buckets=PAGE_SECONDS,
            registry=registry,
        )
        self._answers = Counter(
            "chaski_node_answers",
            "Questions asked, by kind of answer.",
            ["kind"],
            registry=registry,
        )
        self._events = Counter(
            "chaski_node_events", "Events kept for the hub, by kind.", ["kind"], registry=registry
        )
        self._syncs = Counter(
            "chaski_node_syncs", "Syncs that ended, by outcome.", ["outcome"], registry=registry
        )
        self._down = Counter(
            "chaski_node_sync_down_bytes", "Payload that syncs fetched.", registry=registry
        )
        self._version = Gauge(
            "chaski_node_installed_version",
            "Newest channel version that is here whole; 0 before the first.",
            registry=registry,
        )
        self._lag = Gauge(
            "chaski_node_version_lag",
            "Versions behind the hub at the last sync; NaN when the hub was not heard.",
            registry=registry,
        )
        self._synced = Gauge(
            "chaski_node_sync_timestamp_seconds",
            "When the hub was last heard, in Unix seconds; NaN before.",
            registry=registry,
        )
        self._sync_seconds = Gauge(
            "chaski_node_sync_seconds", "How long the last sync took.", registry=registry
        )
        self._switches = Counter(
            "chaski_model_switches", "Changes of the tutor's model.", ["outcome"], registry=registry
        )
        self._selftest = Gauge(
            "chaski_model_selftest_seconds",
            "How long the last self-test of a model took; NaN before.",
            registry=registry,
        )
        for made in get_args(ChangeKind):
            self._switches.labels(made)
        for unknown in (self._lag, self._synced, self._selftest):
            unknown.set(math.nan)

    def page(self, route: str, seconds: float) -> None:
        """One page was served. `route` is the route's name (bounded set), never the path."""
        self._pages.labels(route).observe(seconds)

    def event(self, event: Event) -> None:
        """One event was kept for the hub."""
        self._events.labels(event.kind).inc()
        if event.kind == "question":
            kind = event.data.get("answer", "")
            self._answers.labels(kind if kind in ANSWERS else "other").inc()

    def installed(self, version: int) -> None:
        """The newest version that is here whole; 0 for none."""
        self._version.set(version)

    def model(self, change: ChangeKind, selftest_seconds: float) -> None:
        """The model changed, or did not; 0 seconds: there was no self-test."""
        self._switches.labels(change).inc()
        if selftest_seconds:
            self._selftest.set(selftest_seconds)

    def outcome(self, outcome: Outcome) -> None:
        """One sync ended."""
        self._syncs.labels(outcome.kind).inc()
        self._down.inc(outcome.bytes_down)
        self._sync_seconds.set(outcome.seconds)
        self.installed(outcome.to_version)
        known = outcome.offered_version > 0
        self._lag.set(outcome.offered_version - outcome.to_version if known else math.nan)
        if outcome.kind != "unreachable":
            self._synced.set(outcome.at)


class Host(Collector):
    """The machine: disk, memory, uptime, clock."""

    def __init__(self, data: Path, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._began = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        free = shutil.disk_usage(self._data).free
        yield _gauge("disk_free_bytes", "Free space where the library is.", free)
        yield _gauge("memory_bytes", "Resident memory of the node's process.", resident_bytes())
        up = time.monotonic() - self._began
        yield _gauge("uptime_seconds", "Time since the node started.", up)
        clock = GaugeMetricFamily(
            "chaski_node_clock_quality", "1 for how the clock is.", labels=["quality"]
        )
        for quality in get_args(Quality):
            clock.add_metric([quality], float(quality == self._clock.quality))
        yield clock


class Delivered(Collector):
    """What is here of the version shown, and what stays as it is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        installed = self._store.installed()
        missing = installed.part.missing if installed and installed.part else 0
        yield _gauge(
            "missing_lessons", "Lessons that a version shown in part still lacks.", missing
        )
        pinned = len(pins(self._store.reader()))
        yield _gauge("pinned_lessons", "Lessons that a class works with.", pinned)


class ModelState(Collector):
    """Which model answers, and how it is."""

    def __init__(self, status: Callable[[], ModelStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        status = self._status()
        info = GaugeMetricFamily(
            "chaski_model_info",
            "1 for the model that answers; none while none does.",
            labels=["name", "version", "source"],
        )
        if status.version:
            info.add_metric([status.name, status.version, status.source], 1.0)
        yield info
        states = GaugeMetricFamily("chaski_model_state", "1 for how it is.", labels=["state"])
        for state in get_args(State):
            states.add_metric([state], float(state == status.state))
        yield states


class Tutoring(Collector):
    """The engine, once there was one."""

    def __init__(self, stats: "Callable[[], EngineStats | None]") -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        stats = self._stats()
        if stats is None:
            return
        yield _gauge("tutor_queue", "Explanations that wait for a place.", stats.waiting)
        yield _gauge("tutor_active", "Explanations being written.", stats.active)
        yield _counter("tutor_tokens", "Tokens written.", stats.tokens_total)
        yield _counter("tutor_requests", "Explanations asked for.", stats.requests_total)
        yield _counter("tutor_refused", "Explanations refused: full.", stats.refused_total)
        yield _counter("tutor_seconds", "Time spent writing.", stats.seconds_total)


class Spooled(Collector):
    """What waits for a link."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        depth = self._spool.depth()
        yield _gauge("spool_blocks", "Sealed blocks that wait for a link.", depth.blocks)
        yield _gauge("spool_bytes", "Bytes that wait for a link.", depth.bytes)
        dropped = CounterMetricFamily(
            "chaski_node_spool_dropped", "Lost for want of space or refused.", labels=["reason"]
        )
        for reason, count in self._spool.dropped().items():
            dropped.add_metric([reason], count)
        yield dropped


class Roads(Collector):
    """How the roads to the hub fare; their names come from the settings."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        down = CounterMetricFamily(
            "chaski_node_road_down_bytes", "Payload that a road brought.", labels=["road"]
        )
        failures = CounterMetricFamily(
            "chaski_node_road_failures", "Times that a road failed.", labels=["road"]
        )
        up = GaugeMetricFamily(
            "chaski_node_road_up", "1 while a road is asked, 0 while it rests.", labels=["road"]
        )
        for road in self._roster.roads:
            down.add_metric([road.name], road.bytes_total)
            failures.add_metric([road.name], road.failed_total)
            up.add_metric([road.name], float(road.ready))
        yield from (down, failures, up)


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> float:
    """Resident memory of this process; NaN where the system does not say."""
    try:
        pages = int(statm.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return math.nan
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"chaski_node_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"chaski_node_{name}", text, value=value)
