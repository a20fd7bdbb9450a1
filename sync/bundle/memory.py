"""Memory: what a writer of bundles may remember from one to the next. Only the hub's lasts.

* Three things are remembered: edit scripts, the base that was chosen for an object, and the
  payload of a group. All follow from digests, so a memory can only be empty, never stale;
  what it gives is checked like everything else when the finished bundle is read back.
"""

import threading
from typing import Protocol

from sync.codec.script import Differ, LineDiffer, Script

VERSION = 1
"""Part of every key; changes when payloads are written differently."""


class Memory(Protocol):
    """Any thread of the writer may ask."""

    def script(self, old: bytes, new: bytes) -> Script | None:
        """See `Differ`."""
        ...

    def recall(self, key: bytes) -> bytes | None:
        """What was kept under `key`."""
        ...

    def keep(self, key: bytes, value: bytes) -> None:
        """Keeps `value`, if there is room."""
        ...


class Forgetful:
    """A memory that remembers nothing; `differ` tells its scripts, one at a time."""

    def __init__(self, differ: Differ | None = None) -> None:
        self._differ = differ or LineDiffer()
        self._turn = threading.Lock()

    def script(self, old: bytes, new: bytes) -> Script | None:
        """See `Memory`."""
        with self._turn:
            return self._differ(old, new)

    def recall(self, key: bytes) -> bytes | None:
        """See `Memory`."""
        return None

    def keep(self, key: bytes, value: bytes) -> None:
        """See `Memory`."""
