"""Renews the portal's catalogues from its code and templates: `python -m tests.portal.extract`.

Keeps every translation and each file's header, adds new messages without a translation, drops
those no longer used. Babel does the work: a tool of contributors, not needed on a node.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

FOLDER = Path(__file__).resolve().parents[2] / "node" / "portal"
LANGUAGES = ("es", "qu", "en")
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
OPTIONS = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}


def extracted() -> Iterator[str | tuple[str, str]]:
    """Every message of the portal; two forms where it counts something."""
    found = extract_from_dir(FOLDER, METHODS, OPTIONS, keywords=KEYWORDS)
    for _, _, message, _, _ in found:
        yield message if isinstance(message, str) else (message[0], message[1])


def template() -> Catalog:
    """The messages as an empty catalogue."""
    catalogue = Catalog(fuzzy=False)
    for message in extracted():
        catalogue.add(message)
    return catalogue


def held(language: str) -> str:
    """The catalogue that ships."""
    return (FOLDER / "i18n" / f"{language}.po").read_text(encoding="utf-8")


def renewed(language: str) -> str:
    """The catalogue of `language` with exactly the messages of today; Spanish fills itself."""
    text = held(language)
    catalogue = read_po(BytesIO(text.encode()), abort_invalid=True)
    catalogue.update(template(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    for message in catalogue:
        if language == "es" and message.id:
            message.string = message.id
    out = BytesIO()
    write_po(out, catalogue, width=100, sort_output=True, no_location=True, omit_header=True)
    header = text.split("\n\n", 1)[0]
    return f"{header}\n\n{out.getvalue().decode().strip()}\n"


def main() -> None:
    """Writes the three catalogues."""
    for language in LANGUAGES:
        (FOLDER / "i18n" / f"{language}.po").write_text(renewed(language), encoding="utf-8")


if __name__ == "__main__":
    main()
