"""Clock: the node's time, and how far it can be believed.

* A Raspberry Pi without a battery wakes in the past. Time is never before the newest
  signing time that the judge accepted.
* `trusted`: the system set its clock from the network since it started. `rtc`: it has a
  hardware clock. `unknown`: neither, or the clock is behind what has been signed; the hub
  then goes by its own time of receipt.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

Quality = Literal["rtc", "trusted", "unknown"]

NETWORK_TIME = "run/systemd/timesync/synchronized"
HARDWARE_CLOCK = "sys/class/rtc/rtc0"


def host_quality(root: Path = Path("/")) -> Quality:
    """What the machine under `root` says about its clock."""
    if (root / NETWORK_TIME).exists():
        return "trusted"
    return "rtc" if (root / HARDWARE_CLOCK).exists() else "unknown"


class Clock:
    """The time of one node. `wall` is the system's clock in Unix seconds."""

    def __init__(
        self,
        floor: float = 0.0,
        wall: Callable[[], float] = time.time,
        host: Callable[[], Quality] = host_quality,
    ) -> None:
        self._floor = floor
        self._wall = wall
        self._host = host

    def now(self) -> float:
        """Unix seconds, never before the newest signed time seen."""
        return max(self._wall(), self._floor)

    def learn(self, signed_at: float) -> None:
        """Takes note of a signing time that was accepted (Unix seconds)."""
        self._floor = max(self._floor, signed_at)

    @property
    def quality(self) -> Quality:
        """How far `now` can be believed."""
        return "unknown" if self._wall() < self._floor else self._host()

    @property
    def credible(self) -> bool:
        """True when a time far ahead of this clock is wrong rather than the clock."""
        return self.quality != "unknown"
