"""Words: what the studio says, one module a language. Spanish first and complete.

* A sentence is looked up by key and filled with named values; English has every key too.
* Quechua has the short labels; what it lacks is said in Spanish, since half-understood
  Quechua would be worse. A speaker has yet to review it.
* Values are text by the time they get here; templates escape them.
"""

from collections.abc import Mapping

from hub.studio.words import en, es, qu
from sync.lesson import Language

CATALOGUES: Mapping[Language, Mapping[str, str]] = {"es": es.WORDS, "qu": qu.WORDS, "en": en.WORDS}
NAMES: Mapping[Language, str] = {"es": "Español", "qu": "Runasimi", "en": "English"}
FIRST: Language = "es"


class Words:
    """The sentences of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = {**CATALOGUES[FIRST], **CATALOGUES[language]}

    def __call__(self, key: str, /, **values: object) -> str:
        """The sentence called `key`. Raises KeyError when there is none."""
        return self._words[key].format(**values)

    def of(self, group: str, name: str) -> str:
        """The word for `name` in an open group, such as a gate; `name` itself when unknown."""
        return self._words.get(f"{group}.{name}", name)


def chosen(text: str | None) -> Language | None:
    """`text` as a language of the studio; None when it is none."""
    return next((language for language in CATALOGUES if language == text), None)


def preferred(accept: str) -> Language:
    """The first language of an Accept-Language header that the studio speaks."""
    for part in accept[:200].split(","):
        if language := chosen(part.split(";")[0].split("-")[0].strip().lower()):
            return language
    return FIRST
