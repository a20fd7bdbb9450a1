"""Roads: the list of ways to the hub as the settings say it, judged before any is used.

* `sync.roads` names them in order of preference: addresses of hubs and mirrors (http://,
  https://), folders, and `kafka`, which is the broker of `[kafka]`.
* `sync.hub` is the simple form: one of them; where Kafka is set up it is asked first.
* What can be read in two ways is refused: both forms with different contents, a broker that is
  set up but not named, an address without http:// that could be a folder.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sync.errors import SettingsError

KAFKA = "kafka"
WIRES = ("http://", "https://")
_ADDRESS = re.compile(
    r"([^/\\]*:\d{1,5}|\[[0-9a-fA-F:]+\].*|[^./\\][^/\\]*\.[^/\\]*|localhost)(/|\Z)"
)
"""What a hub's address looks like when http:// was forgotten."""


def listed(hub: str, roads: Sequence[str], bootstrap: str) -> tuple[str, ...]:
    """The roads in order; none when nothing is set.

    Raises SettingsError: ambiguous, given twice, or no road at all.
    """
    if hub and roads and tuple(roads) != (hub,):
        raise SettingsError(
            "sync.hub and sync.roads are both set, and differ",
            hint="name every road in sync.roads and leave sync.hub out",
        )
    if not roads:
        roads = [*([KAFKA] if bootstrap else []), *([hub] if hub else [])]
    elif bootstrap and KAFKA not in roads:
        raise SettingsError(
            "[kafka] is set up, but sync.roads does not name kafka",
            hint='put "kafka" where it belongs among sync.roads, or empty kafka.bootstrap',
        )
    for road in roads:
        _check(road, bootstrap)
    if len({road.rstrip("/") for road in roads}) < len(roads):
        raise SettingsError("sync.roads names a road twice", hint="name each once")
    return tuple(roads)


def _check(road: str, bootstrap: str) -> None:
    """Raises SettingsError when `road` is none."""
    if road == KAFKA:
        if not bootstrap:
            raise SettingsError(
                "sync.roads names kafka, but kafka.bootstrap is empty",
                hint="set it to the brokers' host:port",
            )
    elif "://" in road:
        if not road.startswith(WIRES) or not _host(road):
            raise SettingsError(
                f"{road!r} is no road to a hub",
                hint="it begins with http:// or https:// and a host, or is a folder",
            )
    elif not road:
        raise SettingsError("sync.roads has an empty road", hint="leave it out")
    elif _ADDRESS.match(road):
        raise SettingsError(
            f"{road!r} looks like an address without http://",
            hint=f"write http://{road} for a hub, or ./{road} for a folder of that name",
        )


def _host(road: str) -> str | None:
    try:
        split = urlsplit(road)
        return split.hostname if split.port != 0 else None
    except ValueError:  # a port that is none
        return None


def by_wire(road: str) -> bool:
    """True when `road` is a network, not a folder."""
    return road == KAFKA or road.startswith(WIRES)


def rooted(road: str, home: Path) -> str:
    """`road`, absolute if it is a folder; relative ones begin at `home`."""
    return road if not road or by_wire(road) else str(home / road)


def spoken(road: str) -> str:
    """`road` as pages, figures and outcomes name it: without user and password."""
    if not road.startswith(WIRES):
        return road
    split = urlsplit(road)
    host = split.netloc.rpartition("@")[2]
    return f"{split.scheme}://{host}{split.path.rstrip('/')}"
