"""The portal in Debian's Chromium: what only a browser can tell."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from msgspec.structs import replace
from playwright.async_api import Browser, Page, Request, ViewportSize, async_playwright, expect

from tests.portal.picture import CHROMIUM, PHONE
from tests.portal.school import EXPLANATION, School, all_lessons, full_school
from tests.portal.test_accessibility import PATHS
from tests.portal.test_budgets import HOME_REQUESTS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
ASKED = "/preguntar?q=¿Qué es la fotosíntesis?"
NARROW = ViewportSize(width=320, height=640)
VOICE = """
window.said = [];
Object.defineProperty(window, 'speechSynthesis', {value: {
  speak: (words) => { window.said.push([words.lang, words.text]); window.last = words; },
  cancel: () => { window.cancelled = true; }}});
window.SpeechSynthesisUtterance = function (text) { this.text = text; };
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the whole file."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def place(tmp_path: Path) -> AsyncIterator[School]:
    """A school of its own, because versions come and go here."""
    made = full_school(tmp_path)
    yield made
    made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def portal(place: School) -> AsyncIterator[str]:
    """Where it listens."""
    async with TestServer(place.portal()) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A phone that has never been here."""
    context = await browser.new_context(viewport=PHONE)
    yield await context.new_page()
    await context.close()


async def test_a_pupil_learns_without_javascript(browser: Browser, portal: str) -> None:
    context = await browser.new_context(viewport=PHONE, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(portal)
    await page.click("text=Ciencias sociales")
    await page.click("text=El ayni y la minka")
    await expect(page.locator("h1")).to_have_text("El ayni y la minka")
    await page.click("text=Una ayuda que se recibe y se devuelve")
    await page.click("text=Un día de trabajo >> nth=0")
    await page.click("text=Revisar mis respuestas")
    await expect(page.locator(".result")).to_contain_text("2 de 3 correctas.")
    await page.click("text=Toda la comunidad limpia la acequia")
    await page.click("text=Revisar mis respuestas")
    await expect(page.locator(".result")).to_contain_text("¡Muy bien! Todo correcto.")
    await page.goto(portal + ASKED)
    await expect(page.locator(".machine .text")).to_have_text("".join(EXPLANATION))
    await page.click("text=👍 Sí")
    await expect(page.locator("h1")).to_contain_text("¡Gracias!")
    await context.close()


async def test_the_quote_is_read_while_the_machine_still_thinks(
    page: Page, place: School, portal: str
) -> None:
    place.engine.place = 2
    await page.goto(portal + ASKED, wait_until="commit")
    await expect(page.locator("blockquote")).to_contain_text("La fotosíntesis es el proceso")
    await expect(page.locator(".queue")).to_have_text("Tu lugar en la fila: 2")
    place.engine.place = 0
    place.engine.write(place.engine.streams[0])
    await expect(page.locator(".machine .text")).to_have_text("".join(EXPLANATION))
    await expect(page.locator(".queue")).to_be_hidden()


async def test_a_closed_tab_frees_its_place(page: Page, place: School, portal: str) -> None:
    freed = asyncio.Event()
    place.engine.silent = True
    place.engine.on_cancel = freed.set
    await page.goto(portal + ASKED, wait_until="commit")
    await expect(page.locator("blockquote")).to_be_visible()
    await page.close()
    await freed.wait()


async def wake(page: Page) -> None:
    """What the page does when its reader comes back to it: look for a new version."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def changed(place: School, version: int, words: str) -> None:
    """A new version whose every text begins with `words`."""
    place.install(version, [replace(one, body=(words, *one.body[1:])) for one in all_lessons()])


async def test_an_open_page_shows_the_new_version(page: Page, place: School, portal: str) -> None:
    await page.goto(portal + "/leccion/ayni-minka/es")
    changed(place, 2, "Texto nuevo.")
    await wake(page)
    await expect(page.locator("#b0")).to_have_text("Texto nuevo.")
    await expect(page.locator("#news")).to_contain_text("la página se actualizó")
    changed(place, 3, "Más nuevo.")
    await wake(page)
    await expect(page.locator("#b0")).to_have_text("Más nuevo.")
    assert len(place.told("lesson_opened")) == 1


@pytest.mark.parametrize(
    ("path", "begin"),
    [("/leccion/ayni-minka/es", "input[type=radio]"), ("/buscar", "input[type=search]")],
)
async def test_a_new_version_does_not_take_away_what_was_begun(
    page: Page, place: School, portal: str, path: str, begin: str
) -> None:
    await page.goto(portal + path)
    field = page.locator(f"main {begin}").first
    if "radio" in begin:
        await field.check()
    else:
        await field.fill("quipu")
    before = await page.locator("html").get_attribute("data-root")
    changed(place, 2, "Texto nuevo.")
    await wake(page)
    await expect(page.locator("#news")).to_contain_text("Hay una versión nueva.")
    assert await page.locator("html").get_attribute("data-root") == before
    assert await field.is_checked() if "radio" in begin else await field.input_value() == "quipu"
    await page.click("#news a")
    await expect(page.locator("html")).not_to_have_attribute("data-root", before or "")


async def test_a_lesson_is_read_aloud_block_by_block_until_stopped(page: Page, portal: str) -> None:
    await page.add_init_script(VOICE)
    await page.goto(portal + "/leccion/ayni-minka/qu")
    button = page.locator("#listen")
    await button.click()
    await expect(button).to_have_text("⏹ Parar")
    await expect(page.locator(".now")).to_have_attribute("id", "b0")
    await page.evaluate("window.last.onend()")
    await expect(page.locator(".now")).to_have_attribute("id", "b1")
    said = await page.evaluate("window.said")
    assert [language for language, _ in said] == ["es-PE", "es-PE"]
    assert said[1][1].strip().startswith("Ayniqa yanapaymi")
    await button.click()
    await expect(page.locator(".now")).to_have_count(0)
    assert await page.evaluate("window.cancelled")


async def test_the_button_to_listen_hides_where_no_voice_is(page: Page, portal: str) -> None:
    await page.add_init_script(
        "Object.defineProperty(window, 'speechSynthesis', {value: undefined})"
    )
    await page.goto(portal + "/leccion/ayni-minka/es")
    await expect(page.locator("#listen")).to_be_hidden()


@pytest.mark.parametrize("language", ["es", "qu", "en"])
async def test_every_page_suits_eyes_and_fingers_and_asks_nobody_else(
    page: Page, portal: str, language: str
) -> None:
    complaints: list[str] = []
    asked: list[Request] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request))
    await page.goto(f"{portal}/?idioma={language}")
    assert len(asked) <= HOME_REQUESTS
    assert page.url == f"{portal}/"
    for path in PATHS:
        for size in (PHONE, NARROW) if language == "qu" else (PHONE,):
            await page.set_viewport_size(size)
            await page.goto(portal + path)
            complaints += [f"{path}: {wrong}" for wrong in await page.evaluate(AUDIT)]
    assert complaints == []
    assert {request.url.split("/")[2] for request in asked} == {portal.split("/")[2]}


async def test_the_keyboard_sees_where_it_is(page: Page, portal: str) -> None:
    await page.goto(portal)
    await page.keyboard.press("Tab")
    skip = page.locator(".skip")
    await expect(skip).to_be_focused()
    box = await skip.bounding_box()
    assert box
    assert box["height"] > 40
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    field = page.locator("main input").first
    await expect(field).to_be_focused()
    ring = await field.evaluate("e => getComputedStyle(e).outlineStyle")
    assert ring == "solid"
