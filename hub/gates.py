"""Gates: what a machine draft must pass before a person's time is spent on it. Pure rules.

| gate | measures | stops |
|---|---|---|
| length | words in the body | no |
| repetition | share of word 4-grams that occurred before in the draft | no |
| language | confidence that it is in the language asked for | no |
| blocklist | entries of the blocklist found | yes |
| copy | share of word 8-grams that stand in a text we have | yes |

* Every gate always speaks, with what it measured and why, so an editor sees all of it.
* A draft that fails a gate which stops is kept for the record and cannot be approved; one
  that fails another only comes later in the list.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from hub.candidate import GateResult
from hub.config import GatesTable
from sync.errors import SettingsError
from sync.lesson import Lesson

MAX_BLOCKLIST_BYTES = 1024 * 1024
REPEAT_WORDS = 4
COPY_WORDS = 8
_WORD = re.compile(r"[^\W_]+")


class Languages(Protocol):
    """What knows languages; `hub.language.LanguageJudge`."""

    def confidence(self, text: str, language: str) -> float:
        """0..1 that `text` is in `language`."""
        ...


class CopyIndex:
    """The word 8-grams of the texts we have, as 64-bit hashes of this process."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._known = {hash(gram) for text in texts for gram in grams(text, COPY_WORDS)}

    def share(self, text: str) -> float:
        """The share of the 8-grams of `text` that are known; 0 for a text of fewer words."""
        found = grams(text, COPY_WORDS)
        return sum(hash(g) in self._known for g in found) / len(found) if found else 0.0


class Blocklist:
    """Words and phrases that no lesson may hold."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = {" ".join(words(fold(e))) for e in entries} - {""}

    @classmethod
    def read(cls, path: Path) -> "Blocklist":
        """From a file: one entry a line, `#` begins a comment. Raises SettingsError."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BLOCKLIST_BYTES + 1)
            text = data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"blocklist {path} cannot be read: {error}",
                hint="set gates.blocklist to a text file",
            ) from error
        if len(data) > MAX_BLOCKLIST_BYTES:
            raise SettingsError(f"blocklist {path} is larger than {MAX_BLOCKLIST_BYTES} bytes")
        return cls(line.split("#")[0] for line in text.splitlines())

    def found(self, text: str) -> list[str]:
        """The entries that `text` holds, as whole words, also with -s or -es, sorted."""
        plain = f" {' '.join(words(fold(text)))} "
        endings = ("", "s", "es")
        return sorted(e for e in self._entries if any(f" {e}{end} " in plain for end in endings))


class Gates:
    """The gates with their limits."""

    def __init__(self, limits: GatesTable, blocklist: Blocklist, languages: Languages) -> None:
        self._limits = limits
        self._blocklist = blocklist
        self._languages = languages

    def judge(self, lesson: Lesson, known: CopyIndex) -> tuple[GateResult, ...]:
        """What each gate says of a draft."""
        text = f"{lesson.title}\n{lesson.markdown}"
        return (
            self._length(lesson.markdown),
            self._repetition(lesson.markdown),
            self._language(lesson.markdown, lesson.language),
            self._blocked(text),
            self._copy(lesson.markdown, known),
        )

    def _length(self, text: str) -> GateResult:
        count, low, high = len(words(text)), self._limits.min_words, self._limits.max_words
        return GateResult(
            "length", low <= count <= high, count, f"{count} words; {low} to {high} are wanted"
        )

    def _repetition(self, text: str) -> GateResult:
        share, limit = repetition(text), self._limits.max_repetition
        reason = f"{share:.0%} of its 4-word runs repeat; up to {limit:.0%} may"
        return GateResult("repetition", share <= limit, share, reason)

    def _language(self, text: str, language: str) -> GateResult:
        sure, limit = self._languages.confidence(text, language), self._limits.min_language
        how = ", by its words only" if language == "qu" else ""
        reason = f"{sure:.0%} sure that it is {language!r}{how}; {limit:.0%} is wanted"
        return GateResult("language", sure >= limit, sure, reason)

    def _blocked(self, text: str) -> GateResult:
        found = self._blocklist.found(text)
        reason = f"holds {', '.join(found[:5])}" if found else "holds no blocked word"
        return GateResult("blocklist", not found, len(found), reason, hard=True)

    def _copy(self, text: str, known: CopyIndex) -> GateResult:
        share, limit = known.share(text), self._limits.max_copy
        reason = f"{share:.0%} of its 8-word runs stand in our texts; up to {limit:.0%} may"
        return GateResult("copy", share <= limit, share, reason, hard=True)


def stopped(results: Sequence[GateResult]) -> bool:
    """True when a hard gate was failed."""
    return any(r.hard and not r.passed for r in results)


def repetition(text: str) -> float:
    """The share of the word 4-grams of `text` that occurred before in it."""
    found = grams(text, REPEAT_WORDS)
    return 1.0 - len(set(found)) / len(found) if found else 0.0


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    """The runs of `n` words of `text`, in order."""
    found = words(text.casefold())
    return list(zip(*(found[i:] for i in range(n)), strict=False))


def words(text: str) -> list[str]:
    """The words and numbers of `text`, without punctuation and marks."""
    return _WORD.findall(text)


def fold(text: str) -> str:
    """`text` in lower case without accents; ñ stays, it is another letter."""
    kept = unicodedata.normalize("NFC", text.casefold()).replace("ñ", "\0")
    bare = "".join(c for c in unicodedata.normalize("NFD", kept) if not unicodedata.combining(c))
    return bare.replace("\0", "ñ")
