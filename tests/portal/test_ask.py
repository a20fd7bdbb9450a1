"""A question: the library's words, then the machine's, or an honest no."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from pytest_aiohttp.plugin import AiohttpClient

from tests.portal.conftest import Client
from tests.portal.page import Element, read
from tests.portal.school import EXPLANATION, School, lesson, school

ASKED = "/preguntar?q=¿Qué es la fotosíntesis?"
FOREIGN = "/preguntar?q=¿Quién ganó el mundial de fútbol?"
LABEL = "Escrito por una máquina; puede equivocarse"
OWN = {"Sec-Fetch-Site": "same-origin"}


async def read_until(answer: ClientResponse, text: str) -> str:
    """What came until `text` was in it. Fails when the answer ends before."""
    told = b""
    while text.encode() not in told:
        part = await answer.content.readany()
        assert part, f"{text!r} never came:\n{told.decode()}"
        told += part
    return told.decode()


def machine(page: Element) -> Element:
    """The box with the machine's words."""
    return next(s for s in page.all("section") if "machine" in s.get("class").split())


async def test_the_quote_comes_first_then_the_labelled_machine(
    client: Client, place: School
) -> None:
    async with client.get(ASKED) as answer:
        text = await answer.text()
    page = read(text)
    assert text.index("<blockquote") < text.index(LABEL) < text.index(EXPLANATION[0])
    assert machine(page).one("h2").text == f"🤖 {LABEL}"
    assert "".join(EXPLANATION) in machine(page).text
    assert len(place.engine.prompts) == 1


async def test_the_quote_leads_to_its_block_in_the_lesson(client: Client) -> None:
    async with client.get(ASKED) as answer:
        quote = read(await answer.text()).one("blockquote")
    address, _, anchor = quote.one("a")["href"].partition("#")
    async with client.get(address) as answer:
        lesson_page = read(await answer.text())
    block = next(div for div in lesson_page.all("div") if div.get("id") == anchor)
    assert quote.one("p").text[:40] in block.text


async def test_the_quote_is_there_before_the_machine_has_said_a_word(
    client: Client, place: School
) -> None:
    place.engine.silent = True
    async with client.get(ASKED) as answer:
        early = await read_until(answer, LABEL)
        assert "<blockquote" in early
        assert EXPLANATION[0] not in early
        place.engine.write(place.engine.streams[0])
        rest = await answer.text()
    assert EXPLANATION[0] in rest
    assert rest.rstrip().endswith("</html>")


async def test_who_closes_the_tab_frees_the_place(client: Client, place: School) -> None:
    place.engine.silent = True
    freed = asyncio.Event()
    place.engine.on_cancel = freed.set
    answer = await client.get(ASKED)
    await read_until(answer, LABEL)
    answer.close()
    await asyncio.wait_for(freed.wait(), 20)


async def test_who_waits_sees_the_place_in_the_queue_move(client: Client, place: School) -> None:
    engine = place.engine
    engine.place = 2
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            engine.place = 1
        if looks == 6:
            engine.place = 0
            engine.write(engine.streams[0])

    engine.on_place = look
    async with client.get(ASKED) as answer:
        page = read(await answer.text())
    told = [(p["class"], p.text) for p in machine(page).all("p")]
    assert told == [
        ("queue", "Tu lugar en la fila: 2"),
        ("queue", "Tu lugar en la fila: 1"),
        ("text", "".join(EXPLANATION)),
    ]


async def test_a_full_queue_shows_the_quote_at_once_and_how_many_wait(
    client: Client, place: School
) -> None:
    place.engine.full = True
    place.engine.place = 32
    async with client.get(ASKED) as answer:
        page = read(await answer.text())
    assert page.one("blockquote").text
    assert "La máquina está ocupada" in machine(page).text
    assert "Hay 32 preguntas en la fila." in machine(page).text
    assert LABEL not in page.text


async def test_what_no_lesson_tells_is_refused_and_told_to_the_hub(
    client: Client, place: School
) -> None:
    async with client.get(FOREIGN) as answer:
        page = read(await answer.text())
    assert "La biblioteca no tiene esa respuesta." in page.text
    assert LABEL not in page.text
    assert not list(page.all("blockquote"))
    assert place.engine.prompts == []
    question = "¿Quién ganó el mundial de fútbol?"
    assert place.told("search_missed") == [{"query": question, "language": "es"}]
    assert place.told("question") == [{"question": question, "language": "es", "answer": "refusal"}]


