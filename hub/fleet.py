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
MODEL = "chaski_model_info"
MODEL_STATE = "chaski_model_state"
SERIES = (VERSION, SPOOLED, MODEL, MODEL_STATE)
"""What is read of each node."""
WELL = "running"
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
    model: str | None = None
    """Name and version of the model that explains, and how it is unless well."""


def fleet(
    contacts: Iterable[Contact], readings: Iterable[Reading], head: int, now: float
) -> list[NodeState]:
    """Every node, those that need somebody first. `head` is the newest version, 0 for none."""
    told = list(readings)
    values: dict[tuple[str, str], float] = {(r.node, r.name): r.value for r in told}
    models = _models(told)
    states = [_state(contact, values, models.get(contact.node), head, now) for contact in contacts]
    return sorted(states, key=lambda s: (ORDER.index(s.condition), -(s.lag or 0), s.node))


def count(states: Iterable[NodeState]) -> dict[Condition, int]:
    """How many nodes are in each condition."""
    counts: dict[Condition, int] = dict.fromkeys(ORDER, 0)
    for state in states:
        counts[state.condition] += 1
    return counts


def _state(
    contact: Contact,
    values: dict[tuple[str, str], float],
    model: str | None,
    head: int,
    now: float,
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
    return NodeState(
        contact.node, condition, version, lag, spooled, contact.clock, contact.last, model
    )


def _models(readings: Iterable[Reading]) -> dict[str, str]:
    """What each node told last of its model. A series that has ended keeps its last value: the
    newest reading that is not 0 counts."""
    newest: dict[tuple[str, str], Reading] = {}
    for reading in readings:
        place = reading.node, reading.name
        if reading.name in (MODEL, MODEL_STATE) and reading.value:
            held = newest.get(place)
            if held is None or reading.time > held.time:
                newest[place] = reading
    told: dict[str, str] = {}
    for node in {node for node, _ in newest}:
        state, info = newest.get((node, MODEL_STATE)), newest.get((node, MODEL))
        how = dict(state.labels).get("state", "") if state else WELL
        answers = info is not None and (state is None or info.time >= state.time)
        words = [dict(info.labels).get(k, "") for k in ("name", "version")] if info else []
        told[node] = " ".join((*(words if answers else ()), *([how] if how != WELL else ())))
    return told


def _whole(value: float | None) -> int | None:
    """A count as a whole number; None for what no count can be."""
    return int(value) if value is not None and 0 <= value < 2**53 else None
