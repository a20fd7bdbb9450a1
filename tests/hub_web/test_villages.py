"""What villages told, in the studio."""

import pytest

from hub.hearing import hear, hear_upload
from hub.studio.words import CATALOGUES
from sync.canonical import digest
from sync.events import Event, EventBlock, event
from sync.parcel import to_bytes
from tests.hub_web.reports import NOW, missed
from tests.hub_web.world import Browser, Client, World
from tests.pictures import jpeg, pdf
from tests.sync.test_parcel import handed

NASTY = "<script>alert(1)</script>"


def tell(world: World, *told: Event) -> None:
    hear(world.library, EventBlock("puno-1", "e", 1, told), NOW)


def said(kind: str, **data: str) -> Event:
    values = {"lesson": "sumar", "language": "es"} | data
    return event(kind, int(NOW * 1000), values)  # type: ignore[arg-type]


async def test_learning_is_a_table_and_a_card_beside_its_lesson(
    world: World, rosa: Browser
) -> None:
    assert "Ningún pueblo" in await rosa.get("/studio/aprendizaje")
    tell(world, said("learned", opened="9", finished="3", quizzes="2", right="3", total="4",
                     missed="0.1"))  # fmt: skip
    shown = await rosa.get("/studio/aprendizaje")
    assert "75 %" in shown
    assert "Pregunta 2" in shown
    assert "75 %" in await rosa.get("/studio/lecciones/sumar/es")


async def test_a_report_is_shown_escaped_beside_its_lesson_and_dealt_with(
    world: World, rosa: Browser
) -> None:
    assert "No hay avisos abiertos." in await rosa.get("/studio/avisos")
    tell(world, said("feedback", verdict="wrong", note=NASTY), said("feedback", verdict="no"))
    assert "Algo no es cierto" in await rosa.get("/studio/lecciones/sumar/es")
    shown = await rosa.get("/studio/avisos")
    assert NASTY in shown
    assert NASTY not in rosa.page
    done = await rosa.post("/studio/avisos/1", outcome="corregido")
    assert "Aviso 1 atendido." in done
    assert "rosa: corregido" in await rosa.get("/studio/avisos?estado=atendidos")
    await rosa.get("/studio/avisos")
    assert (await rosa.post("/studio/avisos/1", outcome="x"), rosa.status)[1] == 409
    await rosa.get("/studio/avisos")
    assert (await rosa.post("/studio/avisos/99", outcome="x"), rosa.status)[1] == 404
    await rosa.get("/studio/avisos")
    assert "Abiertos" in await rosa.post("/studio/avisos/2", outcome=" ")
    back = "/studio/lecciones/sumar/es"
    await rosa.post("/studio/avisos/2", outcome="visto", de=back)
    assert rosa.path == back


async def test_one_click_makes_a_brief_of_what_pupils_miss(world: World, rosa: Browser) -> None:
    tell(world, missed("los volcanes"), missed("volcan"), missed("quipu"))
    shown = await rosa.get("/studio/busquedas")
    assert "los volcanes" in shown
    assert "También: volcan" in shown
    order = {"language": "es", "topic": "matematica", "grade": "primaria-3"}
    done = await rosa.post("/studio/busquedas", query="los volcanes", **order)
    assert "Encargo 1: «Los volcanes»" in done
    assert [m.query for m in world.library.missed_searches()] == ["quipu"]
    ((number, brief),) = world.library.open_briefs()
    assert (number, brief.title, brief.origin) == (1, "Los volcanes", "missed")
    for wrong in ({"query": "los volcanes"}, {"topic": "nada"}, {"grade": "x"}):
        await rosa.get("/studio/busquedas")
        await rosa.post("/studio/busquedas", **({"query": "quipu"} | order | wrong))
        assert rosa.status in (400, 404)
    assert len(world.library.open_briefs()) == 1


async def test_who_may_not_edit_sees_and_cannot_decide(world: World, client: Client) -> None:
    tell(world, said("feedback", verdict="wrong"), missed("quipu"))
    olga = Browser(client)
    await olga.sign_in("olga", world.passwords["olga"])
    for path in ("avisos", "busquedas"):
        await olga.get(f"/studio/{path}")
        assert olga.status == 200
        assert '<button class="go' not in olga.page
    await olga.post("/studio/avisos/1", outcome="x")
    assert olga.status == 403
    assert world.library.reports.open() == 1
    await olga.get("/studio/avisos")
    await olga.post("/studio/salir")
    await olga.get("/studio/aprendizaje")
    assert olga.path == "/studio/entrar"


async def test_an_upload_shows_its_text_as_text_and_its_files_in_a_sandbox(
    world: World, rosa: Browser, client: Client
) -> None:
    text = f"{NASTY}\n\n[clic](javascript:alert(1)) ![x](http://evil.example/x.png)"
    data = to_bytes(handed(text=text, files=[("a.jpg", jpeg()), ("b.pdf", pdf())]))
    number = hear_upload(world.library, "puno-1", digest(data), data, NOW)
    shown = await rosa.get(f"/studio/revision/{number}")
    assert "Lo envió un docente" in shown
    assert "enviado desde puno-1" in shown
    assert NASTY not in rosa.page
    assert 'href="javascript' not in rosa.page
    assert "http://evil.example" not in rosa.page
    for file, kind, shown_as in ((0, "image/jpeg", "inline"), (1, "application/pdf", "attachment")):
        async with client.get(f"/studio/revision/{number}/archivo/{file}") as answer:
            assert answer.status == 200
            assert answer.content_type == kind
            assert answer.headers["Content-Disposition"].startswith(shown_as)
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for wrong in (f"{number}/archivo/2", "99/archivo/0", f"{number}/archivo/x"):
        async with client.get(f"/studio/revision/{wrong}") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("language", list(CATALOGUES))
async def test_every_page_speaks_every_language(world: World, rosa: Browser, language: str) -> None:
    tell(world, said("learned", opened="1"), said("feedback", verdict="wrong"), missed("quipu"))
    await rosa.get(f"/studio/idioma/{language}")
    for path in ("aprendizaje", "avisos", "busquedas", "lecciones/sumar/es"):
        await rosa.get(f"/studio/{path}")
        assert rosa.status == 200
        assert f'<html lang="{language}">' in rosa.page
