"""A lesson, in one language or two, and its quiz."""

import msgspec
import pytest
from pytest_aiohttp.plugin import AiohttpClient

from tests.portal.conftest import Client
from tests.portal.page import read
from tests.portal.school import School, all_lessons, lesson, school
from tests.portal.test_student import page

OWN = {"Sec-Fetch-Site": "same-origin"}
QUIZ = "/leccion/ayni-minka/es/prueba"
RIGHT = {"p0": "1", "p1": "0", "p2": "2"}


async def test_a_lesson_shows_its_blocks_under_their_numbers(client: Client) -> None:
    shown = await page(client, "/leccion/ayni-minka/es")
    article = shown.one("article")
    assert article["lang"] == "es-PE"
    blocks = [div for div in article.all("div") if "b" in div.get("class").split()]
    source = next(o for o in all_lessons() if (o.id, o.language) == ("ayni-minka", "es"))
    assert [div["id"] for div in blocks] == [f"b{n}" for n in range(len(source.body))]
    assert "El ayni es la ayuda" in blocks[1].text


async def test_an_address_without_language_leads_to_the_readers(client: Client) -> None:
    async with client.get("/leccion/ayni-minka?idioma=qu", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/leccion/ayni-minka/qu")
    async with client.get("/leccion/soroche", allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/leccion/soroche/es"


async def test_two_languages_stand_side_by_side_block_by_block(client: Client) -> None:
    shown = await page(client, "/leccion/ayni-minka/es?junto=qu")
    twins = [div for div in shown.all("div") if "twin" in div.get("class").split()]
    assert len(twins) > 5
    for twin in twins:
        other = [div for div in twin.all("div") if div.get("class") == "other"]
        assert [div["lang"] for div in other] == ["qu-PE"]


async def test_the_reader_chooses_among_the_versions_there_are(client: Client) -> None:
    shown = await page(client, "/leccion/ayni-minka/qu")
    nav = next(n for n in shown.all("nav") if n.get("class") == "versions")
    assert [(a["href"], a.text) for a in nav.all("a")] == [
        ("/leccion/ayni-minka/es", "Español"),
        ("/leccion/ayni-minka/qu", "Runasimi"),
        ("/leccion/ayni-minka/es?junto=qu", "Español + Runasimi"),
    ]
    assert [a.text for a in nav.all("a") if a.get("aria-current")] == ["Runasimi"]


async def test_versions_that_do_not_pair_are_not_put_side_by_side(
    aiohttp_client: AiohttpClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = school(tmp_path_factory.mktemp("uneven"))
    made.install(1, [lesson(body=("Uno.", "Dos.")), lesson(language="qu", body=("Huk.",))])
    phone: Client = await aiohttp_client(made.portal())
    shown = await page(phone, "/leccion/suma/es?junto=qu")
    assert "junto" not in str([a["href"] for a in shown.all("a")])
    assert not [div for div in shown.all("div") if "twin" in div.get("class")]
    made.close()


async def test_a_text_that_awaits_review_says_so(client: Client) -> None:
    note = "Este texto espera la revisión de un hablante."
    assert note in (await page(client, "/leccion/ayni-minka/qu")).text
    assert note not in (await page(client, "/leccion/ayni-minka/es")).text


async def test_changing_the_portals_language_changes_the_lessons(client: Client) -> None:
    shown = await page(client, "/leccion/ayni-minka/es")
    switch = {a["lang"]: a["href"] for a in shown.one("header").all("a") if a.get("hreflang")}
    assert switch == {
        "es-PE": "/leccion/ayni-minka/es?idioma=es",
        "qu-PE": "/leccion/ayni-minka/qu?idioma=qu",
        "en": "/leccion/ayni-minka/es?idioma=en",
    }


async def test_previous_and_next_follow_the_topic(client: Client) -> None:
    topic = await page(client, "/tema/ciencias-sociales")
    order = [a["href"] for a in topic.all("a") if a["href"].startswith("/leccion/")]
    for number, address in enumerate(order):
        steps = {a.get("rel"): a["href"] for a in (await page(client, address)).all("a")}
        assert steps.get("prev") == (order[number - 1] if number else None)
        assert steps.get("next") == (order[number + 1] if number + 1 < len(order) else None)


async def test_opening_a_lesson_is_counted_once_and_not_for_the_pages_own_script(
    client: Client, place: School
) -> None:
    await page(client, "/leccion/soroche/es")
    await client.get("/leccion/soroche/es", headers={"X-Chaski-Refresh": "1"})
    assert place.told("lesson_opened") == [{"lesson": "soroche", "language": "es"}]


async def test_a_quiz_all_right_is_praised_explained_and_ticked(
    client: Client, place: School
) -> None:
    async with client.post(QUIZ, data=RIGHT, headers=OWN) as answer:
        shown = read(await answer.text())
        assert (answer.url.path, answer.url.query_string) == ("/leccion/ayni-minka/es", "r=1.0.2")
    assert "¡Muy bien! Todo correcto." in shown.text
    questions = [f for f in shown.all("fieldset") if "question" in f.get("class")]
    assert [f["class"].split()[-1] for f in questions] == ["right"] * 3
    assert "un día por un día" in shown.text
    topic = await page(client, "/tema/ciencias-sociales")
    card = next(a for a in topic.all("a") if a["href"] == "/leccion/ayni-minka/es")
    assert "Prueba completa" in card.text
    assert place.told("quiz_answered") == [
        {
            "lesson": "ayni-minka", "language": "es", "right": "3", "total": "3",
            "answers": "1.0.2", "marks": "1.1.1",
        }
    ]  # fmt: skip


async def test_a_wrong_answer_gets_the_hint_and_keeps_the_choice(client: Client) -> None:
    async with client.post(QUIZ, data={"p0": "0", "p1": "0"}, headers=OWN) as answer:
        shown = read(await answer.text())
    wrong, right, missing = [f for f in shown.all("fieldset") if "question" in f.get("class")]
    assert "Todavía no." in wrong.text
    assert "Hoy me ayudas tú, mañana te ayudo yo." in wrong.text
    assert [i["value"] for i in wrong.all("input") if "checked" in i.attributes] == ["0"]
    assert "¡Correcto!" in right.text
    assert "Falta tu respuesta." in missing.text
    assert "1 de 3 correctas." in shown.text


async def test_an_empty_sheet_is_no_attempt(client: Client, place: School) -> None:
    async with client.post(QUIZ, data={}, headers=OWN) as answer:
        assert "Elige una respuesta en cada pregunta." in await answer.text()
    assert place.told("quiz_answered") == []


async def test_loading_the_marks_again_sends_nothing_twice(client: Client, place: School) -> None:
    await client.post(QUIZ, data=RIGHT, headers=OWN)
    for _ in range(2):
        await page(client, "/leccion/ayni-minka/es?r=1.0.2")
    assert len(place.told("quiz_answered")) == 1


async def test_answers_of_another_version_still_get_a_page(client: Client) -> None:
    shown = await page(client, "/leccion/ayni-minka/es?r=9.9.9.9.x.1")
    assert "Elige una respuesta en cada pregunta." in shown.text


@pytest.mark.parametrize(
    "path", ["/leccion/nada/es", "/leccion/soroche/en", "/leccion/soroche/fr", "/leccion/x", "/x"]
)
async def test_what_is_not_there_is_a_page_in_words(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404
        assert "Esta página no está en la caja" in await answer.text()


async def test_a_damaged_lesson_is_said_in_words_and_the_rest_stays(
    aiohttp_client: AiohttpClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = school(tmp_path_factory.mktemp("damaged"))
    made.install(1, [lesson(), lesson("resta", title="La resta")])
    manifest = made.village.store.manifest()
    assert manifest is not None
    entry = manifest.by_path()["lessons/suma.es.json"]
    path = made.village.blobs.path(entry.hash)
    path.chmod(0o644)
    path.write_bytes(b"rot")
    phone: Client = await aiohttp_client(made.portal())
    async with phone.get("/leccion/suma/es") as answer:
        assert answer.status == 503
        assert "Esta lección está dañada" in await answer.text()
    assert (await phone.get("/leccion/resta/es")).status == 200
    made.close()


async def test_machine_written_lessons_name_their_model_and_approver(
    aiohttp_client: AiohttpClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = school(tmp_path_factory.mktemp("drafted"))
    who = {"model": "tutor-es-small", "seed": 7, "approver": "Rosa Quispe"}
    drafted = lesson()
    provenance = msgspec.structs.replace(drafted.provenance, **who)
    made.install(1, [msgspec.structs.replace(drafted, provenance=provenance)])
    phone: Client = await aiohttp_client(made.portal())
    shown = await page(phone, "/leccion/suma/es")
    assert "Escrito con el modelo tutor-es-small y aprobado por Rosa Quispe." in shown.text
    made.close()
