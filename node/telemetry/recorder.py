"""Recorder: what happened on the node, kept for the hub. Never who.

* What an event may say, and how it is tidied, is in `sync.events`; what does not fit is lost.
* What pupils did is put together by lesson and day when it is sealed (`tally.py`).
* Recording never fails a page: what cannot be kept is logged, by kind only, and counted out.
"""

import logging

import msgspec

from node.telemetry.clock import Clock
from node.telemetry.metrics import Metrics
from node.telemetry.spool import Spool, readable
from node.telemetry.tally import tallied
from sync.errors import ChaskiError
from sync.events import Event, EventBlock, EventKind, encode_events, event

BLOCK_EVENTS = 500

log = logging.getLogger(__name__)


class Recorder:
    """Keeps events in the spool and counts them. Safe from any thread."""

    def __init__(self, spool: Spool, metrics: Metrics, clock: Clock, node: str) -> None:
        self._spool = spool
        self._metrics = metrics
        self._clock = clock
        self._node = node

    def record(self, kind: EventKind, data: dict[str, str]) -> None:
        """Keeps one event; `data` are short texts. Never raises for what is wrong with them."""
        try:
            made = event(kind, int(self._clock.now() * 1000), data)
            self._spool.add("events", msgspec.msgpack.encode(made))
            if self._spool.rows("events") >= BLOCK_EVENTS:
                self.seal()
        except ChaskiError as error:
            log.warning("an event (%s) was lost: %s", kind, error)
            return
        self._metrics.event(made)

    def seal(self) -> None:
        """Seals what is not sealed yet. Raises SpaceError."""
        while self._spool.seal("events", BLOCK_EVENTS, self._block):
            pass

    def _block(self, epoch: str, seq: int, rows: list[bytes]) -> bytes:
        events = tallied(readable(rows, Event))
        if not events:
            return b""
        return encode_events(EventBlock(self._node, epoch, seq, events))
