"""Blocks as a node seals them, with what a test wants to be different."""

from sync.events import Event, EventBlock, encode_events, event
from sync.samples import Block, ClockQuality, Series, encode_block

NOW = 1_800_000_000.0
"""The time at which `tests.hub.fakes.Clock` stands."""


def samples(
    seq: int = 0,
    *,
    node: str = "puno-1",
    epoch: str = "boot1",
    clock: ClockQuality = "rtc",
    at: float = NOW,
    version: float = 1.0,
    name: str = "chaski_node_installed_version",
) -> bytes:
    """A sealed block with one value of one series, `at` in unix seconds."""
    values = (version,)
    series = (Series(name, (), values),)
    return encode_block(Block(node, epoch, seq, clock, (int(at * 1000),), series))


def missed(query: str, at: float = NOW, language: str = "es") -> Event:
    """A search that found nothing."""
    return event("search_missed", int(at * 1000), {"query": query, "language": language})


def events(seq: int, *told: Event, node: str = "puno-1", epoch: str = "boot1") -> bytes:
    """A sealed block of events."""
    return encode_events(EventBlock(node, epoch, seq, told))
