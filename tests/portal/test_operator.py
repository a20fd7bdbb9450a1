"""The node's health, in words and for programs."""

import asyncio
import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from node.model.pointer import Change, ChangeKind, Why
from node.model.status import ModelStatus, State
from node.outcome import OutcomeKind
from node.portal.app import NO_PAGE, build_portal
from node.store.store import Installed, Store
from sync.transport.directory import STICK, DirectorySource, DirectoryWriter
from tests.portal.conftest import Client
from tests.portal.page import read
from tests.portal.school import NOW, School, outcome, school
from tests.portal.test_student import page

OWN = {"Sec-Fetch-Site": "same-origin"}

SAID: dict[OutcomeKind, str] = {
    "current": "Todo está al día.",
    "updated": "Llegó la versión 2.",
    "unreachable": "No se pudo llegar a la ciudad.",
    "refused": "Se rechazó lo que llegó",
    "damaged": "Lo que llegó estaba dañado.",
    "full": "No hay espacio en el disco.",
    "held": "Se volvió a la versión anterior",
    "partial": "Lo que falta espera el próximo día",
    "paused": "En pausa: no baja nada",
}


async def told(client: Client, path: str) -> Any:
    """The JSON at `path`."""
    async with client.get(path) as answer:
        return json.loads(await answer.text())


async def test_the_version_is_told_to_open_pages(client: Client, place: School) -> None:
    installed = place.services.store.installed()
    assert installed is not None
    assert await told(client, "/api/version") == {"version": 1, "root": installed.root}
    home = await page(client, "/")
    assert home.one("html")["data-root"] == installed.root[:12]


async def test_the_status_is_told_to_programs(client: Client, place: School) -> None:
    place.updater.last = outcome(kind="updated", to_version=2, bytes_down=1800, full_size=400_000)
    status = await told(client, "/api/status")
    assert status["node"] == "nodo-ocongate"
    assert (status["version"], status["lessons"]) == (1, 60)
    assert status["last_sync"]["kind"] == "updated"
    assert status["last_sync"]["bytes_down"] == 1800
    assert status["model"] == {
        "state": "running", "name": "tutor-es-small", "version": "0123456789ab",
        "source": "shipped", "trouble": "", "pending": "", "last": None, "active": 1, "waiting": 0,
    }  # fmt: skip
    assert 0 < status["disk"]["free"] <= status["disk"]["total"]


@pytest.mark.parametrize("kind", SAID)
async def test_each_outcome_of_a_sync_is_said_in_words(
    client: Client, place: School, kind: OutcomeKind
) -> None:
    place.updater.last = outcome(kind=kind, to_version=2, message="technical words", hint="do this")
    text = (await page(client, "/salud")).text
    assert SAID[kind] in text
    assert "hace 5 minutos" in text
    assert "technical words do this" in text


async def test_the_bytes_that_travelled_stand_beside_the_full_size(
    client: Client, place: School
) -> None:
    place.updater.last = outcome(kind="updated", bytes_down=18_234, full_size=412_000)
    assert (
        "Bajaron 18.2 kB; la biblioteca entera ocupa 412 kB." in (await page(client, "/salud")).text
    )


async def test_the_health_page_tells_version_model_and_queue(client: Client, place: School) -> None:
    place.engine.place = 3
    text = (await page(client, "/salud")).text
    installed = place.services.store.installed()
    assert installed is not None
    assert installed.root[:12] in text
    assert "tutor-es-small 0123456789ab" in text
    assert "En la fila 3" in text
    assert "Lecciones 60" in text


MODEL = {
    "missing": "no tiene el modelo que pide su configuración",
    "damaged": "El modelo está dañado.",
    "stopped": "El modelo dejó de funcionar.",
    "testing": "Se está probando un modelo nuevo.",
    "trial": "Responde un modelo nuevo, a prueba",
    "running": "El modelo funciona.",
    "off": "El tutor está apagado en la configuración.",
}


@pytest.mark.parametrize("state", get_args(State))
async def test_each_state_of_the_model_is_said_in_words(
    client: Client, place: School, state: State
) -> None:
    place.engine.status = ModelStatus(state, "tutor-es-small", trouble="technical words")
    text = (await page(client, "/salud")).text
    if state != "running":
        assert MODEL[state] in text
    assert "technical words" in text
    place.engine.status = ModelStatus(state, "tutor-es-small")
    text = (await page(client, "/salud")).text
    assert MODEL[state] in text
    assert [other for other, words in MODEL.items() if words in text] == [state]


@pytest.mark.parametrize("why", get_args(Why))
@pytest.mark.parametrize("kind", ["refused", "rolled_back"])
async def test_why_a_model_was_left_is_said_in_each_language(
    client: Client, place: School, kind: ChangeKind, why: Why
) -> None:
    change = Change(kind, "a" * 12, "b" * 12, NOW - 300, why, "technical words")
    place.engine.status = ModelStatus("running", "tutor-es-small", last=change)
    told = {
        language: (await page(client, f"/salud?idioma={language}")).text
        for language in ("es", "qu", "en")
    }
    first = "Se volvió al modelo de antes:" if kind == "rolled_back" else "No se aceptó un modelo"
    assert first in told["es"]
    assert len(set(told.values())) == 3
    assert all("technical words" in text for text in told.values())


async def test_a_model_that_waits_is_said_to_wait(client: Client, place: School) -> None:
    place.engine.status = ModelStatus("running", "tutor-es-small", pending="no space")
    text = (await page(client, "/salud")).text
    assert "todavía no se puede probar" in text
    assert "no space" in text


