"""Uplink: seals what the node has to say and hands it to the hub, or to a stick on its way there.

* A node whose key cannot be read sends nothing: what is not signed would be refused and lost.
* `hub` is the road of the settings. A stick, or a folder, takes copies: it may be lost, or lie
  somewhere for ever. Blocks stay here until the hub has them: it said so over a wire, or on a
  stick (`settling.py`). It takes each block once, whichever way it comes first.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from node.telemetry.forwarder import Forwarded, Forwarder
from node.telemetry.recorder import Recorder
from node.telemetry.sampler import Sampler
from node.telemetry.spool import Spool
from node.worker import Worker
from sync.errors import ChaskiError, SettingsError, TransportError
from sync.identity import NodeKey, SignedSink
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
        dress: Callable[[Sink], Sink] = lambda sink: sink,
        hub_answers: bool = False,
    ) -> None:
        """`by_wire`: what `sink` takes, the hub has, or a broker that keeps it for the hub.

        `dress` puts the signature on what leaves. `hub_answers`: see `Forwarder`.
        """
        self._dress = dress
        self._sampler = sampler
        self._recorder = recorder
        self._spool = spool
        self._worker = worker
        self.hub = Forwarder(spool, dress(sink), worker, keep=not by_wire, hub_answers=hub_answers)

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
        return await self.report(Forwarder(self._spool, self._dress(sink), self._worker, keep=True))


def dressing(key: str) -> Callable[[Sink], Sink]:
    """How blocks leave a node whose key is in the file `key`; empty: it has none."""
    if not key:
        return lambda sink: sink
    try:
        read = NodeKey.read(Path(key))
    except SettingsError as error:
        log.error("what goes up waits: %s (%s)", error, error.hint)
        why = str(error)
        return lambda sink: Closed(why)
    return lambda sink: SignedSink(sink, read)


class Closed:
    """A sink that takes nothing, and says why. See `Sink`."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def samples(self, block: bytes) -> bool:
        """See `Sink`."""
        raise TransportError(self._why)

    async def events(self, block: bytes) -> bool:
        """See `Sink`."""
        raise TransportError(self._why)
