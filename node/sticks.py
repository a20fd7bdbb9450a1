"""Sticks: the USB sticks that are plugged in, and what is done with one.

* A stick is ours when it carries a head of our channel, in its folder `chaski` or at its top.
* Only a stick below one of the folders of the settings is listed or taken by name.
* Taking one is a sync like any other, by the same judge and journal; then what the hub
  acknowledges on it is forgotten here, and what still waits for the hub is copied onto it.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.outcome import Outcome
from node.telemetry.forwarder import Forwarded
from node.updater import Updater
from sync.errors import ContentError
from sync.transport import Sink
from sync.transport.directory import DirectorySink, DirectorySource, Layout, on_stick

MOST = 16
"""Sticks that are looked at."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stick:
    """One stick. `name` is where it is mounted, as people see it."""

    name: str
    folder: Path


class Sticks:
    """What is plugged in."""

    def __init__(
        self,
        folders: Sequence[Path],
        channel: str,
        updater: Updater,
        deliver: Callable[[Sink], Awaitable[Forwarded]],
        settle: Callable[[Path], Awaitable[int]],
    ) -> None:
        """`deliver` copies what waits for the hub into a sink; `settle` forgets what the hub
        acknowledges in a folder, and says how many blocks that were."""
        self._settle = settle
        self._folders = folders
        self._channel = channel
        self._updater = updater
        self._deliver = deliver

    def mounted(self) -> list[Stick]:
        """The sticks that carry our channel. Reads folders; a stick that fails is not there."""
        found: list[Stick] = []
        for place in self._folders:
            try:
                below = sorted(place.iterdir()) if place.is_dir() else []
                found += [Stick(p.name, p) for p in (place, *below) if self._ours(p)]
            except OSError as error:
                log.warning("%s: %s", place, error.strerror)
        return found[:MOST]

    async def take(self, folder: Path) -> Outcome:
        """Imports from the stick at `folder` and leaves on it what waits for the hub."""
        home = on_stick(folder)
        outcome = await self._updater.sync(DirectorySource(home))
        if settled := await self._settle(folder):
            log.info("stick %s: the hub has %d blocks of ours", folder.name, settled)
        if self._ours(folder):  # else it was pulled out: nothing is written where it was
            left = await self._deliver(DirectorySink(home))
            trouble = f"; {left.trouble}" if left.trouble else ""
            log.info("stick %s: %d blocks for the hub%s", folder.name, left.stored, trouble)
        return outcome

    def find(self, name: str) -> Path:
        """Where the stick `name` is: its name in the list or its whole path. ContentError."""
        for stick in self.mounted():
            if name in (stick.name, str(stick.folder)):
                return stick.folder
        raise ContentError(
            f"there is no stick {name[:80]!r} with channel {self._channel}",
            hint="plug it in; sync.stick_folders says where sticks are looked for",
        )

    def _ours(self, folder: Path) -> bool:
        return Layout(on_stick(folder)).head(self._channel).is_file()
