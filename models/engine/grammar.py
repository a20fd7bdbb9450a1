"""Which tokens an answer may go on with: letters of some languages, or one of some texts.

* A token of a byte-level model may be a part of a character. So a grammar is an automaton
  over bytes: after what has been written, a token is allowed when its bytes can still become
  an allowed text. What is written in the end is whole allowed characters, always.
* The masks [vocabulary] are made once for each state and kept; a state of an alphabet is the
  beginning of a character (a handful of states), a state of choices a place in the texts.
* The end of the text is a token too: allowed between two characters, or after a whole choice.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.engine.sampling import LETTERS, Sampling
from models.tokenizer import Tokenizer

Mask = npt.NDArray[np.bool_]
MARKS = " \n.,;:!?¡¿()[]\"'«»“”‘’-–—…/%+=*×÷<>°ºª&#0123456789"


class Grammar(Protocol):
    """The promise of one answer, and how far the answer has come."""

    def allowed(self) -> Mask | None:
        """The tokens that may come next; None when the answer is whole."""
        ...

    def push(self, token: int) -> None:
        """`token` has been written."""
        ...


class Grammars:
    """Makes grammars for one tokenizer; keeps what they have in common."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._spellings: list[bytes] = []
        self._tokens: dict[bytes, list[int]] = {}
        self._alphabets: dict[frozenset[str], dict[bytes, Mask]] = {}

    def of(self, sampling: Sampling) -> Grammar | None:
        """The grammar that `sampling` asks for, if any."""
        if not (sampling.choices or sampling.languages):
            return None
        if not self._spellings:
            self._spell()
        if sampling.choices:
            return Choices(sampling.choices, self._spellings, self._tokens, self._empty)
        letters = "".join(LETTERS[language] for language in sampling.languages)
        characters = frozenset(letters + letters.upper() + MARKS)
        masks = self._alphabets.setdefault(characters, {})
        return Alphabet(characters, self._spellings, masks, self._empty)

    def _spell(self) -> None:
        count = min(self._tokenizer.size, self._vocabulary)
        spellings = [self._tokenizer.spelling(token) for token in range(count)]
        tokens: dict[bytes, list[int]] = {}
        for token, spelling in enumerate(spellings):
            if spelling:
                tokens.setdefault(spelling, []).append(token)
        # In this order: whoever comes from another thread finds nothing, or both.
        self._tokens = tokens
        self._spellings = spellings

    def _empty(self, *, end: bool) -> Mask:
        mask = np.zeros(self._vocabulary, np.bool_)
        if self._tokenizer.end is not None:
            mask[self._tokenizer.end] = end
        return mask


class Alphabet:
    """Whole characters out of a set."""

    def __init__(
        self,
        characters: frozenset[str],
        spellings: list[bytes],
        masks: dict[bytes, Mask],
        empty: Callable[..., Mask],
    ) -> None:
        self._whole = {character.encode() for character in characters}
        self._begun = {whole[:size] for whole in self._whole for size in range(1, len(whole))}
        self._spellings = spellings
        self._masks = masks
        self._empty = empty
        self._tail = b""
        """The bytes of a character that is not whole yet."""

    def allowed(self) -> Mask | None:
        """See Grammar."""
        if self._tail not in self._masks:
            mask = self._empty(end=not self._tail)
            for token, spelling in enumerate(self._spellings):
                if spelling and self._after(self._tail + spelling) is not None:
                    mask[token] = True
            self._masks[self._tail] = mask
        mask = self._masks[self._tail]
        return mask if mask.any() else None

    def push(self, token: int) -> None:
        """See Grammar."""
        self._tail = self._after(self._tail + self._spellings[token]) or b""

    def _after(self, text: bytes) -> bytes | None:
        """What is left of `text` after its whole characters; None when it is not allowed."""
        at = 0
        while at < len(text):
            size = next((n for n in range(1, 5) if text[at : at + n] in self._whole), 0)
            if not size:
                tail = text[at:]
                return tail if tail in self._begun else None
            at += size
        return b""


class Choices:
    """One of some texts."""

    def __init__(
        self,
        choices: tuple[str, ...],
        spellings: list[bytes],
        tokens: dict[bytes, list[int]],
        empty: Callable[..., Mask],
    ) -> None:
        self._choices = sorted({choice.encode() for choice in choices})
        self._spellings = spellings
        self._tokens = tokens
        self._empty = empty
        self._written = b""

    def allowed(self) -> Mask | None:
        """See Grammar."""
        at = len(self._written)
        rests = [c[at:] for c in self._choices if c.startswith(self._written)]
        if not any(rests):
            return None
        mask = self._empty(end=b"" in rests)
        for rest in rests:
            for size in range(1, len(rest) + 1):
                mask[self._tokens.get(rest[:size], [])] = True
        return mask if mask.any() else None

    def push(self, token: int) -> None:
        """See Grammar."""
        self._written += self._spellings[token]
