"""Road: one way to the hub, as one of `roads.py` names it.

* `http://` and `https://` go over one aiohttp session, no faster than the settings allow, are
  tried again, and only at the times of day that the settings allow; anything else is a folder,
  for instance a USB stick or a disk in the school; nothing at all is a road that says so.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import aiohttp

from node.config import SyncTable
from node.roads import by_wire
from sync.bundle.offer import Offer
from sync.canonical import Digest
from sync.errors import SettingsError, TransportError
from sync.transport import Sink, Source
from sync.transport.directory import DirectorySink, DirectorySource
from sync.transport.http import HttpSink, HttpSource, Timeouts
from sync.transport.limited import RateLimited
from sync.transport.retrying import Backoff, Retrying
from sync.transport.windowed import Windowed, minute_of_day, window

BYTES_PER_KILOBIT = 125
BACKOFF = Backoff(attempts=4, first_s=1.0, most_s=30.0)


def road(
    address: str,
    sync: SyncTable,
    session: aiohttp.ClientSession,
    now: Callable[[], float] = time.time,
) -> tuple[Source, Sink]:
    """Both directions of the road `address`; `now` gives Unix seconds, for the windows."""
    if not address:
        return NoRoad(), NoRoad()
    if not by_wire(address):
        return DirectorySource(Path(address)), DirectorySink(Path(address))
    timeouts = Timeouts(connect_s=sync.timeout_seconds, read_s=sync.timeout_seconds)
    source: Source = HttpSource(session, address, timeouts)
    source = Retrying(limited(sync, source), BACKOFF)
    return windowed(sync, source, now), HttpSink(session, address, timeouts)


def limited(sync: SyncTable, source: Source) -> Source:
    """`source`, no faster than the settings allow."""
    if not sync.kilobits_per_second:
        return source
    return RateLimited(source, sync.kilobits_per_second * BYTES_PER_KILOBIT)


def windowed(sync: SyncTable, source: Source, now: Callable[[], float]) -> Source:
    """`source`, at the times of day that the settings allow; `now` gives Unix seconds."""
    if not sync.windows:
        return source
    windows = tuple(window(text) for text in sync.windows)
    return Windowed(source, windows, lambda: minute_of_day(now()))


def root_keys(sync: SyncTable, *, trusted: bool) -> bytes | None:
    """The root keys that the operator gave; None when `trusted` says there are some of before.

    Raises SettingsError when there are neither.
    """
    try:
        return Path(sync.root).read_bytes()
    except OSError as error:
        if trusted:
            return None
        raise SettingsError(
            f"the hub's root keys {sync.root} cannot be read: {error.strerror}",
            hint="`chaski-hub enrol` writes root.json beside node.toml; bring both",
        ) from error


class NoRoad:
    """The road of a node that knows no hub. See `Source` and `Sink`."""

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        _nowhere()

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        _nowhere()

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        _nowhere()

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`."""
        _nowhere()

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        _nowhere()

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        _nowhere()

    async def chunks(self, bundle: Digest, start: int, stop: int):  # type: ignore[no-untyped-def]
        """See `Source`."""
        _nowhere()
        yield b""

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        _nowhere()

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        _nowhere()


def _nowhere() -> NoReturn:
    raise TransportError(
        "this node knows no hub", hint="enrol it: `chaski-hub enrol`, then `chaski-node provision`"
    )
