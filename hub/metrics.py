"""Metrics of the hub. The registry is injected; a test compares this table with the code.

| metric | kind | labels | counts |
|---|---|---|---|
| `chaski_hub_requests_total` | counter | route, status | requests answered |
| `chaski_hub_request_seconds` | histogram | route | seconds from head to end of answer |
| `chaski_hub_bundle_bytes_total` | counter | | bytes of bundles handed to the network |
| `chaski_hub_blocks_total` | counter | kind, outcome | blocks: stored, duplicate, or why refused |
| `chaski_hub_block_bytes_total` | counter | kind | bytes of the blocks stored |
| `chaski_hub_events_total` | counter | kind | events in stored blocks |
| `chaski_hub_events_refused_total` | counter | kind, reason | events passed over |
| `chaski_hub_nodes` | gauge | | nodes that ever reported |
| `chaski_hub_published_version` | gauge | channel | version of the head; 0 before the first |
| `chaski_hub_announcements_total` | counter | outcome | by a hub that serves: done, failed |
| `chaski_hub_wants_total` | counter | outcome | what nodes asked for over Kafka |
| `chaski_hub_sign_ins_total` | counter | outcome | sign-ins: welcome, wrong, throttled |
| `chaski_hub_publishes_total` | counter | outcome | by the studio: done, failed |
| `chaski_hub_waiting_calls` | gauge | worker | calls that a worker thread has not ended |

* `route` is the route's pattern, never the path: strangers must not be able to add series.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:  # the intake answers in errors that are counted here
    from hub.intake import Receipt

SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600)


class Metrics:
    """Every instrument of the hub, on `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"chaski_hub_{name}", about, labels, registry=registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"chaski_hub_{name}", about, labels, registry=registry)

        self.requests = counter("requests_total", "requests answered", "route", "status")
        self.request_seconds = Histogram(
            "chaski_hub_request_seconds",
            "seconds from a request's head to the end of its answer",
            ("route",),
            registry=registry,
            buckets=SECONDS,
        )
        self.bundle_bytes = counter("bundle_bytes_total", "bytes of bundles handed to the network")
        self.blocks = counter("blocks_total", "blocks from nodes", "kind", "outcome")
        self.block_bytes = counter("block_bytes_total", "bytes of the blocks stored", "kind")
        self.events = counter("events_total", "events in stored blocks", "kind")
        self.events_refused = counter(
            "events_refused_total", "events that were passed over", "kind", "reason"
        )
        self.nodes = gauge("nodes", "nodes that ever reported")
        self.published_version = gauge("published_version", "version of the head", "channel")
        self.announcements = counter(
            "announcements_total", "announcements that a serving hub found missing", "outcome"
        )
        self.wants = counter("wants_total", "what nodes asked for over Kafka", "outcome")
        self.sign_ins = counter("sign_ins_total", "sign-ins", "outcome")
        self.publishes = counter(
            "publishes_total", "publications asked for in the studio", "outcome"
        )
        self.waiting_calls = gauge(
            "waiting_calls", "calls that a worker thread has not ended", "worker"
        )

    def took(self, kind: str, size: int, receipt: "Receipt") -> None:
        """Counts a block of `size` bytes that was stored, or known already."""
        self.blocks.labels(kind, "stored" if receipt.stored else "duplicate").inc()
        if receipt.stored:
            self.block_bytes.labels(kind).inc(size)
        for event in receipt.events:
            self.events.labels(event).inc()
        for event, reason in receipt.refused:
            self.events_refused.labels(event, reason).inc()

    def watch(self, worker: str, waiting: Callable[[], int]) -> None:
        """Shows the queue of one worker thread."""
        self.waiting_calls.labels(worker).set_function(lambda: float(waiting()))
