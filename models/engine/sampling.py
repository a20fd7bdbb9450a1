"""How one request is to be continued: the knobs, and their bounds.

* Temperature 0 is greedy. Above it: repetition penalty, temperature, top-k, top-p, draw.
* `languages` and `choices` are promises, not wishes: a token that would break them is never
  written (`grammar`).
"""

from dataclasses import dataclass

from models.errors import ModelError

MAX_TOKENS = 4096
MAX_STOPS = 8
MAX_STOP_CHARS = 64
MAX_CHOICES = 64
MAX_CHOICE_CHARS = 200
LETTERS = {
    "es": "abcdefghijklmnopqrstuvwxyzáéíóúüñ",
    "qu": "abcdefghijklmnopqrstuvwxyzñáéíóúäëïöü",
    "en": "abcdefghijklmnopqrstuvwxyz",
}
"""What each language is written with, small letters; Quechua's marks are of Cusco's and of
Áncash's spellings."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request is to be continued."""

    max_tokens: int = 160
    temperature: float = 0.0
    top_k: int = 0
    """Only the k likeliest tokens; 0 for all."""
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this probability."""
    repetition_penalty: float = 1.0
    """Above 1: a token already written is less likely again."""
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    languages: tuple[str, ...] = ()
    """Only letters of these languages, digits, spaces and marks; empty: any text."""
    choices: tuple[str, ...] = ()
    """The answer is one of these, to the letter. A prompt ends without a space, so a choice
    usually begins with one."""

    def __post_init__(self) -> None:
        checks = {
            "max_tokens": 1 <= self.max_tokens <= MAX_TOKENS,
            "temperature": 0 <= self.temperature <= 5,
            "top_k": self.top_k >= 0,
            "top_p": 0 < self.top_p <= 1,
            "repetition_penalty": 1 <= self.repetition_penalty <= 5,
            "seed": 0 <= self.seed < 2**64,
            "stop": len(self.stop) <= MAX_STOPS
            and all(1 <= len(text) <= MAX_STOP_CHARS for text in self.stop),
            "languages": set(self.languages) <= set(LETTERS),
            "choices": len(self.choices) <= MAX_CHOICES
            and all(1 <= len(text) <= MAX_CHOICE_CHARS for text in self.choices)
            and not (self.choices and (self.languages or self.stop)),
        }
        for name, holds in checks.items():
            if not holds:
                raise ModelError(f"sampling: {name} = {getattr(self, name)!r} is out of bounds")
