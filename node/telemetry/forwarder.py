"""Forwarder: the spool's blocks to the hub, when there is a link.

* Events before samples, oldest first: a missed search is worth more than a minute of memory.
  What teachers handed in comes last: it is large, and it can wait.
* A block is deleted only when the hub said that it has it; "there already" counts as that.
* A link that fails ends the round and nothing is lost. A block that the hub refuses is left
  for later rounds, and dropped after a few, so that it cannot block the others.
* A stick may be lost on the way: what is copied onto one stays here; the hub takes each block
  once, by whichever road it comes first.
"""

import logging
from dataclasses import dataclass

from node.telemetry.spool import Sealed, Spool, SpoolKind
from node.worker import Worker
from sync.errors import TransportError
from sync.transport import RefusedError, Sink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What one round came to."""

    stored: int
    known: int
    """Blocks that the hub had already."""
    refused: int
    bytes_up: int
    trouble: str = ""
    """Why the round ended early; empty when it did not."""


class Forwarder:
    """Moves blocks from one spool to one sink."""

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        worker: Worker,
        *,
        keep: bool = False,
        hub_answers: bool = False,
    ) -> None:
        """With `keep` blocks stay in the spool: `sink` is a copy on its way, not the hub.

        `hub_answers`: what `sink` acknowledges is at the hub, not only on its way.
        """
        self._hub_answers = hub_answers
        self._spool = spool
        self._sink = sink
        self._worker = worker
        self._keep = keep

    async def forward(self) -> Forwarded:
        """One round over everything that is sealed."""
        stored = known = refused = up = 0
        try:
            for seq in await self._worker.run(self._waiting):
                block = await self._worker.run(self._spool.block, seq)
                if block is None:
                    continue
                try:
                    new = await self._send(block)
                except RefusedError as error:
                    log.warning("block %d: %s", seq, error)
                    await self._worker.run(self._spool.refused, seq)
                    refused += 1
                    continue
                up += len(block.data)
                stored, known = stored + new, known + (not new)
                if not self._keep:
                    await self._worker.run(self._spool.done, seq, received=self._hub_answers)
        except TransportError as error:
            return Forwarded(stored, known, refused, up, str(error))
        return Forwarded(stored, known, refused, up)

    def _waiting(self) -> list[int]:
        kinds: tuple[SpoolKind, ...] = ("events", "samples", "uploads")
        return [seq for kind in kinds for seq in self._spool.waiting(kind)]

    async def _send(self, block: Sealed) -> bool:
        if block.kind == "samples":
            return await self._sink.samples(block.data)
        return await self._sink.events(block.data)
