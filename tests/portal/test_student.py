"""Home, topic and search, as a pupil meets them."""

from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from tests.portal.conftest import Client
from tests.portal.page import Element, read
from tests.portal.school import School, all_lessons, school


async def page(client: Client, path: str) -> Element:
    """The page at `path`, which must be there."""
    async with client.get(path) as answer:
        assert answer.status == 200, path
        return read(await answer.text())


def links(element: Element) -> list[str]:
    """Where its links go."""
    return [a["href"] for a in element.one("main").all("a")]


async def test_home_shows_each_topic_with_its_lessons_counted(client: Client) -> None:
    home = await page(client, "/")
    cards = {a["href"]: a.text for a in home.one("main").all("a")}
    assert list(cards) == [
        "/tema/matematica",
        "/tema/comunicacion",
        "/tema/ciencia-y-tecnologia",
        "/tema/ciencias-sociales",
        "/tema/salud",
        "/recursos",
    ]
    assert cards["/tema/matematica"] == "🧮 Matemática 12 lecciones"


async def test_a_lesson_is_two_taps_from_home(client: Client) -> None:
    topic = links(await page(client, "/"))[0]
    lesson = next(u for u in links(await page(client, topic)) if u.startswith("/leccion/"))
    assert (await page(client, lesson)).one("h1").text


async def test_home_offers_to_go_on_where_the_pupil_left_off(client: Client) -> None:
    await page(client, "/leccion/ayni-minka/qu")
    home = await page(client, "/")
    assert links(home)[0] == "/leccion/ayni-minka/qu"
    assert "Sigue donde te quedaste" in home.one("main").text


async def test_a_topic_lists_its_lessons_by_grade_from_the_first_up(client: Client) -> None:
    topic = await page(client, "/tema/ciencias-sociales")
    headings = [h.text for h in topic.one("main").all("h2")]
    assert headings[:2] == ["1.º de primaria", "2.º de primaria"]
    assert headings[-1] == "5.º de secundaria"
    jumps = [u for u in links(topic) if u.startswith("#")]
    ids = {h.get("id") for h in topic.all("h2")}
    assert jumps
    assert {u[1:] for u in jumps} == ids


async def test_a_list_says_in_which_languages_a_lesson_is_held(client: Client) -> None:
    topic = await page(client, "/tema/ciencias-sociales")
    card = next(a for a in topic.all("a") if a["href"] == "/leccion/ayni-minka/es")
    assert [chip.text for chip in card.all("abbr")] == ["ES", "QU"]


async def test_search_without_accents_finds_and_marks_the_word(client: Client) -> None:
    found = await page(client, "/buscar?q=fotosintesis")
    first = next(a for a in found.one("main").all("a") if a["href"].startswith("/leccion/"))
    assert first["href"].startswith("/leccion/fotosintesis/es")
    assert "fotosíntesis" in {m.text.lower() for m in found.all("mark")}


async def test_a_found_passage_is_linked_to_its_block(client: Client) -> None:
    found = await page(client, "/buscar?q=clorofila")
    lesson, _, anchor = links(found)[0].partition("#")
    target = await page(client, lesson)
    block = next(e for e in target.all("div", "fieldset") if e.get("id") == anchor)
    assert "clorofila" in block.text


async def test_search_for_a_topic_finds_the_topic(client: Client, place: School) -> None:
    found = await page(client, "/buscar?q=matematicas")
    assert "/tema/matematica" in links(found)
    assert place.told("search_missed") == []


async def test_what_is_not_found_is_said_and_told_to_the_hub(client: Client, place: School) -> None:
    found = await page(client, "/buscar?q=dinosaurios")
    assert "No hay una lección sobre “dinosaurios” todavía." in found.one("main").text
    assert place.told("search_missed") == [{"query": "dinosaurios", "language": "es"}]


async def test_a_misspelt_word_is_offered_put_right(client: Client) -> None:
    found = await page(client, "/buscar?q=fotosintecis")
    assert "¿Quisiste decir “fotosíntesis”?" in found.one("main").text


async def test_a_query_is_shown_as_text_and_cut(client: Client) -> None:
    async with client.get("/buscar", params={"q": "<script>x</script>" + "a" * 999}) as answer:
        text = await answer.text()
    assert "<script>x" not in text
    field = next(i for i in read(text).one("main").all("input"))
    assert len(field["value"]) == 200


@pytest.mark.parametrize(
    ("language", "tag", "heading"),
    [
        ("es", "es-PE", "¿Qué quieres aprender hoy?"),
        ("qu", "qu-PE", "¿Imatataq kunan yachayta munanki?"),
        ("en", "en", "What do you want to learn today?"),
    ],
)
async def test_the_portal_speaks_the_chosen_language_from_then_on(
    client: Client, language: str, tag: str, heading: str
) -> None:
    for path in (f"/?idioma={language}", "/"):
        home = await page(client, path)
        assert home.one("html")["lang"] == tag
        assert home.one("h1").text == heading


async def test_an_unknown_language_changes_nothing(client: Client) -> None:
    assert (await page(client, "/?idioma=fr")).one("html")["lang"] == "es-PE"


async def test_the_nodes_language_is_the_first_and_the_browsers_is_not_asked(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    made = school(tmp_path, language="qu")
    phone: Client = await aiohttp_client(made.portal())
    async with phone.get("/", headers={"Accept-Language": "en"}) as answer:
        assert read(await answer.text()).one("html")["lang"] == "qu-PE"
    made.close()


async def test_changing_the_language_keeps_the_search(client: Client) -> None:
    found = await page(client, "/buscar?q=papa nativa")
    switch = {a["lang"]: a["href"] for a in found.one("header").all("a") if a.get("hreflang")}
    assert switch["qu-PE"] == "/buscar?q=papa+nativa&idioma=qu"


async def test_a_topic_that_is_not_there_is_a_page_in_words(client: Client) -> None:
    assert (await client.get("/tema/astrologia")).status == 404


async def test_an_empty_node_says_that_lessons_will_come(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    made = school(tmp_path)
    phone: Client = await aiohttp_client(made.portal())
    home = await page(phone, "/")
    assert "La biblioteca todavía está vacía" in home.one("main").text
    for path in ("/buscar?q=papa", "/preguntar?q=papa", "/salud"):
        await page(phone, path)
    assert (await phone.get("/leccion/papa/es")).status == 404
    made.close()


async def test_a_new_version_is_on_the_next_page(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    made = school(tmp_path)
    lessons = [one for one in all_lessons() if one.id == "ayni-minka"]
    made.install(1, lessons[:1])
    phone: Client = await aiohttp_client(made.portal())
    assert (await phone.get("/leccion/ayni-minka/qu")).status == 404
    made.install(2, lessons)
    assert (await phone.get("/leccion/ayni-minka/qu")).status == 200
    made.close()
