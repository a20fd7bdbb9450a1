"""The studio's words: one key, one sentence, in every language."""

import re
from pathlib import Path
from string import Formatter

import pytest

from hub.studio.words import CATALOGUES, Words, preferred

SPANISH = CATALOGUES["es"]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_english_says_everything_and_quechua_nothing_else() -> None:
    assert set(CATALOGUES["en"]) == set(SPANISH)
    assert set(CATALOGUES["qu"]) <= set(SPANISH)


@pytest.mark.parametrize("language", ["en", "qu"])
def test_a_translation_fills_in_the_same_values(language: str) -> None:
    catalogue = dict(CATALOGUES)[language]  # type: ignore[index]
    wrong = {key for key, text in catalogue.items() if fields(text) != fields(SPANISH[key])}
    assert wrong == set()


def test_every_key_that_pages_name_is_there_and_every_key_is_named(root: Path) -> None:
    studio = root / "hub" / "studio"
    paths = [*studio.glob("templates/*.html"), *studio.glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in paths)
    named = set(re.findall(r'words\(\s*f?["\']([a-z_.0-9]+)["\']\s*[,)}]', source))
    assert named <= set(SPANISH), named - set(SPANISH)
    named |= set(re.findall(r'leave_note\(request, "([a-z_.]+)"', source))
    groups = set(re.findall(r'["\']([a-z_.]+\.)["\']\s*~', source))
    groups |= set(re.findall(r'f"([a-z_.]+\.)\{', source))
    groups |= {f"{g}." for g in re.findall(r'\.of\("([a-z_]+)"', source)}
    unused = {k for k in SPANISH if k not in named and not k.startswith(tuple(groups))}
    assert unused == set()


def test_an_unknown_name_of_an_open_group_is_shown_as_it_is() -> None:
    assert Words("es").of("gate", "copy") == "copia"
    assert Words("es").of("gate", "rhyme") == "rhyme"


def test_what_quechua_lacks_is_said_in_spanish() -> None:
    assert Words("qu")("publish.lead") == SPANISH["publish.lead"]


@pytest.mark.parametrize(
    ("accept", "language"),
    [("", "es"), ("en", "en"), ("EN-us", "en"), ("fr;q=1, qu-PE;q=0.2", "qu"), (";,;", "es")],
)
def test_the_first_language_that_we_speak_is_taken(accept: str, language: str) -> None:
    assert preferred(accept) == language
