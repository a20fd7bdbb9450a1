"""Windowed: a Source around a Source that is open at certain times of day only.

* A school pays less at night, or has its link from the bus station between six and seven.
* Outside every window each question is a ClosedError that says when the next one opens, and
  nothing travels. A window that closes ends a download at its next piece; the journal resumes.
* Put it outside of `Retrying`: a closed window is not worth another try.
"""

import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sync.bundle.offer import Offer
from sync.canonical import Digest
from sync.errors import SettingsError, TransportError
from sync.transport import Source, gathered

DAY_MINUTES = 24 * 60
_TEXT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)\Z", re.ASCII)


class ClosedError(TransportError):
    """It is not the time to use this road."""


@dataclass(frozen=True, slots=True)
class Window:
    """From minute `start` of the day up to minute `stop`; over midnight when `stop` is earlier.

    Both equal: the whole day.
    """

    start: int
    stop: int

    def open(self, minute: int) -> bool:
        """True when `minute` of the day is in it."""
        if self.start < self.stop:
            return self.start <= minute < self.stop
        return minute >= self.start or minute < self.stop


def window(text: str) -> Window:
    """The window that `text` says, as "22:00-06:00". Raises SettingsError."""
    found = _TEXT.match(text)
    if found is None:
        raise SettingsError(
            f"not a window: {text[:20]!r}", hint='write the times of day as "22:00-06:00"'
        )
    hour, minute, last_hour, last_minute = map(int, found.groups())
    return Window(hour * 60 + minute, last_hour * 60 + last_minute)


def minute_of_day(now: float) -> int:
    """The minute of the local day at `now` (Unix seconds)."""
    local = time.localtime(now)
    return local.tm_hour * 60 + local.tm_min


class Windowed:
    """`source`, open in `windows`. `minute` is the minute of the local day, 0 to 1439."""

    def __init__(
        self, source: Source, windows: Sequence[Window], minute: Callable[[], int]
    ) -> None:
        self._source = source
        self._windows = windows
        self._minute = minute

    async def head(self, channel: str) -> bytes:
        """See `Source`."""
        self._check()
        return await self._source.head(channel)

    async def root(self, number: int) -> bytes | None:
        """See `Source`."""
        self._check()
        return await self._source.root(number)

    async def offer(self, channel: str, base: Digest | None, target: Digest) -> Offer | None:
        """See `Source`."""
        self._check()
        return await self._source.offer(channel, base, target)

    async def digests(self, channel: str, base: Digest | None, target: Digest) -> bytes | None:
        """See `Source`."""
        self._check()
        return await self._source.digests(channel, base, target)

    async def object(self, name: Digest) -> bytes:
        """See `Source`."""
        self._check()
        return await self._source.object(name)

    async def chunk_range(self, bundle: Digest, start: int, stop: int) -> bytes:
        """See `Source`."""
        return await gathered(self.chunks(bundle, start, stop))

    async def chunks(self, bundle: Digest, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """See `Source`."""
        self._check()
        left = stop - start
        async with aclosing(self._source.chunks(bundle, start, stop)) as pieces:
            async for piece in pieces:
                left -= len(piece)
                yield piece
                if left > 0:
                    self._check()

    def _check(self) -> None:
        """Raises ClosedError outside every window."""
        minute = self._minute()
        if any(one.open(minute) for one in self._windows):
            return
        start = min((one.start - minute) % DAY_MINUTES for one in self._windows) + minute
        hour, rest = divmod(start % DAY_MINUTES, 60)
        raise ClosedError(
            f"the network is not used at this time of day; it opens at {hour:02}:{rest:02}",
            hint="sync.windows says when; a stick can be imported at any time",
        )
