"""In which language a text is. The doorway to lingua.

* Spanish and English: lingua, with Portuguese beside them as what a model slips into.
* lingua knows no Quechua and takes it for English, so Quechua is told apart first, by the
  share of its words that are common Quechua words or end in a Quechua suffix. On the sample
  library that share is at least 0.5 in Quechua lessons and at most 0.12 in all others; it
  is a heuristic and says nothing about which Quechua.
"""

import re
from pathlib import Path

from lingua import Language, LanguageDetector, LanguageDetectorBuilder

QUECHUA_NONE = 0.15
QUECHUA_SURE = 0.40
_ISO = {"es": Language.SPANISH, "en": Language.ENGLISH}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_QUECHUA_WORDS = frozenset(
    Path(__file__).with_name("quechua.txt").read_text(encoding="utf-8").split()
)
_QUECHUA_SUFFIX = re.compile(
    r"(kuna|kunata|manta|nchik|nchikta|paq|rayku|wan|wanqa|pim|piqa|taq|tam|qa|chu|sqa|sqan"
    r"|sqanku|nku|chkan|spa|qtin|qtinku|yuq|kama|puni|lla|chik|chiy|kuy|yta|nta|pas)\Z"
)
_SHORTEST_SUFFIXED = 5  # letters; below, Spanish words end alike by chance


class LanguageJudge:
    """Says how sure it is that a text is in a language. Opening it reads lingua's models."""

    def __init__(self) -> None:
        languages = (*_ISO.values(), Language.PORTUGUESE)
        self._lingua: LanguageDetector = LanguageDetectorBuilder.from_languages(*languages).build()

    def confidence(self, text: str, language: str) -> float:
        """0..1 that `text` is in `language` (es, en or qu)."""
        quechua = quechua_confidence(text)
        if language == "qu":
            return quechua
        return (1.0 - quechua) * self._lingua.compute_language_confidence(text, _ISO[language])


def quechua_confidence(text: str) -> float:
    """0..1 that `text` is Quechua, by its words."""
    return min(1.0, max(0.0, (quechua_share(text) - QUECHUA_NONE) / (QUECHUA_SURE - QUECHUA_NONE)))


def quechua_share(text: str) -> float:
    """The share of the words of `text` that look Quechua; 0 for no words."""
    words = [re.sub("['’]", "", w) for w in _WORD.findall(text.lower())]
    return sum(map(_looks_quechua, words)) / len(words) if words else 0.0


def _looks_quechua(word: str) -> bool:
    if word in _QUECHUA_WORDS:
        return True
    return len(word) >= _SHORTEST_SUFFIXED and bool(_QUECHUA_SUFFIX.search(word))
