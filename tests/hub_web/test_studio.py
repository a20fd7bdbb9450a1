"""The studio as a person uses it: pages that a browser without scripts can walk."""

import re
from html.parser import HTMLParser
from pathlib import Path

from hub.config import HubConfig, HubTable
from hub.stock import Stock
from hub.users import Users
from sync.inventory import About
from tests.hub import zips
from tests.hub.fakes import a_lesson
from tests.hub_web.reports import NOW, samples
from tests.hub_web.world import CHEAP, Browser, Client, World


async def signed_in(world: World, client: Client, name: str) -> Browser:
    """Somebody else at the same server, with a cookie jar of their own."""
    client.session.cookie_jar.clear()
    browser = Browser(client)
    await browser.sign_in(name, world.passwords[name])
    return browser


async def test_the_review_list_shows_what_an_editor_needs(world: World, rosa: Browser) -> None:
    world.draft()
    text = await rosa.get("/studio/revision")
    assert "Restar <papas>" in text
    assert "Matemática · 1.º de primaria · castellano" in text
    assert "pasa 1 de 2 controles" in text
    assert "repetición: 40 % se repite" in text
    assert "50 Puntaje" in text
    assert 'aria-label="cercanía al encargo 75 %, fluidez 25 %"' in rosa.page
    assert "En espera 1" in text


async def test_a_draft_becomes_a_lesson(world: World, rosa: Browser) -> None:
    number = world.draft()
    text = await rosa.get(f"/studio/revision/{number}")
    for words in ("Escrito por una máquina", "x@0123", "Semilla 7", "Quito dos.", "0.80 3 75 %"):
        assert words in text
    told = await rosa.post(f"/studio/revision/{number}/aprobar")
    assert rosa.path == "/studio/revision"
    assert "Aprobado: «Restar <papas>» ya está en las lecciones." in told
    lesson = world.library.lesson("restar", "es").lesson
    assert lesson.provenance.approver == "rosa"
    assert "Aprobado:" not in await rosa.get("/studio/revision")


async def test_a_rejection_keeps_its_reason(world: World, rosa: Browser) -> None:
    number = world.draft()
    await rosa.get(f"/studio/revision/{number}")
    told = await rosa.post(f"/studio/revision/{number}/rechazar", reason="No dice <cuántas>.")
    assert "Rechazado" in told
    assert "«No dice <cuántas>.»" in await rosa.get(f"/studio/revision/{number}")
    assert "<cuántas>" not in rosa.page
    assert "Restar" in await rosa.get("/studio/revision?estado=rejected")


async def test_a_rejection_without_a_reason_goes_back(world: World, rosa: Browser) -> None:
    number = world.draft()
    await rosa.get(f"/studio/revision/{number}")
    await rosa.post(f"/studio/revision/{number}/rechazar", reason="  ")
    assert rosa.path == f"/studio/revision/{number}"
    assert world.library.candidate(number).state == "waiting"


async def test_a_careful_topic_needs_two_people(world: World, rosa: Browser) -> None:
    number = world.draft(topic="salud")
    text = await rosa.get(f"/studio/revision/{number}")
    assert "deben aprobar dos personas distintas" in text
    assert "0 de 2 aprobaciones" in text
    told = await rosa.post(f"/studio/revision/{number}/aprobar")
    assert "Tu aprobación quedó guardada" in told
    assert "Ya aprobaste este borrador" in told
    assert "1 de 2 aprobaciones" in await rosa.get("/studio/revision")
    julian = await signed_in(world, rosa.client, "julian")
    await julian.get(f"/studio/revision/{number}")
    assert "Aprobado:" in await julian.post(f"/studio/revision/{number}/aprobar")
    assert world.library.lesson("restar", "es").lesson.provenance.approver == "rosa, julian"


