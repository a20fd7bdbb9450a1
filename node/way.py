"""Way: the roads of one node in their order. Where Kafka is set up it is asked first.

* Kafka gives the head, new root keys and small bundles; what it does not carry, or while it is
  down, comes over the road of `sync.hub`.
* What Kafka says and the judge refuses is asked of `sync.hub` alone: `spare`.
* The share of the link and the times of day of `[sync]` hold for both.
* Blocks go up over Kafka, else over `sync.hub`; the hub keeps each once.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from node.config import NodeConfig
from node.road import by_wire, limited, road, windowed
from sync.transport import Journey, Sink, Source
from sync.transport.fallback import Fallback, FallbackSink


async def nothing() -> None:
    """The default end of a way."""


@dataclass(frozen=True, slots=True)
class Way:
    """`journey` is the part of it that is travelled in sessions; None: there is none."""

    source: Source
    sink: Sink
    by_wire: bool
    """A network leads to the hub, not somebody's pocket."""
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
    source, sink = road(config.sync, session, now)
    if not config.kafka.bootstrap:
        return Way(source, sink, by_wire(config.sync))
    # Loaded only here: a node without Kafka does not pay for the library.
    from sync.transport.kafka_road import KafkaSink, KafkaSource

    journey = KafkaSource(config.kafka, config.sync.channel, place)
    news = windowed(config.sync, limited(config.sync, journey), now)
    up = KafkaSink(config.kafka, config.node.id)

    async def close() -> None:
        await journey.close()
        await up.close()

    hub = bool(config.sync.hub)
    return Way(
        Fallback((news, source)) if hub else news,
        FallbackSink((up, sink)) if hub else up,
        by_wire=True,
        spare=source if hub else None,
        journey=journey,
        rest=up.rest,
        close=close,
    )
