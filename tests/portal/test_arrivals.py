"""What a sync would bring, how it goes, and what a class keeps: all of it in forms and words."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from node.carrier import Progress
from node.portal.i18n.catalogue import open_catalogue
from node.portal.words import Words
from node.preview import Coming, Preview
from sync.lesson import Language
from tests.node.village import lesson
from tests.portal.conftest import Client
from tests.portal.school import NOW, School, outcome, school
from tests.portal.test_operator import OWN
from tests.portal.test_student import page

COMING = Preview(
    at=NOW - 60,
    version=7,
    installed=6,
    size=281_000,
    seconds=70.2,
    cost=0.7,
    currency="PEN",
    kilobits_per_second=32.0,
    added=1,
    changed=1,
    removed=2,
    now_size=90_000,
    now_lessons=1,
    later_lessons=1,
    left_today=100_000,
    lessons=(
        Coming("lessons/suma.es.json", "La suma", "changed", "es", "primaria-1", "matematica",
               9_000, now=True),
        Coming("lessons/papa.qu.json", "Papa", "added", "qu", "primaria-2", "", 4_000, now=False),
    ),
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Iterator[School]:
    """A school of its own with one lesson: these tests write."""
    built = school(tmp_path)
    built.install(1, [lesson(body=["Uno."])])
    yield built
    built.close()


@pytest.fixture
async def phone(made: School, aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(made.portal())


async def press(phone: Client, path: str) -> int:
    async with phone.post(path, headers=OWN) as answer:
        await answer.read()
        return answer.status


async def test_the_page_asks_the_hub_nothing_by_itself(phone: Client, made: School) -> None:
    text = (await page(phone, "/sincronizar")).text
    assert "La caja está lista." in text
    assert "Ver qué llegaría" in text
    assert (made.updater.looks, made.updater.calls) == (0, 0)


async def test_a_look_tells_lessons_bytes_minutes_and_cost(phone: Client, made: School) -> None:
    made.services.delivery.saw(COMING)
    found = await page(phone, "/sincronizar")
    for said in (
        "6 → 7", "1 nuevas, 1 cambiadas, 2 retiradas", "281 kB", "2 minutos", "a 32 kbit/s",
        "0.70 PEN", "Cabe ahora 1 lección, 90.0 kB", "Espera 1 lección, 191 kB",
        "La suma cambiada", "Papa nueva espera QU", "1.º de primaria · 9.0 kB",
    ):  # fmt: skip
        assert said in found.text
    made.install(7, [lesson(body=["Dos."])], at=NOW)
    assert "6 → 7" not in (await page(phone, "/sincronizar")).text


async def test_nothing_new_and_a_link_without_limits_are_said(phone: Client, made: School) -> None:
    made.services.delivery.saw(Preview(at=NOW, version=7, installed=7))
    assert "Nada nuevo: la versión 7 está al día." in (await page(phone, "/sincronizar")).text
    made.services.delivery.saw(Preview(at=NOW, version=7, installed=6, size=10, measured=False))
    text = (await page(phone, "/sincronizar")).text
    assert "Cabe ahora" not in text
    assert "PEN" not in text


async def test_the_button_looks_beside_the_page(phone: Client, made: School) -> None:
    made.updater.gate = asyncio.Event()
    assert await press(phone, "/sincronizar/ver") == 200
    waiting = await page(phone, "/sincronizar")
    assert "Preguntando a la ciudad" in waiting.text
    assert [m["content"] for m in waiting.all("meta") if m.get("http-equiv") == "refresh"] == ["3"]
    await press(phone, "/sincronizar/ver")
    made.updater.gate.set()
    await made.updater.looked.wait()
    assert made.updater.looks == 1
    assert "No se pudo preguntar a la ciudad. nobody answers" in await settled(phone)


async def settled(phone: Client) -> str:
    """The page once nothing is being asked any more."""
    text = "Preguntando"
    while "Preguntando" in text:
        text = (await page(phone, "/sincronizar")).text
    return text


async def test_a_program_gets_what_was_seen_or_what_went_wrong(phone: Client) -> None:
    headers = OWN | {"Accept": "application/json"}
    async with phone.post("/sincronizar/ver", headers=headers) as answer:
        assert answer.status == 502
        assert json.loads(await answer.text())["error"] == "nobody answers"


async def test_a_sync_is_begun_shown_paused_and_gone_on_with(phone: Client, made: School) -> None:
    made.updater.gate = asyncio.Event()
    await press(phone, "/sincronizar/empezar")
    await made.updater.begun.wait()
    made.updater.progress = Progress(7, 100_000, 300_000)
    found = await page(phone, "/sincronizar")
    [bar] = found.all("progress")
    assert (bar["max"], bar["value"]) == ("300000", "200000")
    assert "Está llegando la versión 7." in found.text
    assert "Faltan 100 kB de 300 kB, unos 1 minuto." in found.text
    await press(phone, "/sincronizar/pausa")
    assert made.updater.halted
    made.updater.gate.set()
    await made.updater.ended.wait()
    made.updater.progress = None
    made.updater.last = outcome(kind="paused")
    text = (await page(phone, "/sincronizar")).text
    assert "En pausa" in text
    assert "Seguir" in text
    assert await made.services.delivery.on_time() is None
    assert made.updater.calls == 1
    await press(phone, "/sincronizar/empezar")
    assert not made.updater.halted
    assert not made.services.delivery.paused


async def test_who_asks_for_a_sync_on_the_health_page_goes_on(phone: Client, made: School) -> None:
    made.services.delivery.pause()
    await press(phone, "/salud/sincronizar")
    assert not made.services.delivery.paused


async def test_a_version_in_part_is_said_on_every_page(phone: Client, made: School) -> None:
    made.install_part(2, [lesson(body=["Dos."])], [lesson(body=["Dos."]), lesson("resta")])
    for path in ("/sincronizar", "/salud"):
        text = (await page(phone, path)).text
        assert "Versión 2: 1 de 2 lecciones hasta ahora." in text
    assert "Biblioteca: versión 2 (1 de 2 lecciones)" in (await page(phone, "/")).text
    async with phone.get("/api/status") as answer:
        told = json.loads(await answer.text())
    assert (told["part"]["here"], told["part"]["lessons"]) == (1, 2)


async def test_a_lesson_is_pinned_and_released_on_its_page(phone: Client, made: School) -> None:
    here = "/leccion/suma/es"
    assert "Fijar esta lección" in (await page(phone, here)).text
    await press(phone, f"{here}/fijar")
    made.install(2, [lesson(body=["Dos."])])
    text = (await page(phone, here)).text
    assert "Uno." in text
    assert "está fija para una clase. Hay una versión más nueva" in text
    listed = await page(phone, "/sincronizar")
    assert "La suma Hay una versión más nueva" in listed.text
    await press(phone, f"{here}/soltar")
    text = (await page(phone, here)).text
    assert "Dos." in text
    assert "está fija" not in text


async def test_a_removed_lesson_is_read_until_it_is_released(phone: Client, made: School) -> None:
    await press(phone, "/leccion/suma/es/fijar")
    made.install(2, [lesson("resta")])
    assert "Ya no está en el canal." in (await page(phone, "/leccion/suma/es")).text
    async with phone.post("/leccion/suma/es/soltar", headers=OWN) as answer:
        assert answer.url.path == "/sincronizar"
    async with phone.get("/leccion/suma/es") as answer:
        assert answer.status == 404


ACTIONS = (
    "/sincronizar/ver", "/sincronizar/empezar", "/sincronizar/pausa",
    "/leccion/suma/es/fijar", "/leccion/suma/es/soltar",
)  # fmt: skip


@pytest.mark.parametrize("path", ACTIONS)
async def test_nobody_else_can_press_these_buttons(phone: Client, made: School, path: str) -> None:
    for headers in ({}, {"Origin": "http://evil.example"}):
        async with phone.post(path, headers=headers) as answer:
            assert answer.status == 403
    assert (made.updater.calls, made.updater.looks) == (0, 0)
    assert made.services.delivery.pins.all() == []
    assert not made.services.delivery.paused


@pytest.mark.parametrize(
    "path",
    [
        "/leccion/nada/es/fijar",
        "/leccion/suma/fr/fijar",
        "/leccion/suma/es/soltar",
        "/leccion/x%2F..%2Fy/es/fijar",
    ],
)
async def test_what_is_not_there_cannot_be_pinned_or_released(phone: Client, path: str) -> None:
    assert await press(phone, path) == 404


async def test_a_box_without_a_hub_says_so(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    made = school(tmp_path, hub="")
    phone: Client = await aiohttp_client(made.portal())
    assert "no conoce ninguna central" in (await page(phone, "/sincronizar")).text
    made.close()


@pytest.mark.parametrize("language", get_args(Language))
async def test_the_page_speaks_every_language(
    phone: Client, made: School, language: Language
) -> None:
    made.services.delivery.saw(COMING)
    found = await page(phone, f"/sincronizar?idioma={language}")
    title = open_catalogue(language).gettext("Lo que llega")
    assert title in found.text


def test_how_long_is_said_coarsely_and_never_as_nothing() -> None:
    words = Words(open_catalogue("es"))
    said = [words.takes(seconds) for seconds in (0, 59, 61, 3600, 99 * 60, 6001, 10**6)]
    assert said == [
        "1 minuto", "1 minuto", "2 minutos", "60 minutos", "99 minutos", "2 horas", "278 horas",
    ]  # fmt: skip
