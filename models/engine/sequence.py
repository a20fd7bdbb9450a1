"""One request inside the engine: its tokens, its choices, and its text on the way out.

* Tokens are prompt and answer together. All but the last are, or have been, in a slot.
* Nothing here depends on when or beside whom the sequence runs; it may lose its slot and get
  another at any time.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from models.engine.grammar import Grammar
from models.engine.sampler import Sampler
from models.engine.sampling import Sampling
from models.engine.speculate import Lookup, Luck, Pace, reach
from models.engine.stops import StopText
from models.engine.stream import Piece, Reason, Stream
from models.tokenizer import Detokenizer, Tokenizer

Row = npt.NDArray[np.float32]


class Sequence:
    """See the module."""

    def __init__(
        self,
        prompt: list[int],
        sampling: Sampling,
        budget: int,
        tokenizer: Tokenizer,
        stream: Stream,
        grammar: Grammar | None = None,
    ) -> None:
        self.prompt = len(prompt)
        """Tokens of the prompt."""
        self.tokens = list(prompt)
        self.budget = budget
        """Tokens it may write."""
        self.stream = stream
        self._end = tokenizer.end
        self._sampler = Sampler(sampling)
        self._grammar = grammar
        self._detokenizer = Detokenizer(tokenizer)
        self._stops = StopText(sampling.stop)
        self._lookup: Lookup | None = None
        self._hint: list[int] = []
        self._luck = Luck()

    def guess(self, limit: int, pace: Pace, running: int) -> list[int]:
        """The tokens worth checking in the next run, at most `limit`; see `speculate.reach`."""
        if self._lookup is None:
            self._lookup = Lookup(self.tokens)
        self._hint = self._lookup.guess(max(limit, 1))
        return self._hint[: reach(pace, self._luck.rate, running, limit)]

    def advance(self, rows: Iterable[Row], guessed: list[int]) -> tuple[int, Reason]:
        """Choose a token from each of `rows` while it is the guessed one, and send their text.

        Row i follows guess i - 1. Returns the tokens written, and the reason if it ends.
        """
        expected = guessed or self._hint[:1]
        self._hint = []
        text, before = "", len(self.tokens)
        reason: Reason = ""
        for place, row in enumerate(rows):
            more, reason = self._write(row)
            text += more
            if reason or place >= len(guessed) or self.tokens[-1] != guessed[place]:
                break
        written = len(self.tokens) - before
        self._learn(expected, self.tokens[before:])
        if reason in ("end", "length"):
            text += self._held()
        if text or reason:
            self.stream.put(Piece(text, done=bool(reason), reason=reason))
        return written, reason

    def close(self, reason: Reason) -> None:
        """Send what is held back, and the reason."""
        self.stream.put(Piece(self._held(), done=True, reason=reason))

    def _write(self, row: Row) -> tuple[str, Reason]:
        allowed = None
        if self._grammar is not None and (allowed := self._grammar.allowed()) is None:
            return "", "end"
        token = self._sampler.choose(row, allowed)
        if token == self._end:
            return "", "end"
        self.tokens.append(token)
        self.stream.tokens += 1
        if self._lookup is not None:
            self._lookup.extend([token])
        text = self._stops.push(self._detokenizer.push(token))
        if self._stops.hit:
            return text, "stop"
        if self._grammar is not None:
            self._grammar.push(token)
            if self._grammar.allowed() is None:
                return text, "end"
        return text, "length" if self.stream.tokens == self.budget else ""

    def _learn(self, expected: list[int], came: list[int]) -> None:
        right = 0
        for token, guess in zip(came, expected, strict=False):
            if token != guess:
                self._luck.saw(right, 1)
                return
            right += 1
        self._luck.saw(right, 0)

    def _held(self) -> str:
        return self._stops.push(self._detokenizer.flush()) + self._stops.flush()