async def test_machine_text_is_never_markup(client: Client, place: School) -> None:
    place.engine.pieces = ("Las plantas fabrican su alimento con la energía <d", "e> la & <luz>.")
    async with client.get(ASKED) as answer:
        text = await answer.text()
    assert "<luz>" not in text
    assert machine(read(text)).text.endswith("<de> la & <luz>.")


async def test_neither_is_the_question_nor_can_it_cut_the_page(client: Client) -> None:
    question = '"><script>x</script><!--live--> fotosíntesis'
    async with client.get("/preguntar", params={"q": question}) as answer:
        text = await answer.text()
    assert "<script>x" not in text
    assert "<!--live-->" not in text
    assert next(iter(read(text).one("main").all("input")))["value"] == question


async def test_a_model_that_breaks_leaves_the_librarys_words(client: Client, place: School) -> None:
    place.engine.broken = True
    async with client.get(ASKED) as answer:
        page = read(await answer.text())
    assert EXPLANATION[0].strip() in machine(page).text
    assert "La máquina se detuvo." in machine(page).text
    assert page.one("blockquote").text


async def test_a_model_that_cannot_begin_leaves_the_librarys_words(
    client: Client, place: School
) -> None:
    place.engine.dead = True
    async with client.get(ASKED) as answer:
        assert answer.status == 200
        page = read(await answer.text())
    assert page.one("blockquote").text
    assert LABEL not in page.text


async def test_without_a_tutor_questions_are_answered_by_quoting(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    made = school(tmp_path, tutor=False)
    body = ("La papa es un tubérculo: un tallo que crece bajo la tierra.",)
    made.install(1, [lesson("la-papa", body=body, title="La papa")])
    phone: Client = await aiohttp_client(made.portal())
    async with phone.get("/preguntar?q=¿Qué es la papa?") as answer:
        page = read(await answer.text())
    assert "tubérculo" in page.one("blockquote").text
    assert LABEL not in page.text
    made.close()


async def test_an_answer_is_never_kept(client: Client) -> None:
    for path in (ASKED, FOREIGN):
        async with client.get(path) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            assert read(await answer.text()).one("main")["data-live"] == "off"


async def test_a_look_ahead_does_not_wake_the_model(client: Client, place: School) -> None:
    assert (await client.head(ASKED)).status == 405
    assert place.engine.prompts == []


@pytest.mark.parametrize(("button", "verdict"), [("👍 Sí", "yes"), ("👎 No", "no")])
async def test_was_this_right_is_recorded_without_who(
    client: Client, place: School, button: str, verdict: str
) -> None:
    async with client.get(ASKED) as answer:
        page = read(await answer.text())
    form = next(f for f in page.all("form") if f["action"] == "/opinion")
    data = {i["name"]: i["value"] for i in form.all("input")}
    pressed = next(b for b in form.all("button") if b.text == button)
    async with client.post("/opinion", data=data | {"verdict": pressed["value"]}, headers=OWN) as a:
        assert "¡Gracias!" in await a.text()
    assert place.told("feedback") == [
        {
            "question": "¿Qué es la fotosíntesis?",
            "lesson": "fotosintesis",
            "language": "es",
            "verdict": verdict,
        }
    ]


@pytest.mark.parametrize("data", [{}, {"verdict": "perhaps"}, {"verdict": ""}])
async def test_an_opinion_that_is_none_is_refused_in_words(
    client: Client, place: School, data: dict[str, str]
) -> None:
    async with client.post("/opinion", data=data, headers=OWN) as answer:
        assert answer.status == 400
        assert "No entendimos ese pedido" in await answer.text()
    assert place.told("feedback") == []


async def test_a_form_from_elsewhere_is_refused_in_words(client: Client, place: School) -> None:
    headers = {"Origin": "http://evil.example"}
    async with client.post("/opinion", data={"verdict": "yes"}, headers=headers) as answer:
        assert answer.status == 403
        assert "Ese formulario no salió de esta página" in await answer.text()
    assert place.events == []


async def test_a_form_too_large_is_refused_in_words(client: Client) -> None:
    async with client.post("/opinion", data={"verdict": "y" * 20_000}, headers=OWN) as answer:
        assert answer.status == 413
        assert "No entendimos ese pedido" in await answer.text()
