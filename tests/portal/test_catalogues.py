"""Three catalogues, each with every message, read by our own reader as Babel reads them."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from node.portal.i18n.catalogue import (
    LANGUAGES,
    ONE_FORM,
    TWO_FORMS,
    CatalogueError,
    open_catalogue,
    parse,
)
from sync.lesson import Language
from tests.portal import extract

HEADER = f'msgid ""\nmsgstr ""\n"Plural-Forms: {TWO_FORMS}\\n"\n'
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
TEMPLATES = Path(extract.FOLDER) / "templates"
SAME_IN_ALL = {"Canal", "No", "Nodo", "Prueba", "Prueba:", "Versión", "Modelo", "Sincronización"}
"""Words that Quechua takes from Spanish as they are."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_catalogue_has_every_message_and_no_other(language: Language) -> None:
    wanted = {m if isinstance(m, str) else m[0] for m in extract.extracted()}
    held = open_catalogue(language).messages
    assert set(held) == wanted
    assert [key for key, forms in held.items() if not all(forms)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_files_are_as_the_extractor_leaves_them(language: str) -> None:
    assert extract.renewed(language) == extract.held(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_their_placeholders(language: Language) -> None:
    for source, forms in open_catalogue(language).messages.items():
        for form in forms:
            assert set(PLACEHOLDER.findall(form)) == set(PLACEHOLDER.findall(source)), form


@pytest.mark.parametrize("language", ["qu", "en"])
def test_nothing_is_left_in_spanish(language: Language) -> None:
    held = open_catalogue(language).messages
    same = {key for key, forms in held.items() if forms[0] == key and key not in SAME_IN_ALL}
    assert same <= {"Licencia: %(license)s.", "Primaria", "Secundaria"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_reader_and_babels_agree(language: Language) -> None:
    theirs = {
        (m.id if isinstance(m.id, str) else m.id[0]): (
            (m.string,) if isinstance(m.string, str) else tuple(m.string or ())
        )
        for m in read_po(BytesIO(extract.held(language).encode()), abort_invalid=True)
        if m.id
    }
    assert dict(open_catalogue(language).messages) == theirs


def test_quechua_says_that_it_awaits_a_reader() -> None:
    assert open_catalogue("qu").review == "needs review by a speaker"
    assert open_catalogue("es").review == ""
    assert open_catalogue("qu").header["Plural-Forms"] == ONE_FORM


def test_plurals_follow_the_language() -> None:
    one, many = "%(n)s lección", "%(n)s lecciones"
    told = {
        language: [open_catalogue(language).ngettext(one, many, n) for n in (0, 1, 2)]
        for language in LANGUAGES
    }
    assert told["es"] == [many, one, many]
    assert told["en"] == ["%(n)s lessons", "%(n)s lesson", "%(n)s lessons"]
    assert told["qu"] == ["%(n)s yachachiy"] * 3


def test_a_missing_message_falls_back_to_spanish() -> None:
    catalogue = parse("qu", HEADER + '\nmsgid "Sí"\nmsgstr ""\n', "qu.po")
    assert catalogue.gettext("Sí") == "Sí"
    assert catalogue.gettext("Nunca vista") == "Nunca vista"
    assert catalogue.ngettext("una", "varias", 2) == "varias"


def test_strings_may_go_on_over_lines_and_hold_escapes() -> None:
    text = '\n# nota\n#~ msgid "vieja"\nmsgid ""\n"uno "\n"\\"dos\\"\\n"\nmsgstr "1\\\\2"\n'
    assert parse("es", HEADER + text, "es.po").messages == {'uno "dos"\n': ("1\\2",)}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('msgctxt "x"\nmsgid "a"\nmsgstr "b"\n', "es.po:5: cannot read"),
        ('msgid "a"\nmsgstr "b"\nmsgid "a"\nmsgstr "c"\n', "twice"),
        ("msgid a\n", "cannot read"),
    ],
)
def test_a_file_that_does_not_read_is_refused_with_its_line(text: str, wrong: str) -> None:
    with pytest.raises(CatalogueError, match=re.escape(wrong)):
        parse("es", HEADER + "\n" + text, "es.po")


def test_a_text_before_the_first_message_and_unknown_plurals_are_refused() -> None:
    with pytest.raises(CatalogueError, match="before the first"):
        parse("es", '"lost"\n', "es.po")
    with pytest.raises(CatalogueError, match="without its msgid"):
        parse("es", 'msgstr "b"\n', "es.po")
    with pytest.raises(CatalogueError, match="Plural-Forms"):
        parse("es", 'msgid "a"\nmsgstr "b"\n', "es.po")


def test_templates_speak_only_through_the_catalogues() -> None:
    """No letter of visible text outside `_()` and `{% trans %}`, but for the name."""
    for path in sorted(TEMPLATES.glob("*.html")):
        text = re.sub(r"{#.*?#}", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"{% trans.*?endtrans %}", " ", text, flags=re.DOTALL)
        text = re.sub(r"{% block live %}.*?{% endblock %}", " ", text)
        text = re.sub(r"{[{%].*?[%}]}", " ", text, flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", " ", text, flags=re.DOTALL)
        words = set(re.findall(r"[^\W\d_]{2,}", text)) - {"Chaski", "metrics", "api", "status"}
        assert words == set(), path.name
