"""The node's configuration: one frozen struct from `node.toml` and the environment.

* `CHASKI_NODE__SYNC__HUB` in the environment sets `hub` of table `[sync]`.
* A relative path is relative to the configuration file.
* Every bound carries its unit in its name or description.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from node import roads
from node.interests import InterestsTable
from node.link import LinkTable
from node.roads import listed
from sync import settings
from sync.broker import BrokerTable, rooted
from sync.lesson import Language

PREFIX = "CHASKI_NODE"
MEGABYTE = 1024 * 1024
"""What the settings mean by MB."""
WINDOW = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SHIPPED_MODELS = Path(__file__).resolve().parents[1] / "models" / "onnx"


class NodeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[node]`: who this node is and where it keeps things."""

    id: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
            max_length=64,
            description="name of this node, unique at the hub",
        ),
    ]
    data: Annotated[
        str, Meta(min_length=1, description="folder of the database, the objects and the spool")
    ]
    key: Annotated[
        str,
        Meta(
            description="file with this node's key, as `chaski-hub enrol` gave it; empty: what"
            " goes up is not signed"
        ),
    ] = ""
    models: Annotated[
        str, Meta(description="folder of the models; empty: the ones shipped with the program")
    ] = ""
    threads: Annotated[int, Meta(ge=1, le=64, description="CPU threads the model may use")] = 2
    language: Annotated[
        Language, Meta(description="language of the portal until a pupil chooses: es, qu or en")
    ] = "es"
    keep_free_megabytes: Annotated[
        int, Meta(ge=0, le=1_000_000, description="disk space an update must leave free, MB")
    ] = 64


class PortalTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[portal]`: where pupils reach the node."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port to listen on; 0 takes any free one")
    ] = 8000


class SyncTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[sync]`: which hub and channel, and how often."""

    hub: Annotated[
        str,
        Meta(
            description="address of the hub, http:// or https://, or a folder (USB stick);"
            " empty: the node serves what it has"
        ),
    ] = ""
    roads: Annotated[
        tuple[Annotated[str, Meta(max_length=1000)], ...],
        Meta(
            max_length=8,
            description="instead of sync.hub, several in order of preference: addresses, folders,"
            ' "kafka"; one that fails is left alone for a minute, then longer',
        ),
    ] = ()
    channel: Annotated[str, Meta(pattern=NAME, max_length=80, description="id of the channel")] = (
        "escuela"
    )
    root: Annotated[
        str,
        Meta(
            min_length=1, description="file with the hub's root keys, as `chaski-hub enrol` gave it"
        ),
    ] = "root.json"
    every_seconds: Annotated[
        float, Meta(gt=0, le=30 * 86400, description="seconds between two syncs, varied by a tenth")
    ] = 300.0
    timeout_seconds: Annotated[
        float,
        Meta(gt=0, le=3600, description="seconds of silence that make a link dead"),
    ] = 30.0
    kilobits_per_second: Annotated[
        float,
        Meta(
            ge=0,
            le=10_000_000,
            description="most that a download may take of the link, kbit/s; 0: all of it",
        ),
    ] = 0.0
    windows: Annotated[
        tuple[Annotated[str, Meta(pattern=WINDOW)], ...],
        Meta(
            max_length=24,
            description="times of day, local, in which the network may be used, as "
            '"22:00-06:00"; none: always',
        ),
    ] = ()
    stick_folders: Annotated[
        tuple[str, ...],
        Meta(max_length=16, description="folders under which USB sticks are mounted"),
    ] = ("/run/chaski/sticks", "/media/chaski")


class TutorTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[tutor]`: the machine that explains."""

    enabled: Annotated[
        bool, Meta(description="false: questions are answered by quoting lessons only")
    ] = True
    model: Annotated[
        str,
        Meta(min_length=1, max_length=80, description="name of the model in the models folder"),
    ] = "tutor-es-small"
    max_tokens: Annotated[int, Meta(ge=8, le=512, description="longest explanation, in tokens")] = (
        120
    )
    deadline_seconds: Annotated[
        float, Meta(gt=0, le=600, description="seconds after which an explanation is cut off")
    ] = 60.0
    slots: Annotated[int, Meta(ge=1, le=32, description="questions explained at the same time")] = 4
    queue_limit: Annotated[
        int, Meta(ge=0, le=256, description="questions that may wait; more are told so at once")
    ] = 32
    selftest_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="seconds in which a new model must pass its test")
    ] = 120.0
    selftest_megabytes: Annotated[
        int, Meta(ge=64, le=1_000_000, description="memory a new model may use in its test, MB")
    ] = 1024
    max_memory_megabytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="memory for what the model keeps of the questions, MB, beside its"
            " weights; 0: as the slots need",
        ),
    ] = 0
    battery: Annotated[
        bool, Meta(description="true: half the threads and no spinning; slower, less work")
    ] = False


class TelemetryTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[telemetry]`: what travels back to the hub."""

    every_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="seconds between two samples of the metrics")
    ] = 60.0
    spool_megabytes: Annotated[
        int,
        Meta(ge=1, le=4096, description="disk space for what waits for a link, MB"),
    ] = 16


class KafkaTable(BrokerTable, frozen=True, forbid_unknown_fields=True):
    """`[kafka]`: a broker that announces versions; asked before the hub itself."""


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a node."""

    node: NodeTable
    sync: SyncTable = SyncTable()
    portal: PortalTable = PortalTable()
    tutor: TutorTable = TutorTable()
    telemetry: TelemetryTable = TelemetryTable()
    kafka: KafkaTable = KafkaTable()
    link: LinkTable = LinkTable()
    interests: InterestsTable = InterestsTable()

    @property
    def linked(self) -> bool:
        """True when there is a road to a hub."""
        return bool(self.roads)

    @property
    def roads(self) -> tuple[str, ...]:
        """Every road to a hub, the preferred first. Raises SettingsError when that is unclear."""
        return listed(self.sync.hub, self.sync.roads, self.kafka.bootstrap)


def load(path: Path | None, environ: Mapping[str, str]) -> NodeConfig:
    """The settings, with every path absolute.

    Raises SettingsError: unreadable file, unknown key, bad value, or one given twice.
    """
    loaded = settings.load(NodeConfig, path, environ, PREFIX)
    home = (path.parent if path else Path()).resolve()
    models = home / loaded.node.models if loaded.node.models else SHIPPED_MODELS
    sticks = tuple(str(home / folder) for folder in loaded.sync.stick_folders)
    key = str(home / loaded.node.key) if loaded.node.key else ""
    replace = msgspec.structs.replace
    _ = loaded.roads  # refused now, not at the first sync
    hub = roads.rooted(loaded.sync.hub, home)
    others = tuple(roads.rooted(road, home) for road in loaded.sync.roads)
    return replace(
        loaded,
        node=replace(loaded.node, data=str(home / loaded.node.data), models=str(models), key=key),
        sync=replace(
            loaded.sync,
            root=str(home / loaded.sync.root),
            hub=hub,
            roads=others,
            stick_folders=sticks,
        ),
        kafka=rooted(loaded.kafka, home),
    )
