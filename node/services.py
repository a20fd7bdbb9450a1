"""Services: what the portal may use of the node. Built once, in `app.py`.

* The portal knows no concrete file, socket or thread; everything comes through here.
* `engine` is None while no model is on board or the tutor is switched off; it may change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.config import NodeConfig
from node.delivery import Delivery
from node.handing import Handing
from node.model.seat import Seat
from node.model.status import ModelStatus
from node.sticks import Sticks
from node.store.files import Files
from node.store.lessons import Library
from node.store.search import Search
from node.store.store import Store
from node.telemetry.clock import Clock
from node.telemetry.metrics import Metrics
from node.tutor import Tutor
from node.updater import Updater
from sync.events import EventKind

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Engine

RecordEvent = Callable[[EventKind, dict[str, str]], None]
"""Keeps one event for the hub: its kind and short texts, never who. Never raises."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a page may need."""

    settings: NodeConfig
    store: Store
    library: Library
    files: Files
    search: Search
    tutor: Tutor
    seat: "Seat[Engine]"
    updater: Updater
    sticks: Sticks
    delivery: Delivery
    metrics: Metrics
    clock: Clock
    record_event: RecordEvent
    handing: Handing
    model: Callable[[], ModelStatus] = lambda: ModelStatus("off")
    """How the tutor's model is."""

    @property
    def engine(self) -> "Engine | None":
        """The engine that answers now; to look at."""
        return self.seat.engine
