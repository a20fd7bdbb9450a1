"""Way: the roads of one node as one, in the order of `roads.py`.

* Kafka gives the head, new root keys and small bundles; what it does not carry, or while it is
  down, comes over the next road. Where it is the only wire, it is asked for the rest as well.
* What a road says and the judge refuses is asked of the others: `spare`, by `roster`.
* The share of the link and the times of day of `[sync]` hold for every wire.
* Blocks go up over the wires in their order; the hub keeps each once. A folder takes them only
  where there is no wire.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from node.config import NodeConfig
from node.road import limited, road, windowed
from node.roads import KAFKA, WIRES, by_wire, spoken
from sync.transport import Journey, Sink, Source
from sync.transport.fallback import Fallback, FallbackSink
from sync.transport.health import Health, Roster

if TYPE_CHECKING:  # a node without Kafka does not pay for the library
    from sync.transport.kafka_road import KafkaSink, KafkaSource


async def nothing() -> None:
    """The default end of a way."""


@dataclass(frozen=True, slots=True)
class Way:
    """`journey` is the part of it that is travelled in sessions; None: there is none."""

    source: Source
    sink: Sink
    by_wire: bool
    """A network leads to the hub, not somebody's pocket."""
    roster: Roster = field(default_factory=Roster)
    """How the roads fare."""
    folders: tuple[Path, ...] = ()
    """Those of its roads that are folders."""
    spare: Source | None = None
    journey: Journey | None = None
    rest: Callable[[], Awaitable[None]] = nothing
    """Disconnects the way up until there is something to send."""
    close: Callable[[], Awaitable[None]] = nothing


def way(
    config: NodeConfig,
    session: aiohttp.ClientSession,
    place: bytes | None,
    now: Callable[[], float] = time.time,
) -> Way:
    """The way to the hub of `config`, from `place` on; `now` gives Unix seconds, for the windows.

    Raises SettingsError.
    """
    names = config.roads
    if not names:
        return Way(*road("", config.sync, session, now), by_wire=False)
    # A mirror that gives and takes nothing is a good road down and none up: two rosters.
    roster, up = Roster(), Roster()
    healths: list[Health] = []
    sources: list[Source] = []
    sinks: list[tuple[Health, Sink]] = []
    broker: tuple[KafkaSource, KafkaSink] | None = None
    for name in names:
        source: Source
        sink: Sink
        if name == KAFKA:
            broker = _kafka(config, place)
            source, sink = windowed(config.sync, limited(config.sync, broker[0]), now), broker[1]
        else:
            source, sink = road(name, config.sync, session, now)
        healths.append(roster.add(spoken(name)))
        sources.append(source)
        if by_wire(name) or not any(map(by_wire, names)):
            sinks.append((up.add(spoken(name)), sink))

    async def close() -> None:
        for part in broker or ():
            await part.close()

    others = Fallback(sources[1:], roster, healths[1:]) if len(sources) > 1 else None
    return Way(
        Fallback(sources, roster, healths),
        FallbackSink([sink for _, sink in sinks], up, [health for health, _ in sinks]),
        by_wire=any(map(by_wire, names)),
        roster=roster,
        folders=tuple(Path(name) for name in names if not by_wire(name)),
        spare=others,
        journey=broker[0] if broker else None,
        rest=broker[1].rest if broker else nothing,
        close=close,
    )


def _kafka(config: NodeConfig, place: bytes | None) -> "tuple[KafkaSource, KafkaSink]":
    """Both directions of the broker's road."""
    from sync.transport.kafka_road import KafkaSink, KafkaSource

    alone = not any(name.startswith(WIRES) for name in config.roads)
    node = config.node.id if alone else None
    return (
        KafkaSource(config.kafka, config.sync.channel, place, asks_as=node),
        KafkaSink(config.kafka, config.node.id),
    )
