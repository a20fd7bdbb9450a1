"""Settling: blocks that the hub acknowledges on a stick are forgotten here, and no others.

* Only what the hub's own key signed is believed; a stick of another hub, a damaged or a forged
  one changes nothing.
* A block is known by node, epoch and number, as at the hub.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from node.telemetry.spool import Sealed, Spool, SpoolKind
from node.worker import Worker
from sync import acks
from sync.acks import Acks
from sync.errors import ChaskiError
from sync.events import decode_events
from sync.samples import decode_block
from sync.transport.directory import DirectorySource, on_stick
from sync.trust import Floors, TrustedState

log = logging.getLogger(__name__)


class Settling:
    """For the blocks of `node` in `spool`; `root` gives the root keys that are trusted now."""

    def __init__(
        self,
        spool: Spool,
        worker: Worker,
        channel: str,
        node: str,
        root: Callable[[], bytes | None],
    ) -> None:
        self._spool, self._worker = spool, worker
        self._channel, self._node, self._root = channel, node, root

    async def settle(self, folder: Path) -> int:
        """Forgets what the hub acknowledges in `folder`; how many blocks that were."""
        root = self._root()
        try:
            data = await DirectorySource(on_stick(folder)).acks(self._channel)
            if data is None or root is None:
                return 0
            said = acks.from_bytes(data, TrustedState(root, Floors()))
            if said.channel != self._channel:
                return 0
            return await self._worker.run(self._forget, said)
        except ChaskiError as error:
            log.warning("%s: nothing is taken for acknowledged: %s", folder, error)
            return 0

    def _forget(self, said: Acks) -> int:
        count = 0
        kinds: tuple[SpoolKind, ...] = ("events", "samples", "uploads")
        for seq in (seq for kind in kinds for seq in self._spool.waiting(kind)):
            block = self._spool.block(seq)
            if block is not None and said.has(self._node, _epoch(block), seq):
                self._spool.done(seq, received=True)
                count += 1
        return count


def _epoch(block: Sealed) -> str:
    if block.kind == "samples":
        return decode_block(block.data).epoch
    return decode_events(block.data).epoch
