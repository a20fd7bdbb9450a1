"""Words: how a text becomes the stems that are indexed and looked up.

* Folding first: lower case, no diacritics, no apostrophes; so `matematicas`, `Matemáticas`
  and `MATEMATICAS` are one word, and so are `llamk'ay` and `llamkay`.
* Quechua is folded further to three vowels (`qocha` = `qucha`): schools write both.
* Stems are light and work on folded text, because pupils type without accents; the
  published Spanish stemmers lean on the accents to tell verb endings.
* The same function runs on lessons and on queries; nothing else may touch the index.
"""

import re
import unicodedata
from functools import lru_cache

from node.store.stopwords import STOP_WORDS
from sync.lesson import Language

MAX_QUERY_CHARS = 400
MAX_QUERY_WORDS = 32
MIN_STEM = 3

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile(r"(?<=\w)['’‘ʼ´`](?=\w)")

# Longest first within each list; a suffix goes when MIN_STEM letters remain.
_SPANISH_DERIVED = (
    "amientos", "imientos", "amiento", "imiento", "aciones", "iciones", "uciones",
    "acion", "icion", "ucion", "idades", "idad", "amente", "mente", "adores", "adoras",
    "ador", "adora", "ables", "ibles", "able", "ible", "ancias", "encias", "ancia", "encia",
)  # fmt: skip
_SPANISH_VERB = (
    "aremos", "eremos", "iremos", "abamos", "iendo", "yendo", "ieron", "ieran", "iamos",
    "arlas", "arlos", "arles", "arnos", "arse", "erse", "irse", "arlo", "arla", "arle",
    "ando", "aban", "aran", "eran", "iran", "aron", "amos", "emos", "imos", "adas", "ados",
    "idas", "idos", "aba", "ada", "ado", "ida", "ido", "ian", "ara", "era", "ira",
    "ar", "er", "ir", "an", "en", "ia", "io",
)  # fmt: skip
_ENGLISH = ("ations", "ation", "ingly", "ness", "ment", "ings", "ing", "edly", "ies", "ied",
            "ers", "ed", "es", "er", "ly", "s", "e", "y")  # fmt: skip
_QUECHUA = (
    "nchikkuna", "nchispa", "nchikpa", "nchik", "nchis", "ykichik", "ykichis", "manta",
    "kama", "rayku", "niyuq", "kunas", "kuna", "ntin", "spa", "pti", "qti", "chka", "sha",
    "yuq", "wan", "paq", "pas", "pis", "taq", "raq", "chu", "lla", "yki", "pi", "ta", "man",
    "qa", "pa", "mi", "si", "na", "ni", "nki", "sqa", "ku", "m", "s", "n", "y", "q", "p",
)  # fmt: skip


def fold(text: str) -> str:
    """Lower case, without diacritics and inner apostrophes."""
    if text.isascii() and "'" not in text and "`" not in text:
        return text.lower()
    plain = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text))
    return "".join(c for c in plain if not unicodedata.combining(c)).lower()


def tokens(text: str) -> list[str]:
    """The folded words of `text`, in order."""
    return _WORD.findall(fold(text))


def stems(text: str, language: Language) -> list[str]:
    """The stems of all words of `text`, in order, as they are indexed."""
    return [stem(word, language) for word in tokens(text)]


def content(query: str, language: Language) -> list[str]:
    """The distinct stems of the words of `query` that carry meaning, in order.

    All its words when none does. Long queries are cut.
    """
    words = tokens(query[:MAX_QUERY_CHARS])[:MAX_QUERY_WORDS]
    meaningful = [word for word in words if word not in STOP_WORDS[language]]
    return list(dict.fromkeys(stem(word, language) for word in meaningful or words))


@lru_cache(maxsize=50_000)
def stem(word: str, language: Language) -> str:
    """The stem of one folded word."""
    if not word.isascii() or not word.isalpha() or len(word) <= MIN_STEM:
        return word
    if language == "es":
        return _spanish(word)
    if language == "en":
        return _cut(word, _ENGLISH)
    return _quechua(word)


def _spanish(word: str) -> str:
    word = _singular(word)
    cut = _cut(word, _SPANISH_DERIVED)
    if cut == word:
        cut = _cut(word, _SPANISH_VERB)
    if cut == word and word[-1] in "aeo" and len(word) > MIN_STEM:
        cut = word[:-1]
    return cut


def _singular(word: str) -> str:
    if word.endswith("ces") and len(word) > 4:
        return word[:-3] + "z"
    if word.endswith("es") and len(word) > 4 and word[-3] not in "aeiou":
        return word[:-2]
    if word.endswith("s") and word[-2] in "aeiou" and len(word) > MIN_STEM:
        return word[:-1]
    return word


def _quechua(word: str) -> str:
    word = word.translate(str.maketrans("eo", "iu"))
    while (cut := _cut(word, _QUECHUA)) != word:
        word = cut
    return word


def _cut(word: str, suffixes: tuple[str, ...]) -> str:
    for suffix in suffixes:
        if word.endswith(suffix) and len(word) - len(suffix) >= MIN_STEM:
            return word[: -len(suffix)]
    return word
