"""The hub's configuration: one frozen struct from `hub.toml` and the environment.

* `CHASKI_HUB__SERVER__PORT` in the environment sets `port` of table `[server]`.
* A relative path is relative to the configuration file.
* Every bound carries its unit in its name or description.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sync import settings
from sync.broker import BrokerTable, rooted

PREFIX = "CHASKI_HUB"
SHIPPED_MODELS = Path(__file__).resolve().parents[1] / "models" / "onnx"
SHIPPED_BLOCKLIST = Path(__file__).resolve().parent / "blocklist.txt"

Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=100)]


class HubTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[hub]`: where the hub keeps things."""

    data: Annotated[
        str,
        Meta(min_length=1, description="folder of the database, the keys and the published files"),
    ]
    models: Annotated[
        str, Meta(description="folder of the models; empty: the ones shipped with the program")
    ] = ""
    threads: Annotated[int, Meta(ge=1, le=256, description="CPU threads a model may use")] = 2


class ServerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where nodes and the studio reach the hub."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port to listen on; 0 takes any free one")
    ] = 8080
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$",
            description="address that nodes use; empty: http://host:port",
        ),
    ] = ""


class ChannelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[channel]`: what this hub publishes."""

    id: Annotated[
        str,
        Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80, description="id of the channel"),
    ] = "escuela"


class GeneratorTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[generator]`: the model that drafts."""

    model: Annotated[
        str, Meta(min_length=1, max_length=80, description="name of the decoder in models")
    ] = "tutor-es-small"
    max_tokens: Annotated[int, Meta(ge=16, le=4096, description="longest draft, in tokens")] = 400
    temperature: Annotated[
        float, Meta(ge=0, le=2, description="how freely it draws; 0 always takes the likeliest")
    ] = 0.8
    top_p: Annotated[
        float, Meta(gt=0, le=1, description="draws among the likeliest tokens of this total share")
    ] = 0.95
    repetition_penalty: Annotated[
        float, Meta(ge=1, le=2, description="makes tokens already written less likely; 1 is off")
    ] = 1.0
    slots: Annotated[int, Meta(ge=1, le=64, description="drafts written at the same time")] = 4
    deadline_seconds: Annotated[
        float, Meta(gt=0, le=86400, description="seconds after which one draft is cut off")
    ] = 600.0


class GatesTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[gates]`: what a draft must pass."""

    min_words: Annotated[int, Meta(ge=1, le=10_000, description="shortest draft, in words")] = 60
    max_words: Annotated[int, Meta(ge=1, le=50_000, description="longest draft, in words")] = 700
    max_repetition: Annotated[
        Share, Meta(description="largest share of word 4-grams that occurred before in the draft")
    ] = 0.25
    max_copy: Annotated[
        Share, Meta(description="largest share of word 8-grams that stand in the library already")
    ] = 0.3
    min_language: Annotated[
        Share, Meta(description="smallest confidence that the draft is in the language asked for")
    ] = 0.6
    blocklist: Annotated[
        str,
        Meta(description="file of words no lesson may hold, one a line; empty: ours"),
    ] = ""


class RankerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[ranker]`: what makes a draft come first in the review list."""

    model: Annotated[
        str, Meta(min_length=1, max_length=80, description="name of the encoder in models")
    ] = "minilm-l6"
    relevance: Annotated[Weight, Meta(description="weight of the likeness to the brief")] = 3.0
    support: Annotated[
        Weight, Meta(description="weight of the likeness to the brief's reference passages")
    ] = 2.0
    novelty: Annotated[
        Weight, Meta(description="weight of the distance from the nearest lesson we have")
    ] = 1.0
    fluency: Annotated[
        Weight, Meta(description="weight of how likely the decoder finds the text")
    ] = 2.0
    gates: Annotated[Weight, Meta(description="weight of the share of gates passed")] = 2.0
    fluent_nats: Annotated[
        float, Meta(ge=0, le=20, description="nats a token that count as fully fluent")
    ] = 2.0
    clumsy_nats: Annotated[
        float, Meta(gt=0, le=20, description="nats a token that count as not fluent at all")
    ] = 6.0


class ReviewTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[review]`: where one person's word is not enough."""

    careful_topics: Annotated[
        tuple[str, ...], Meta(max_length=100, description="topics that two persons must approve")
    ] = ("salud",)
    careful_languages: Annotated[
        tuple[str, ...], Meta(max_length=20, description="languages that two persons must approve")
    ] = ("qu",)


class IntakeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[intake]`: from whom the hub takes reports."""

    signed: Annotated[
        bool,
        Meta(
            description="true: only from nodes enrolled with a key; false: also from names that "
            "nobody enrolled. A node that has a key must sign in any case"
        ),
    ] = False


class PublisherTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[publisher]`: how versions are signed and kept ready."""

    lifetime_days: Annotated[
        int, Meta(ge=1, le=3650, description="days for which a signed head counts as fresh")
    ] = 90
    prebuilt: Annotated[
        int, Meta(ge=0, le=100, description="older versions for which a bundle is built at once")
    ] = 5


class KafkaTable(BrokerTable, frozen=True, forbid_unknown_fields=True):
    """`[kafka]`: where new versions are announced and blocks of nodes come in."""

    inline_kilobytes: Annotated[
        int, Meta(ge=0, le=16_384, description="largest bundle that travels over Kafka itself, kB")
    ] = 900
    supply_megabytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="most that is put into Kafka in a day because nodes without another wire"
            " ask for it, MB; 0: nothing",
        ),
    ] = 256
    replication: Annotated[
        int, Meta(ge=1, le=10, description="copies of each topic that the hub makes")
    ] = 1


class HubConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a hub. Its properties say where things lie under `hub.data`."""

    hub: HubTable
    server: ServerTable = ServerTable()
    channel: ChannelTable = ChannelTable()
    generator: GeneratorTable = GeneratorTable()
    gates: GatesTable = GatesTable()
    ranker: RankerTable = RankerTable()
    review: ReviewTable = ReviewTable()
    publisher: PublisherTable = PublisherTable()
    kafka: KafkaTable = KafkaTable()
    intake: IntakeTable = IntakeTable()

    @property
    def data(self) -> Path:
        """The folder of everything that this hub owns."""
        return Path(self.hub.data)

    @property
    def database(self) -> Path:
        """SQLite: briefs, candidates, decisions, lessons, versions."""
        return self.data / "hub.db"

    @property
    def intake_db(self) -> Path:
        """SQLite: what nodes reported."""
        return self.data / "intake.db"

    @property
    def kafka_place(self) -> Path:
        """How far the blocks in Kafka were taken in."""
        return self.data / "kafka.offset"

    @property
    def users(self) -> Path:
        """SQLite: who may enter the studio."""
        return self.data / "users.db"

    @property
    def keys(self) -> Path:
        """The signing keys, readable by their owner only."""
        return self.data / "keys"

    @property
    def published(self) -> Path:
        """What nodes fetch; `hub.shelf` owns the layout."""
        return self.data / "published"

    @property
    def models(self) -> Path:
        """The folder of the model folders."""
        return Path(self.hub.models) if self.hub.models else SHIPPED_MODELS

    @property
    def blocklist(self) -> Path:
        """The file of words that no lesson may hold."""
        return Path(self.gates.blocklist) if self.gates.blocklist else SHIPPED_BLOCKLIST

    @property
    def url(self) -> str:
        """The address that nodes use, without a slash at the end."""
        return self.server.public_url.rstrip("/") or f"http://{self.server.host}:{self.server.port}"


def load(path: Path | None, environ: Mapping[str, str]) -> HubConfig:
    """The settings, with every path absolute.

    Raises SettingsError: unreadable file, unknown key, bad value, or one given twice.
    """
    loaded = settings.load(HubConfig, path, environ, PREFIX)
    home = (path.parent if path else Path()).resolve()
    replace = msgspec.structs.replace
    hub, gates = loaded.hub, loaded.gates
    return replace(
        loaded,
        hub=replace(hub, data=_under(home, hub.data), models=_under(home, hub.models)),
        gates=replace(gates, blocklist=_under(home, gates.blocklist)),
        kafka=rooted(loaded.kafka, home),
    )


def _under(home: Path, path: str) -> str:
    return str(home / path) if path else ""
