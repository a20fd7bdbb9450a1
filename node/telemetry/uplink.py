"""Uplink: seals what the node has to say and hands it to the hub, or to a stick on its way there.

* `hub` is the road of the settings. A stick, or a folder, takes copies: it may be lost, or lie
  somewhere for ever. Blocks stay here until the hub has them: it said so over a wire, or on a
  stick (`settling.py`). It takes each block once, whichever way it comes first.
"""

import logging

from node.telemetry.forwarder import Forwarded, Forwarder
from node.telemetry.recorder import Recorder
from node.telemetry.sampler import Sampler
from node.telemetry.spool import Spool
from node.worker import Worker
from sync.errors import ChaskiError
from sync.transport import Sink

log = logging.getLogger(__name__)


class Uplink:
    """The way up of one node."""

    def __init__(
        self,
        sampler: Sampler,
        recorder: Recorder,
        spool: Spool,
        worker: Worker,
        sink: Sink,
        *,
        by_wire: bool,
    ) -> None:
        """`by_wire`: what `sink` takes, the hub has, or a broker that keeps it for the hub."""
        self._sampler = sampler
        self._recorder = recorder
        self._spool = spool
        self._worker = worker
        self.hub = Forwarder(spool, sink, worker, keep=not by_wire)

    async def report(self, forwarder: Forwarder) -> Forwarded:
        """Seals what there is, also of an hour that is not over, and sends it."""
        for work in (self._sampler.sample, self._sampler.seal, self._recorder.seal):
            try:
                await self._worker.run(work)
            except ChaskiError as error:
                log.warning("%s", error)
        return await forwarder.forward()

    async def copy(self, sink: Sink) -> Forwarded:
        """A copy of everything to `sink`; all of it stays here until the hub has it."""
        return await self.report(Forwarder(self._spool, sink, self._worker, keep=True))