async def test_who_comes_second_is_told(world: World, rosa: Browser) -> None:
    number = world.draft()
    await rosa.get(f"/studio/revision/{number}")
    world.hub.review.approve(number, "Julián")
    told = await rosa.post(f"/studio/revision/{number}/aprobar")
    assert rosa.status == 409
    assert "No se pudo hacer" in told
    assert "was approved by Julián already" in told


async def test_an_operator_looks_and_decides_nothing(world: World, client: Client) -> None:
    number = world.draft()
    olga = await signed_in(world, client, "olga")
    assert "Tu cuenta permite mirar, no decidir." in await olga.get(f"/studio/revision/{number}")
    for path in (f"revision/{number}/aprobar", f"revision/{number}/rechazar"):
        told = await olga.post(f"/studio/{path}", reason="porque no")
        assert olga.status == 403
        assert "hace falta una de editor" in told
        await olga.get("/studio/revision")
    assert "Tu cuenta permite mirar, no publicar." in await olga.get("/studio/versiones")
    await olga.post("/studio/versiones/publicar")
    assert olga.status == 403
    assert world.library.candidate(number).state == "waiting"
    assert world.hub.shelf.head("escuela") is None


async def test_machine_text_cannot_become_markup(world: World, rosa: Browser) -> None:
    body = (
        "<script>alert(1)</script> **fuerte**",
        "[x](javascript:alert(1)) ![foto](https://example.org/a.png)",
        "| a | b |\n|--:|---|\n| 1 | 2 |",
        "# Grande",
    )
    number = world.draft(body=body)
    await rosa.get(f"/studio/revision/{number}")
    assert "<script" not in rosa.page
    assert "<strong>fuerte</strong>" in rosa.page
    assert 'href="javascript' not in rosa.page
    assert "example.org" not in rosa.page
    assert "[foto]" in rosa.text
    assert '<th class="right">' in rosa.page
    assert "<h2>Grande</h2>" in rosa.page
    assert rosa.page.count("<h1") == 1
    assert " style=" not in rosa.page


async def test_lessons_are_found_without_accents(world: World, rosa: Browser) -> None:
    world.hub.write(a_lesson("agua", title="El água <sana>", topic="salud", keywords=("Beber",)))
    world.hub.write(a_lesson("agua", language="qu", title="Unu", topic="salud"))
    text = await rosa.get("/studio/lecciones")
    assert "3 textos vigentes" in text
    assert "Salud El água <sana>" in text
    assert "Sumar" not in await rosa.get("/studio/lecciones?q=AGUA")
    assert "El água <sana> 1.º de primaria ES QU" in rosa.text
    assert "El água" in await rosa.get("/studio/lecciones?q=unu")
    assert "El água" in await rosa.get("/studio/lecciones?q=beber+sana")
    assert "Ninguna lección responde a «luna»" in await rosa.get("/studio/lecciones?q=luna")


async def test_a_lesson_shows_its_past_and_its_languages(world: World, rosa: Browser) -> None:
    world.hub.write(a_lesson(title="Sumar bien"))
    world.hub.write(a_lesson(language="qu", title="Yapay"))
    text = await rosa.get("/studio/lecciones/sumar/es")
    assert "Sumar bien" in text
    assert "Revisión 2 · vigente" in text
    assert "Revisión 1" in text
    assert "Aprobó Rosa" in text
    assert 'href="/studio/lecciones/sumar/qu"' in rosa.page


async def test_long_lists_have_pages(world: World, rosa: Browser) -> None:
    for number in range(45):
        world.hub.write(a_lesson(f"l{number:02}", title=f"Lección {number:02}"))
    text = await rosa.get("/studio/lecciones")
    assert "1 / 2" in text
    assert "Lección 44" not in text
    assert 'href="/studio/lecciones?pagina=2"' in rosa.page
    assert "Lección 44" in await rosa.get("/studio/lecciones?pagina=2")
    assert "2 / 2" in await rosa.get("/studio/lecciones?pagina=99999")
    assert "1 / 2" in await rosa.get("/studio/lecciones?pagina=x")


