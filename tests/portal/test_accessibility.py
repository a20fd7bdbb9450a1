"""What can be told from the markup; what needs eyes is in test_browser.py."""

from itertools import pairwise

import pytest

from tests.portal.conftest import Client
from tests.portal.page import Element, read
from tests.portal.test_student import page

PATHS = (
    "/",
    "/tema/ciencias-sociales",
    "/tema/salud",
    "/leccion/ciclo-del-agua/es",
    "/recursos",
    "/libro/books/agua.epub",
    "/libro/books/agua.epub?c=1",
    "/leccion/promedio-barras-lluvia/es",
    "/leccion/ayni-minka/es?junto=qu",
    "/leccion/ayni-minka/qu?r=1.-.0",
    "/buscar",
    "/buscar?q=agua",
    "/buscar?q=dinosaurios",
    "/preguntar",
    "/preguntar?q=¿Qué es la fotosíntesis?",
    "/preguntar?q=¿Quién ganó el mundial?",
    "/gracias",
    "/salud",
    "/sincronizar",
    "/entregar",
)


@pytest.mark.parametrize("language", ["es", "qu", "en"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_has_one_of_each_landmark_and_no_label_is_missing(
    client: Client, path: str, language: str
) -> None:
    await client.get(f"/?idioma={language}")
    shown = await page(client, path)
    for landmark in ("html", "main", "h1", "title"):
        assert shown.one(landmark).text or landmark == "html"
    assert [h.get("class") for h in shown.one("body").all("header")] == ["top"]
    assert shown.one("html")["lang"] in ("es-PE", "qu-PE", "en")
    assert_labelled(shown)
    assert_unique_ids(shown)
    assert_headings_descend(shown)


def assert_labelled(shown: Element) -> None:
    """Every field, button, link, group and navigation has a name."""
    labels = {label.get("for") for label in shown.all("label")}
    inside = {id(i) for label in shown.all("label") for i in label.all("input")}
    for field in shown.all("input"):
        named = field.get("id") in labels or id(field) in inside
        assert named or field.get("type") == "hidden", field.attributes
    for element in shown.all("button", "a", "legend", "summary", "label"):
        assert element.text or element.get("aria-label"), element.attributes
    for element in shown.all("nav", "meter"):
        assert element.get("aria-label"), element.attributes
    for group in shown.all("fieldset"):
        assert group.one("legend").text
    for drawing in shown.all("svg"):
        assert drawing.get("aria-hidden") == "true"


def assert_unique_ids(shown: Element) -> None:
    """No id twice, and whatever refers to one finds it."""
    every = list(shown.all(*{e.tag for e in walk(shown)}))
    ids = [e["id"] for e in every if e.get("id")]
    assert sorted(set(ids)) == sorted(ids)
    for element in every:
        for name in ("aria-labelledby", "for"):
            assert not element.get(name) or element.get(name) in ids


def assert_headings_descend(shown: Element) -> None:
    """No level is left out on the way down."""
    levels = [int(h.tag[1]) for h in shown.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def walk(element: Element) -> list[Element]:
    """The element's descendants."""
    found = []
    for child in element.children:
        if isinstance(child, Element):
            found += [child, *walk(child)]
    return found


async def test_the_first_stop_of_the_keyboard_leads_to_the_content(client: Client) -> None:
    async with client.get("/") as answer:
        home = read(await answer.text())
    first = next(iter(home.one("body").all("a")))
    assert first["href"] == f"#{home.one('main')['id']}"
    assert home.one("main")["tabindex"] == "-1"


async def test_a_text_in_another_language_says_so(client: Client) -> None:
    await client.get("/?idioma=en")
    topic = await page(client, "/tema/ciencias-sociales")
    card = next(a for a in topic.all("a") if a["href"] == "/leccion/ayni-minka/es")
    assert next(iter(card.all("b")))["lang"] == "es-PE"
