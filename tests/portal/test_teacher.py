"""A teacher hands in a lesson from a phone; what is wrong with it is said on the page."""

import random
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from pytest_aiohttp.plugin import AiohttpClient

from node.portal.teacher import MAX_BODY_BYTES
from sync.events import decode_events
from tests.pictures import jpeg, pdf
from tests.portal.conftest import Client
from tests.portal.page import Element, read
from tests.portal.school import School, lesson, school
from tests.portal.test_student import page

NOISE = random.Random(2).randbytes(700_000).replace(b"\xff", b"\xfe")
"""More than half of a school's spool."""

OWN = {"Sec-Fetch-Site": "same-origin"}
FIELDS = {
    "title": "El ayni", "author": "Rosa Quispe", "licence": "CC-BY-4.0", "topic": "matematica",
    "grade": "primaria-3", "language": "es", "text": "Hoy por ti.",
}  # fmt: skip


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """A school of its own: these tests write."""
    made = school(tmp_path_factory.mktemp("school"))
    made.install(1, [lesson()])
    yield made
    made.close()


def form(*files: tuple[str, bytes], **changes: Any) -> aiohttp.FormData:
    """The form as a browser sends it."""
    data = aiohttp.FormData(FIELDS | changes, default_to_multipart=True)
    for name, content in files or (("", b""),):
        data.add_field(
            "files", BytesIO(content), filename=name, content_type="application/octet-stream"
        )
    return data


async def send(client: Client, data: aiohttp.FormData) -> tuple[int, Element]:
    async with client.post("/entregar", data=data, headers=OWN) as answer:
        return answer.status, read(await answer.text())


async def test_a_lesson_with_a_photo_is_kept_for_the_hub(client: Client, place: School) -> None:
    status, shown = await send(client, form(("IMG 1.JPG", jpeg()), ("hoja.pdf", pdf())))
    assert status == 200
    assert "Recibimos «El ayni»." in shown.text
    assert "Espera un enlace." in shown.text
    [seq] = place.spool.waiting("uploads")
    block = place.spool.block(seq)
    assert block
    assert decode_events(block.data).events[0].kind == "upload_part"


async def test_a_markdown_file_is_the_text(client: Client, place: School) -> None:
    status, _ = await send(client, form(("ayni.MD", b"# Ayni\n\nHoy."), text=""))
    assert status == 200
    assert len(place.services.handing.handed()) == 1


async def test_sending_the_form_twice_hands_in_one_lesson(client: Client, place: School) -> None:
    for _ in range(2):
        await send(client, form())
    assert len(place.services.handing.handed()) == 1


@pytest.mark.parametrize(
    ("data", "status", "said", "cause"),
    [
        (form(title=""), 400, "No se pudo recibir.", "title"),
        (form(topic="nada"), 400, "No se pudo recibir.", "no such topic"),
        (form(licence="mine"), 400, "No se pudo recibir.", "licence"),
        (form(text=" "), 400, "No se pudo recibir.", "neither text nor a file"),
        (form(("virus.jpg", b"MZ...")), 400, "No se pudo recibir.", "neither JPEG"),
        (form(("a.pdf", pdf(b"/JavaScript"))), 400, "No se pudo recibir.", "start something"),
        (form(("a.txt", b"\xff\xfe")), 400, "No se pudo recibir.", "UTF-8"),
        (form(*[("a.jpg", jpeg())] * 5), 400, "No se pudo recibir.", "5 files"),
        (form(("a.jpg", jpeg(body=NOISE))), 507, "No hay lugar", "do not fit"),
        (form(("a.jpg", bytes(MAX_BODY_BYTES + 9))), 413, "Es demasiado grande", "at most"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    client: Client, place: School, data: aiohttp.FormData, status: int, said: str, cause: str
) -> None:
    found, shown = await send(client, data)
    assert found == status
    assert said in shown.one("main").text
    assert cause in shown.one("main").text
    if status != 413:
        author = next(i for i in shown.all("input") if i.get("name") == "author")
        assert author["value"] == "Rosa Quispe"
    assert place.services.handing.handed() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"title=x", "application/x-www-form-urlencoded"),
        (b"no parts here", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nno headers", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (
            b"--x\r\nA: " + b"a" * 20_000 + b"\r\n\r\nb\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="q"\r\n\r\nb\r\n' * 99 + b"--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
)
async def test_what_is_no_such_form_is_a_page_too(
    client: Client, place: School, body: bytes, kind: str
) -> None:
    headers = OWN | {"Content-Type": kind}
    async with client.post("/entregar", data=body, headers=headers) as answer:
        assert answer.status == 400
        assert "No se pudo recibir." in await answer.text()
    assert place.services.handing.handed() == []


async def test_the_form_must_come_from_our_own_page(client: Client, place: School) -> None:
    async with client.post("/entregar", data=form(), headers={}) as answer:
        assert answer.status == 403
    assert place.services.handing.handed() == []


async def test_a_program_gets_json_and_the_cause(client: Client) -> None:
    headers = OWN | {"Accept": "application/json"}
    async with client.post("/entregar", data=form(), headers=headers) as answer:
        assert (await answer.json())["state"] == "waiting"
    async with client.post("/entregar", data=form(title=""), headers=headers) as answer:
        assert answer.status == 400
        assert "title" in (await answer.json())["error"]


@pytest.mark.parametrize(("language", "said"), [("qu", "Tinkichiyta suyashan."), ("en", "Waiting")])
async def test_the_state_is_said_in_the_readers_language(
    client: Client, language: str, said: str
) -> None:
    await send(client, form())
    assert said in (await page(client, f"/entregar?idioma={language}")).text


async def test_a_published_lesson_is_linked(client: Client, place: School) -> None:
    await send(client, form())
    [one] = place.services.handing.handed()
    place.install(2, [lesson(), lesson(one.lesson, title="El ayni")])
    shown = await page(client, "/entregar")
    assert "Publicada: ya está en la biblioteca." in shown.text
    assert f"/leccion/{one.lesson}/es" in [a["href"] for a in shown.all("a")]


# On a lesson's page


async def test_finishing_a_lesson_counts_once_in_each_browser(
    client: Client, place: School
) -> None:
    for _ in range(3):
        async with client.post("/leccion/suma/es/fin", headers=OWN) as answer:
            assert "Terminaste esta lección." in await answer.text()
    assert place.told("lesson_finished") == [{"lesson": "suma", "language": "es"}]


async def test_a_report_says_what_is_wrong_and_nothing_of_who(
    client: Client, place: School
) -> None:
    told = {"verdict": "wrong", "note": "son seis"}
    async with client.post("/leccion/suma/es/aviso", data=told, headers=OWN) as answer:
        assert "alguien revisará la lección" in await answer.text()
    assert place.told("feedback") == [{"lesson": "suma", "language": "es", **told}]
    bad = {"verdict": "<b>"}
    async with client.post("/leccion/suma/es/aviso", data=bad, headers=OWN) as answer:
        assert answer.status == 400
    async with client.post("/leccion/nada/es/aviso", data=told, headers=OWN) as answer:
        assert answer.status == 404
    assert len(place.told("feedback")) == 1


@pytest.fixture
async def client(place: School, aiohttp_client: AiohttpClient) -> Client:
    """A phone in that school."""
    return await aiohttp_client(place.portal())
