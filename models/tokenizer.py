"""Text to tokens and back; the only place that knows the tokenizers library.

* Text is text: a marker such as `<|endoftext|>` that somebody typed is encoded letter by
  letter and never becomes the control token.
* A decoder's tokens are byte-level BPE (GPT-2): each is a string of bytes, so one character
  may span several of them. `Detokenizer` gives out whole characters only.
* Encoding is bounded by TEXT_LIMIT; a batch for the encoder is cut to `limit` tokens.
* An opened tokenizer is never changed: any thread may use it.
"""

import codecs
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from models.errors import ModelError

END_OF_TEXT = "<|endoftext|>"
TEXT_LIMIT = 1_000_000  # characters
FILE_LIMIT = 64 * 1024 * 1024  # bytes

Tokens = npt.NDArray[np.int64]


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte: character -> byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


_BYTES = byte_alphabet()


class Tokenizer:
    """One model's tokenizer."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        self._special = frozenset(
            number for number, token in inner.get_added_tokens_decoder().items() if token.special
        )
        self.end: int | None = inner.token_to_id(END_OF_TEXT)
        """The end-of-text token; None where the model has none (an encoder)."""
        self.size: int = inner.get_vocab_size()
        """Number of tokens."""

    @classmethod
    def open(cls, path: Path, limit: int | None = None) -> "Tokenizer":
        """Read a `tokenizer.json`; with `limit`, texts are cut to that many tokens.

        Raises:
            ModelError: the file is missing or damaged.
        """
        try:
            if path.stat().st_size > FILE_LIMIT:
                raise ModelError(f"{path} is larger than {FILE_LIMIT} bytes")
            inner = tokenizers.Tokenizer.from_file(str(path))
        except ModelError:
            raise
        except Exception as error:  # the library raises bare Exception
            raise ModelError(
                f"cannot read the tokenizer {path}: {error}", hint="build the model folder anew"
            ) from error
        inner.encode_special_tokens = True
        inner.no_padding()
        if limit is None:
            inner.no_truncation()
        else:
            inner.enable_truncation(limit)
        return cls(inner)

    def encode(self, text: str) -> list[int]:
        """The tokens of `text`, without markers.

        Raises:
            ModelError: the text is longer than TEXT_LIMIT characters.
        """
        ids: list[int] = self._inner.encode(_bounded(text), add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, markers left out; damaged UTF-8 becomes U+FFFD."""
        text: str = self._inner.decode(list(ids), skip_special_tokens=True)
        return text

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text with the model's markers, cut to the limit given to `open`.

        Raises:
            ModelError: a text is longer than TEXT_LIMIT characters.
        """
        return [e.ids for e in self._inner.encode_batch([_bounded(text) for text in texts])]

    def spelling(self, token: int) -> bytes:
        """The bytes that `token` of a byte-level model stands for; none for a marker."""
        if token in self._special:
            return b""
        word: str | None = self._inner.id_to_token(token)
        if word is None:
            raise ModelError(f"token {token} is not in the vocabulary of {self.size}")
        return b"".join(bytes([_BYTES[c]]) if c in _BYTES else c.encode() for c in word)

    @property
    def is_byte_level(self) -> bool:
        """Whether `spelling` is defined, that is, whether this is a GPT-2 tokenizer."""
        return isinstance(self._inner.decoder, tokenizers.decoders.ByteLevel)


class Detokenizer:
    """Turns one stream of tokens into text as it comes, whole characters only."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        if not tokenizer.is_byte_level:
            raise ModelError("only a byte-level tokenizer can write text token by token")
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The characters that `token` completes; empty inside a character."""
        return self._decoder.decode(self._tokenizer.spelling(token))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that never became whole."""
        return self._decoder.decode(b"", final=True)


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tokens, Tokens]:
    """Token ids [n, longest] padded with 0, and their mask of ones and zeros."""
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def _bounded(text: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise ModelError(f"a text of {len(text)} characters exceeds the limit of {TEXT_LIMIT}")
    return text
