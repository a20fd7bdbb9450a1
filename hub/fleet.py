"""Fleet: how each node is, judged from what it last reported. Pure functions over rows.

* Nothing here reads a clock or a database: rows and the time come in, states go out.
* A node is `silent` when nothing came for `SILENT_SECONDS`, however current it was then.
* Lag counts versions between the node's and the head's; a node that never said its version
  has none, which is not the same as 0.
* The nodes that need somebody come first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Condition = Literal["silent", "behind", "unknown", "current"]
ORDER: tuple[Condition, ...] = ("silent", "behind", "unknown", "current")
SILENT_SECONDS = 7 * 86400.0

VERSION = "chaski_node_installed_version"
SPOOLED = "chaski_node_spool_blocks"
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """One row of nodes: unix seconds by the hub's clock, and what the node says of its own."""

    node: str
    first: float
    last: float
    clock: str
    """"rtc", "trusted" or "unknown", as in the newest block."""
    blocks: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The last value of one series of one node; `time` in unix milliseconds by its clock."""

    node: str
    name: str
    labels: Labels
    value: float
    time: int


@dataclass(frozen=True, slots=True)
class NodeState:
    """One line of the fleet page."""

    node: str
    condition: Condition
    version: int | None
    lag: int | None
    spooled: int | None
    """Blocks that wait on the node for a link."""
    clock: str
    last: float
    """Unix seconds of the last contact, by the hub's clock."""


def fleet(
    contacts: Iterable[Contact], readings: Iterable[Reading], head: int, now: float
) -> list[NodeState]:
    """Every node, those that need somebody first. `head` is the newest version, 0 for none."""
    values: dict[tuple[str, str], float] = {(r.node, r.name): r.value for r in readings}
    states = [_state(contact, values, head, now) for contact in contacts]
    return sorted(states, key=lambda s: (ORDER.index(s.condition), -(s.lag or 0), s.node))


def count(states: Iterable[NodeState]) -> dict[Condition, int]:
    """How many nodes are in each condition."""
    counts: dict[Condition, int] = dict.fromkeys(ORDER, 0)
    for state in states:
        counts[state.condition] += 1
    return counts


def _state(
    contact: Contact, values: dict[tuple[str, str], float], head: int, now: float
) -> NodeState:
    version = _whole(values.get((contact.node, VERSION)))
    lag = None if version is None else max(0, head - version)
    condition: Condition = "current"
    if now - contact.last > SILENT_SECONDS:
        condition = "silent"
    elif lag is None:
        condition = "unknown"
    elif lag:
        condition = "behind"
    spooled = _whole(values.get((contact.node, SPOOLED)))
    return NodeState(contact.node, condition, version, lag, spooled, contact.clock, contact.last)


def _whole(value: float | None) -> int | None:
    """A count as a whole number; None for what no count can be."""
    return int(value) if value is not None and 0 <= value < 2**53 else None
