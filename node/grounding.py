"""Grounding: machine text reaches a child only while it stays with the quoted passage.

* A small model copies well and invents badly: it joins words of the passage into sentences
  that are false. Each sentence is judged when it is whole: nearly all its words that carry
  meaning must stand in the question or the passage, most of its words in their order, and it
  must not be said twice. The first that fails ends the answer; the model is told to stop.
* What is left unfinished when the model ends is dropped, not shown.
* Wraps a `Stream` and is one to its readers: pieces, place in the queue, cancel.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from node.store.stopwords import STOP_WORDS
from node.store.words import stem, tokens
from sync.lesson import Language

if TYPE_CHECKING:  # a node without the tutor does not load the model runtime
    from models.engine import Piece, Stream

KNOWN = 0.85
"""Least share of a sentence's words with meaning that stand in the source."""
IN_ORDER = 0.7
"""Least share of all its words that stand in the source in the same order."""
MAX_SENTENCE_CHARS = 600
_END = re.compile(r"[.!?…](?:[\"»”)]*)(?=\s)|\n")


class Judge:
    """Lets whole sentences through while they stay with the question and the passage."""

    def __init__(self, question: str, passage: str, language: Language) -> None:
        self._language = language
        self._stop = {stem(word, language) for word in STOP_WORDS[language]}
        self._source = self._stems(f"{question}\n{passage}")
        self._said: set[tuple[str, ...]] = set()
        self._held = ""
        self.strayed = False
        """True once a sentence left the source; nothing more comes through."""

    def feed(self, text: str) -> str:
        """The sentences that `text` completes and that may be shown."""
        self._held += text
        shown = ""
        while not self.strayed and (end := _END.search(self._held)):
            sentence, self._held = self._held[: end.end()], self._held[end.end() :]
            shown += self._judged(sentence)
        if len(self._held) > MAX_SENTENCE_CHARS:
            self.strayed = True
        return shown

    def finish(self) -> str:
        """What is left, if it is a whole sentence."""
        rest, self._held = self._held, ""
        whole = rest.rstrip().endswith((".", "!", "?", "…", "»", "”"))
        return self._judged(rest) if whole and not self.strayed else ""

    def _judged(self, sentence: str) -> str:
        words = tuple(self._stems(sentence))
        if not words:
            return sentence
        if words in self._said or not self._grounded(words):
            self.strayed = True
            return ""
        self._said.add(words)
        return sentence

    def _grounded(self, words: tuple[str, ...]) -> bool:
        stop = self._stop
        meaning = [word for word in words if word not in stop]
        known = sum(word in self._source for word in meaning)
        in_order = common_subsequence(words, self._source)
        return known >= KNOWN * len(meaning) and in_order >= IN_ORDER * len(words)

    def _stems(self, text: str) -> list[str]:
        return [stem(word, self._language) for word in tokens(text)]


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words of `a` stand in `b` in the same order, others between them."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for column, other in enumerate(b, 1):
            above = row[column]
            row[column] = before + 1 if word == other else max(above, row[column - 1])
            before = above
    return row[-1]


class Grounded:
    """A `Stream` whose sentences a `Judge` lets through."""

    def __init__(self, stream: "Stream", judge: Judge) -> None:
        self._stream = stream
        self._judge = judge

    @property
    def position(self) -> int:
        """Place in the queue; 0 once it runs or has ended."""
        return self._stream.position

    def cancel(self) -> None:
        """Give the request up."""
        self._stream.cancel()

    def __iter__(self) -> Iterator[str]:
        """The text that may be shown, blocking. Raises ModelError when the engine failed."""
        for piece in self._stream:
            if text := self._shown(piece):
                yield text
            if self._judge.strayed:
                return

    async def __aiter__(self) -> AsyncIterator[str]:
        """The text that may be shown. Raises ModelError when the engine failed."""
        async for piece in self._stream:
            if text := self._shown(piece):
                yield text
            if self._judge.strayed:
                return

    def _shown(self, piece: "Piece") -> str:
        text = self._judge.feed(piece.text)
        return text + self._judge.finish() if piece.done else text
