"""Meter: a Source around a Source that counts what came down.

It counts what the inner source hands over: payload, whole or in part, also of attempts
that failed later.
"""

from sync.transport import Source
from sync.transport.counted import Counted


class Meter(Counted):
    """`source`, counted. See `Source`."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.bytes_down = 0

    def _count(self, data: bytes) -> bytes:
        self.bytes_down += len(data)
        return data
