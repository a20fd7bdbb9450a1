"""Stop strings in a text that comes in pieces.

* What is given out never holds a stop string, nor the beginning of one that may still come.
* The stop string that is complete first ends the text, however the text was cut in pieces.
"""

from collections.abc import Sequence


class StopText:
    """Filters one stream of text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.hit = False
        """A stop string has been seen; nothing more is given out."""

    def push(self, text: str) -> str:
        """What of the text so far may be given out."""
        if self.hit:
            return ""
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.hit = True
            return self._give(min(found)[1])
        return self._give(len(self._held) - self._beginning())

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        return "" if self.hit else self._give(len(self._held))

    def _give(self, count: int) -> str:
        given, self._held = self._held[:count], self._held[count:]
        return given

    def _beginning(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        lengths = (
            size
            for stop in self._stops
            for size in range(min(len(stop) - 1, len(self._held)), 0, -1)
            if self._held.endswith(stop[:size])
        )
        return max(lengths, default=0)
