"""Link: what the way to the hub carries, what it costs, and how much of it is left. Pure.

* A speed that nobody set is taken from what earlier syncs took; before the first, `GUESSED`.
* A budget is what the data allowance of the day and the open window leave; None: no limit.
* Bytes are payload, as `Meter` counts them; what protocols add (some percent) is not in them.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from node.outcome import Outcome
from sync.transport.windowed import DAY_MINUTES, Window

MEGABYTE = 1_000_000
BYTES_PER_KILOBIT = 125
GUESSED_KILOBITS = 64.0
"""A slow 2G or satellite link: better to promise less."""
LEAST_MEASURED_BYTES = 16 * 1024
"""A sync that fetched less says little about the link."""
HEADS_SHARE = 1 / 16
"""Part of the day's allowance that only heads and root keys may use: news must be heard of."""


class LinkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[link]`: what the way to the hub carries and costs. `sync.windows` says when."""

    kilobits_per_second: Annotated[
        float,
        Meta(
            ge=0,
            le=10_000_000,
            description="what the link carries, kbit/s, to tell how long a download takes;"
            " 0: as measured",
        ),
    ] = 0.0
    megabytes_per_day: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="data allowance: most that may come down in a day, MB; 0: no limit."
            " Sticks are not counted",
        ),
    ] = 0.0
    cost_per_megabyte: Annotated[
        float, Meta(ge=0, le=1_000_000, description="what a megabyte costs, in `link.currency`")
    ] = 0.0
    currency: Annotated[
        str, Meta(pattern=r"^[A-Z]{3}$", description="currency of the cost, three letters")
    ] = "PEN"
    patience_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="a download that takes longer is shown lesson by lesson, the most"
            " valuable first",
        ),
    ] = 20.0

    @property
    def bytes_per_day(self) -> int | None:
        """The allowance of a day; None: no limit."""
        return math.ceil(self.megabytes_per_day * MEGABYTE) or None

    def cost(self, size: int) -> float:
        """What `size` bytes cost."""
        return size / MEGABYTE * self.cost_per_megabyte


class Pace(msgspec.Struct, frozen=True):
    """How fast the link is. `known`: set by the operator or measured, not guessed."""

    kilobits_per_second: float
    known: bool

    def seconds(self, size: int) -> float:
        """How long `size` bytes take."""
        return size / (self.kilobits_per_second * BYTES_PER_KILOBIT)

    def carried(self, seconds: float) -> int:
        """How many bytes come in `seconds`."""
        return int(seconds * self.kilobits_per_second * BYTES_PER_KILOBIT)


def pace(link: LinkTable, most: float, syncs: Iterable[Outcome]) -> Pace:
    """The speed to count with; `most` kbit/s is what a download may take of it, 0: all.

    `syncs` are earlier outcomes, newest first.
    """
    cap = most or math.inf
    if link.kilobits_per_second:
        return Pace(min(link.kilobits_per_second, cap), known=True)
    for sync in syncs:
        if sync.bytes_down >= LEAST_MEASURED_BYTES and sync.seconds > 0:
            rate = sync.bytes_down / sync.seconds / BYTES_PER_KILOBIT
            return Pace(min(max(rate, 1.0), cap), known=True)
    return Pace(min(GUESSED_KILOBITS, cap), known=bool(most))


def window_seconds(windows: Sequence[Window], minute: int) -> float | None:
    """Seconds until the last window closes that is open at `minute` of the day.

    None: never. Outside every window, the length of the next one.
    """
    if not windows:
        return None
    longest = max((_left(one, minute) for one in windows if one.open(minute)), default=0)
    if not longest:
        first = min(windows, key=lambda one: (one.start - minute) % DAY_MINUTES)
        longest = _left(first, first.start)
    return longest * 60.0


def budget(left_today: int | None, window_s: float | None, going: Pace) -> int | None:
    """Bytes that may come now: what is left of the day's allowance and of the window."""
    limits = [] if left_today is None else [max(0, left_today)]
    if window_s is not None:
        limits.append(going.carried(window_s))
    return min(limits, default=None)


def _left(window: Window, minute: int) -> int:
    """Minutes from `minute`, at which it is open, to its end."""
    return (window.stop - minute - 1) % DAY_MINUTES + 1
