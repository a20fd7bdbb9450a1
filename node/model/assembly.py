"""Assembly: the parts around the tutor's model, put together from the settings.

With `app.py` the only place that knows their concrete classes; the command line uses it too.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from models.examiner import Examiner
from models.store import ModelFolder, ModelStore
from node.config import MEGABYTE, NodeConfig
from node.folder import DataFolder
from node.model.copies import Copies
from node.model.models import Models
from node.model.pointer import Change
from node.model.seat import Seat
from node.model.switch import Switch
from node.store.store import Store
from node.telemetry.clock import Clock
from node.telemetry.metrics import Metrics
from node.telemetry.recorder import Recorder

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Engine

SHUTDOWN_SECONDS = 3.0


def build_models(config: NodeConfig, folder: DataFolder) -> Models:
    """Where the tutor's model is: copies of the channel's, and the shipped one."""
    floor = config.node.keep_free_megabytes * MEGABYTE
    copies = Copies(folder.models, config.tutor.model, folder.blobs(), floor_bytes=floor)
    return Models(copies, ModelStore(Path(config.node.models)))


def build_examiner(config: NodeConfig) -> Examiner:
    """What tries a model."""
    return Examiner(
        threads=config.node.threads,
        seconds=config.tutor.selftest_seconds,
        megabytes=config.tutor.selftest_megabytes,
    )


def build_switch(
    config: NodeConfig,
    folder: DataFolder,
    store: Store,
    seat: "Seat[Engine]",
    clock: Clock,
    metrics: Metrics,
    recorder: Recorder,
) -> Switch:
    """What looks after the model in `seat`."""

    def told(change: Change, seconds: float) -> None:
        metrics.model(change.kind, seconds)
        recorder.record("model", told_of(config.tutor.model, change, seconds))

    return Switch(
        build_models(config, folder),
        store,
        seat,
        lambda found: open_engine(config, found),
        build_examiner(config),
        clock.now,
        told=told,
        drain_seconds=config.tutor.deadline_seconds + SHUTDOWN_SECONDS,
    )


def told_of(name: str, change: Change, seconds: float) -> dict[str, str]:
    """A change of the model as an event says it."""
    return {
        "model": name,
        "outcome": change.kind,
        "why": change.why,
        "from_version": change.from_version,
        "to_version": change.to_version,
        "seconds": f"{seconds:.3f}" if seconds else "",
        "message": change.detail,
    }


def open_engine(config: NodeConfig, folder: ModelFolder) -> "Engine":
    """The model in `folder`. Raises ModelError: it does not open, or is no decoder."""
    from models.engine import Engine

    return Engine.open(
        folder,
        threads=config.node.threads,
        slots=config.tutor.slots,
        queue_limit=config.tutor.queue_limit,
        max_memory=config.tutor.max_memory_megabytes * MEGABYTE,
        battery=config.tutor.battery,
    )
