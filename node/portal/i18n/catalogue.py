"""Catalogue: one language's messages, read from a gettext `.po` file.

* Read: msgid, msgid_plural, msgstr, msgstr[n], continued strings, comments, `#~` lines
  (skipped) and the header. Contexts (msgctxt) and charsets other than UTF-8 are refused.
* A fuzzy message is used: our Quechua awaits a reviewer, and Spanish would help less.
* A message that is missing falls back to the Spanish source. A test proves none is.
* Placeholders are `%(name)s`, filled by whoever asks; the page escapes them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from sync.lesson import Language

FOLDER = Path(__file__).parent
LANGUAGES: tuple[Language, ...] = get_args(Language)
TAGS: Mapping[Language, str] = MappingProxyType({"es": "es-PE", "qu": "qu-PE", "en": "en"})
NAMES: Mapping[Language, str] = MappingProxyType(
    {"es": "Español", "qu": "Runasimi", "en": "English"}
)

ONE_FORM = "nplurals=1; plural=0;"
TWO_FORMS = "nplurals=2; plural=(n != 1);"

_LINE = re.compile(r'(msgid_plural|msgid|msgstr)?(?:\[(\d)\])?\s*"(.*)"')
_ESCAPE = re.compile(r'\\(["\\nrt])')
_ESCAPED = MappingProxyType({'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"})


class CatalogueError(ValueError):
    """A `.po` file that does not read: its name, its line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The messages of one language; call `open_catalogue` to have one."""

    language: Language
    header: Mapping[str, str]
    messages: Mapping[str, tuple[str, ...]]

    @property
    def tag(self) -> str:
        """The language as a `lang` attribute."""
        return TAGS[self.language]

    @property
    def review(self) -> str:
        """Who must still read this catalogue; empty when nobody."""
        return self.header.get("X-Review", "")

    def gettext(self, message: str) -> str:
        """The message in this language."""
        return (self.messages.get(message) or (message,))[0] or message

    def ngettext(self, one: str, many: str, n: int) -> str:
        """The message for `n` things."""
        source = one if n == 1 else many
        forms = self.messages.get(one, ())
        single = self.header.get("Plural-Forms") == ONE_FORM
        index = 0 if single or n == 1 else 1
        return forms[index] or source if index < len(forms) else source


@cache
def open_catalogue(language: Language) -> Catalogue:
    """The shipped catalogue of `language`. Raises CatalogueError."""
    path = FOLDER / f"{language}.po"
    return parse(language, path.read_text(encoding="utf-8"), path.name)


def parse(language: Language, text: str, name: str) -> Catalogue:
    """The catalogue in `text`. Raises CatalogueError with `name` and line."""
    messages: dict[str, tuple[str, ...]] = {}
    for number, entry in _entries(text, name):
        key = entry.get("msgid")
        if key is None:
            raise CatalogueError(f"{name}:{number}: a translation without its msgid")
        if key in messages:
            raise CatalogueError(f"{name}:{number}: twice the same msgid {key[:60]!r}")
        messages[key] = tuple(text for slot, text in entry.items() if slot.startswith("msgstr"))
    header = _header(messages.pop("", ("",))[0])
    if header.get("Plural-Forms") not in (ONE_FORM, TWO_FORMS):
        raise CatalogueError(f"{name}: Plural-Forms must be {ONE_FORM!r} or {TWO_FORMS!r}")
    return Catalogue(language, MappingProxyType(header), MappingProxyType(messages))


def _entries(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each entry as {"msgid": …, "msgstr": …} with the line where it ends."""
    entry: dict[str, str] = {}
    slot = ""
    number = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if not found:
            raise CatalogueError(f"{name}:{number}: cannot read {line[:60]!r}")
        word, index, quoted = found.groups()
        if word == "msgid" and entry:
            yield number - 1, entry
            entry = {}
        if word:
            slot = f"{word}[{index}]" if index else word
        if not slot:
            raise CatalogueError(f"{name}:{number}: text before the first msgid")
        entry[slot] = entry.get(slot, "") + _ESCAPE.sub(lambda m: _ESCAPED[m[1]], quoted)
    if entry:
        yield number, entry


def _header(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
