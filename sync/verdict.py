"""What the judge of heads says, and what it must remember. Values only; see `trust.py`."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal

import msgspec

from sync.canonical import Digest
from sync.errors import TrustError
from sync.head import PUBLISHING, Role

LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""

Rule = Literal[
    "size", "format", "spec", "keys", "signature", "order", "rollback", "equivocation",
    "mismatch", "expired", "future", "channel",
]  # fmt: skip

_KEEP = "this node keeps the version it has; "
_HINTS: dict[Rule, str] = {
    "signature": _KEEP + "if the hub's keys were replaced, give the node the hub's new root.json",
    "expired": _KEEP + "check its clock; if that is right, the hub must publish again",
    "future": _KEEP + "check its clock and the hub's",
    "rollback": _KEEP + "a stick that shows this is older than the node; if a hub shows it, "
    "something between the hub and the node is broken or hostile",
    "channel": _KEEP + "check the channel in its configuration",
}
_SHORT = _KEEP + "if it comes back, something between the hub and the node is broken or hostile"


class Refusal(TrustError):  # noqa: N818 - the word of the trade, as StaleHead
    """What was offered breaks `rule`; `role` is the metadata that shows it."""

    def __init__(self, role: Role, rule: Rule, detail: str) -> None:
        super().__init__(f"{role}: {detail} ({rule})", hint=_HINTS.get(rule, _SHORT))
        self.role = role
        self.rule = rule


class StaleHead(Refusal):
    """Everything is properly signed but too old to be news."""

    def __init__(self, role: Role, expires: float, trusted: float) -> None:
        super().__init__(role, "expired", f"expired on {day(expires)}, it is {day(trusted)}")


class Floors(msgspec.Struct, frozen=True):
    """What the judge must remember: the newest versions accepted.

    `signed_at` is the newest signing time accepted, in Unix seconds. `seen` tells a repeat
    from an equivocation: digests of what was accepted at these versions (timestamp, snapshot
    and targets, joined by dots); empty where not known.
    """

    root: int = 0
    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0
    signed_at: float = 0.0
    seen: str = ""

    def version(self, role: Role) -> int:
        """The newest version of `role` accepted; 0 for none."""
        found: int = getattr(self, role)
        return found

    def digest(self, role: Role) -> str:
        """What `role` was at that version; empty where not known."""
        parts = self.seen.split(".")
        return parts[PUBLISHING.index(role)] if len(parts) == len(PUBLISHING) else ""

    def without(self, forgotten: Collection[Role]) -> "Floors":
        """The floors with those of the roles `forgotten` at zero; signing time is that of
        timestamps."""
        version = {r: 0 if r in forgotten else self.version(r) for r in PUBLISHING}
        return Floors(
            root=self.root,
            timestamp=version["timestamp"],
            snapshot=version["snapshot"],
            targets=version["targets"],
            signed_at=0.0 if "timestamp" in forgotten else self.signed_at,
            seen=".".join("" if r in forgotten else self.digest(r) for r in PUBLISHING),
        )


class Verdict(msgspec.Struct, frozen=True):
    """What an accepted head says. Sizes in bytes, times in Unix seconds.

    `root` is the root of the manifest, `manifest_size` the length of its canonical bytes,
    `full_size` that of all its objects. `floors` are to be stored.
    """

    channel: str
    version: int
    root: Digest
    manifest_size: int
    full_size: int
    signed_at: float
    expires: float
    floors: Floors


def day(seconds: float) -> str:
    """A time for people, in UTC; what no calendar holds is shown as its end."""
    return datetime.fromtimestamp(min(max(seconds, 0), LAST_SECOND), UTC).strftime("%Y-%m-%d %H:%M")