async def test_an_empty_node_without_tutor_is_healthy_in_words(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    made = school(tmp_path, tutor=False)
    phone: Client = await aiohttp_client(made.portal())
    text = (await page(phone, "/salud")).text
    assert "Esta caja todavía no se ha sincronizado." in text
    assert "sin modelo: solo se citan lecciones" in text
    assert await told(phone, "/api/version") == {}
    assert (await told(phone, "/api/status"))["version"] == 0
    made.close()


async def test_the_button_begins_a_sync_and_the_page_waits_for_it(
    client: Client, place: School
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    place.updater.begun, place.updater.gate = begun, go_on
    async with client.post("/salud/sincronizar", headers=OWN) as answer:
        waiting = read(await answer.text())
    assert answer.url.path == "/salud"
    assert "Buscando novedades…" in waiting.text
    assert [m["content"] for m in waiting.all("meta") if m.get("http-equiv") == "refresh"] == ["3"]
    await begun.wait()
    await client.post("/salud/sincronizar", headers=OWN)
    assert place.updater.calls == 1
    assert (await told(client, "/api/status"))["syncing"]
    go_on.set()
    await place.updater.ended.wait()
    assert "Todo está al día." in (await page(client, "/salud")).text


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}])
async def test_nobody_else_can_press_the_button(
    client: Client, place: School, headers: dict[str, str]
) -> None:
    async with client.post("/salud/sincronizar", headers=headers) as answer:
        assert answer.status == 403
    assert place.updater.calls == 0


async def test_the_metrics_name_routes_and_never_paths(client: Client) -> None:
    for path in ("/", "/leccion/soroche/es", "/leccion/secreto/es", "/nada/de/nada"):
        await client.get(path)
    async with client.get("/metrics") as answer:
        text = await answer.text()
    for route in ("home", "lesson", "other"):
        assert f'chaski_node_page_seconds_count{{route="{route}"}}' in text
    assert "secreto" not in text
    assert "nada" not in text


async def test_metrics_are_told_as_open_metrics_to_who_asks_so(client: Client) -> None:
    wanted = "application/openmetrics-text; version=1.0.0"
    async with client.get("/metrics", headers={"Accept": wanted}) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await answer.text()).rstrip().endswith("# EOF")


async def test_an_unknown_api_answers_programs_not_people(client: Client) -> None:
    async with client.get("/api/nada") as answer:
        assert answer.status == 404
        assert json.loads(await answer.text()) == {"error": "status 404"}


async def test_our_own_failure_is_a_page_in_words(
    place: School, aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    place.engine.sick = True
    phone: Client = await aiohttp_client(place.portal())
    async with phone.get("/salud") as answer:
        assert answer.status == 500
        text = await answer.text()
    assert "Algo falló en la caja" in text
    assert "the engine sank" not in text
    assert "the engine sank" in caplog.text


class SunkenStore:
    """A database whose disk is gone."""

    def installed(self) -> Installed | None:
        raise sqlite3.OperationalError("disk I/O error")


async def test_when_even_the_database_is_gone_a_line_remains(
    place: School, aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    sunken = dataclasses.replace(place.services, store=cast(Store, SunkenStore()))
    phone: Client = await aiohttp_client(build_portal(sunken))
    async with phone.get("/") as answer:
        assert (answer.status, await answer.text()) == (500, NO_PAGE)
    assert "disk I/O error" in caplog.text


# A stick that is plugged in


def plug(place: School, name: str) -> Path:
    """A stick with our channel, where the node looks for sticks."""
    folder = place.village.folder / "sticks" / name
    DirectoryWriter(folder / STICK).put_head("escuela", b"{}")
    return folder


@pytest.fixture
def stick(place: School) -> Iterator[Path]:
    folder = plug(place, "ROJA")
    yield folder
    shutil.rmtree(folder.parent)


async def test_a_stick_is_shown_with_a_button(client: Client, stick: Path) -> None:
    health = await page(client, "/salud")
    assert "Hay una memoria USB con lecciones: ROJA" in health.text
    assert [i["value"] for i in health.all("input") if i.get("name") == "stick"] == [str(stick)]
    assert "USB" not in (await page(client, "/")).text


async def test_without_a_stick_there_is_no_button(client: Client) -> None:
    assert "USB" not in (await page(client, "/salud")).text


async def test_the_button_imports_from_that_stick(
    client: Client, place: School, stick: Path
) -> None:
    form = {"stick": str(stick)}
    async with client.post("/salud/importar", data=form, headers=OWN) as answer:
        assert answer.url.path == "/salud"
    await place.updater.ended.wait()
    assert place.updater.calls == 1
    assert isinstance(place.updater.sources[0], DirectorySource)


async def test_a_program_gets_the_outcome_of_an_import(client: Client, stick: Path) -> None:
    headers = OWN | {"Accept": "application/json"}
    async with client.post("/salud/importar", data={"stick": "ROJA"}, headers=headers) as answer:
        assert json.loads(await answer.text())["kind"] == "current"


@pytest.mark.parametrize("name", ["", "AZUL", "/etc", "../ROJA"])
async def test_only_a_stick_that_is_plugged_in_can_be_imported(
    client: Client, place: School, stick: Path, name: str
) -> None:
    async with client.post("/salud/importar", data={"stick": name}, headers=OWN) as answer:
        assert answer.status == 404
    async with client.post("/salud/importar", data={"stick": "ROJA"}) as answer:
        assert answer.status == 403
    assert place.updater.calls == 0
