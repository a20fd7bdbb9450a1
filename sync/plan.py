"""Plan: how much of an offer to fetch now. Pure: it looks at numbers and answers in words.

* Room is needed for what is still to come of the bundle and for the objects in it; some
  must stay free after that. When there is not enough, nothing is begun.
* A budget (a data allowance, the minutes of a window) cuts a download short, at its end:
  bundles carry the most valuable first. The rest comes next time.
"""

from dataclasses import dataclass

from sync.bundle.offer import Offer
from sync.errors import SpaceError

FLOOR_BYTES = 64 * 1024 * 1024
"""Stays free on the disk, for the database and the logs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about `offer`: fetch `fetch_bytes` now, `left_bytes` another time.

    `disk_bytes` is what the disk must take until the new version is in place.
    """

    offer: Offer
    fetch_bytes: int
    left_bytes: int
    disk_bytes: int

    @property
    def complete(self) -> bool:
        """True when the bundle is whole after this."""
        return self.left_bytes == 0

    @property
    def saved_share(self) -> float:
        """Which part of the channel need not travel, 0 to 1."""
        if not self.offer.full_size:
            return 0.0
        return max(0.0, 1.0 - self.offer.size / self.offer.full_size)


def choose(
    offer: Offer,
    free_bytes: int,
    budget_bytes: int | None = None,
    *,
    held_bytes: int = 0,
    floor_bytes: int = FLOOR_BYTES,
) -> Plan:
    """The plan for `offer`, of which `held_bytes` have arrived. No budget is None.

    Raises SpaceError when the disk cannot take it; nothing needs to be undone.
    """
    coming = max(0, offer.size - held_bytes)
    disk = coming + offer.unpacked
    if free_bytes - disk < floor_bytes:
        raise SpaceError(
            f"the new version of {offer.channel} needs {_megabytes(disk)} MB of disk "
            f"({_megabytes(coming)} to download, {_megabytes(offer.unpacked)} of lessons) and "
            f"{_megabytes(floor_bytes)} must stay free, but only {_megabytes(free_bytes)} are",
            hint="free some space or give the node a larger disk; the lessons it has stay",
        )
    fetch = coming if budget_bytes is None else min(coming, max(0, budget_bytes))
    return Plan(offer, fetch, coming - fetch, disk)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"