async def test_publishing_says_what_came_of_it(world: World, rosa: Browser) -> None:
    assert "Esta será la primera versión: 1 lecciones." in await rosa.get("/studio/versiones")
    assert "Versión 1 publicada: 1 lecciones." in await rosa.post("/studio/versiones/publicar")
    assert "No hay nada nuevo" in await rosa.post("/studio/versiones/publicar")
    world.hub.write(a_lesson("otra", title="Otra"))
    world.hub.write(a_lesson(body=("Tengo dos papas.", "¿Cuántas?")))
    assert "Desde la versión 1: 1 nuevas, 1 cambiadas, 0 retiradas." in await rosa.get(
        "/studio/versiones"
    )
    told = await rosa.post("/studio/versiones/publicar")
    assert "Versión 2 publicada: 2 lecciones. Un nodo al día baja" in told
    assert re.search(r"Versión 2 vigente 2027-01-15 \d\d:\d\d 2 [\d.]+ K?B [\d.]+ K?B \d+ B", told)
    shown = await (await rosa.client.get("/metrics")).text()
    assert 'chaski_hub_publishes_total{outcome="done"} 3.0' in shown
    assert 'chaski_hub_published_version{channel="escuela"} 2.0' in shown


async def test_a_publication_that_fails_leaves_the_old_version(world: World, rosa: Browser) -> None:
    world.publish()
    world.hub.write(a_lesson("otra", title="Otra"))
    for key in world.config.keys.iterdir():
        key.unlink()
    await rosa.get("/studio/versiones")
    told = await rosa.post("/studio/versiones/publicar")
    assert "No se publicó. La versión anterior sigue vigente." in told
    assert "key" in told
    assert (await (await rosa.client.get("/healthz")).json())["version"] == 1


async def test_a_hub_without_keys_or_channel_shows_its_pages(world: World, tmp_path: Path) -> None:
    """The first minutes of a hub."""
    with Users(tmp_path / "new" / "users.db", CHEAP) as users:
        world.passwords["rosa"] = users.add("rosa", "editor")
    async with world.served(HubConfig(HubTable(str(tmp_path / "new")))) as client:
        rosa = Browser(client)
        await rosa.sign_in("rosa", world.passwords["rosa"])
        for path in ("revision", "lecciones", "versiones", "nodos"):
            await rosa.get(f"/studio/{path}")
            assert (rosa.status, rosa.path) == (200, f"/studio/{path}")
        assert (await (await client.get("/healthz")).json())["version"] == 0
        await rosa.get("/studio/versiones")
        assert "No se publicó" in await rosa.post("/studio/versiones/publicar")


async def test_the_fleet_is_shown_with_who_needs_somebody_first(
    world: World, rosa: Browser
) -> None:
    world.publish()
    world.hub.write(a_lesson("otra", title="Otra"))
    world.publish()
    for node, version in (("al-dia", 2), ("tarde", 1), ("vacio", 0)):
        body = samples(0, node=node, version=version, clock="trusted", at=NOW)
        await rosa.client.post("/v1/samples", data=body)
    world.clock.now += 2 * 3600
    text = await rosa.get("/studio/nodos")
    assert "vacio atrasado ninguna 2 versiones hace 2 h corregido —" in text
    assert "tarde atrasado 1 1 versión" in text
    assert "al-dia al día 2 al día" in text
    assert text.index("vacio") < text.index("tarde") < text.index("al-dia")


async def test_empty_pages_say_what_to_do(world: World, rosa: Browser) -> None:
    assert "Nada espera revisión." in await rosa.get("/studio/revision")
    assert "Aún no se ha publicado nada." in await rosa.get("/studio/versiones")
    assert "Ningún nodo se ha comunicado todavía." in await rosa.get("/studio/nodos")


async def test_what_is_not_there_is_a_page_that_leads_back(rosa: Browser) -> None:
    for path in ("nada", "revision/99", "revision/x", "revision/²", "lecciones/x/es", "archivo/x"):
        text = await rosa.get(f"/studio/{path}")
        assert rosa.status == 404
        assert "Esta página no existe" in text
        assert 'href="/studio/revision"' in rosa.page


async def test_the_language_switch_stays(world: World, rosa: Browser) -> None:
    text = await rosa.get("/studio/idioma/en?de=/studio/nodos")
    assert rosa.path == "/studio/nodos"
    assert "What each node told last." in text
    assert '<html lang="en">' in rosa.page
    assert "Drafts wait for a person's word." in await rosa.get("/studio/revision")
    quechua = await rosa.get("/studio/idioma/qu?de=/studio/revision")
    assert "Suyashan 0" in quechua
    assert "manaraq rimaqpa qhawasqanchu" in quechua
    await rosa.get("/studio/idioma/xx")
    assert rosa.status == 404


async def test_the_browser_chooses_the_first_language(client: Client) -> None:
    for accept, words in (("en-GB,es;q=0.5", "Sign in"), ("fr, qu", "yaykuy"), ("*", "Ingresar")):
        answer = await client.get("/studio/entrar", headers={"Accept-Language": accept})
        assert words in await answer.text()


async def test_the_style_sheet_never_changes_under_its_address(rosa: Browser) -> None:
    (address,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', rosa.page)
    answer = await rosa.client.get(address)
    assert answer.content_type == "text/css"
    assert "immutable" in answer.headers["Cache-Control"]
    css = await answer.text()
    assert "url(" not in css
    assert "@import" not in css
    assert "@font-face" not in css


VOID = {"meta", "link", "input", "br", "img", "hr"}


class Outline(HTMLParser):
    """Checks that tags nest and gathers what must hold on every page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")


async def test_every_page_is_sound_html_that_a_screen_reader_can_follow(
    world: World, rosa: Browser
) -> None:
    world.draft()
    world.draft(topic="salud")
    world.publish()
    await rosa.client.post("/v1/samples", data=samples(0))
    paths = ["revision", "revision/2", "lecciones", "lecciones/sumar/es", "versiones", "nodos", "x"]
    for path in paths:
        await rosa.get(f"/studio/{path}")
        outline = Outline()
        outline.feed(rosa.page)
        assert (outline.faults, outline.open) == ([], []), path
        tags = [tag for tag, _ in outline.seen]
        assert tags.count("h1") == tags.count("main") == tags.count("title") == 1, path
        assert not {"script", "style", "iframe"} & set(tags), path
        for tag, attributes in outline.seen:
            assert "style" not in attributes, (path, tag)
            if tag == "img":
                assert "alt" in attributes
            if tag == "form" and attributes.get("method") == "post":
                assert str(attributes["action"]).startswith("/studio/")
        forms = rosa.page.count('method="post"')
        assert rosa.page.count('name="token"') == forms


async def test_files_are_listed_with_their_licence_and_counted_before_publishing(
    world: World, rosa: Browser, tmp_path: Path
) -> None:
    stock = Stock(world.library, world.hub.shelf, world.clock)
    world.publish()
    file = tmp_path / "agua.epub"
    file.write_bytes(zips.made(zips.EPUB))
    said = About("books/agua.epub", "El <agua>", "Ana & Luz", "CC-BY-4.0", topic="salud")
    stock.add(file, said, person="Rosa")
    file.write_bytes(zips.with_duplicate())
    stock.add(file, About("books/raro.zip", "Raro", "Ana", "CC0"), person="Rosa")
    text = await rosa.get("/studio/recursos")
    for words in ("El <agua>", "Ana & Luz", "CC-BY-4.0", "Salud", "Rosa", "books/agua.epub"):
        assert words in text
    assert "Viaja entero: two members" in text
    assert "Archivos que cambian: 2." in await rosa.get("/studio/versiones")
    world.publish()
    assert "No hay nada nuevo" in await rosa.get("/studio/versiones")
    stock.remove("books/agua.epub")
    assert "Archivos que cambian: 1." in await rosa.get("/studio/versiones")
