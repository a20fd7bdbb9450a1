"""The studio in Chromium, with scripts off: nothing overflows, nothing comes from elsewhere."""

import shutil

import pytest
from playwright.async_api import Page, Request, async_playwright

from hub.hearing import hear, hear_upload
from hub.stock import Stock
from sync.canonical import digest
from sync.events import EventBlock, event
from sync.inventory import About
from sync.parcel import to_bytes
from tests.hub_web.reports import missed, samples
from tests.hub_web.world import Client, World
from tests.pictures import jpeg
from tests.sync.test_parcel import handed

PAGES = (
    "revision", "revision/2", "lecciones", "lecciones/sumar/es", "recursos", "versiones", "nodos",
    "aprendizaje", "avisos", "busquedas", "revision/4", "nada",
)  # fmt: skip
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def walk(page: Page, url: str) -> dict[str, int]:
    """Opens every page; by how many pixels each is too wide."""
    excess = {}
    for path in PAGES:
        await page.goto(f"{url}/studio/{path}")
        excess[path] = await page.evaluate(WIDE)
        assert await page.locator("h1").is_visible()
    return excess


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
async def test_every_page_fits_the_screen_and_loads_only_from_the_hub(
    world: World, client: Client, width: int
) -> None:
    world.draft(
        body=("Una palabra: " + "a" * 300, "| a | b |\n|---|---|\n| " + "x" * 200 + " | 2 |")
    )
    world.draft(topic="salud")
    file = world.folder / "a.svg"
    file.write_bytes(b"<svg/>")
    about = About("assets/" + "x" * 200 + ".svg", "Un dibujo " * 20, "Ana", "CC-BY-4.0")
    Stock(world.library, world.hub.shelf).add(file, about, person="Rosa")
    world.publish()
    await client.post("/v1/samples", data=samples(0, node="n" * 64))
    data = to_bytes(handed(title="x" * 120, files=[("y" * 76 + ".jpg", jpeg())]))
    assert hear_upload(world.library, "n" * 64, digest(data), data, 0.0) == 4
    wrong = {"lesson": "sumar", "language": "es", "verdict": "wrong", "note": "z" * 300}
    told_there = (event("feedback", 0, wrong), missed("w" * 200))
    hear(world.library, EventBlock("n" * 64, "e", 1, told_there), 0.0)
    url, asked, told = str(client.make_url("/")).rstrip("/"), list[str](), list[str]()

    def note(request: Request) -> None:
        asked.append(request.url)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS
        )
        context = await browser.new_context(
            viewport={"width": width, "height": 740}, java_script_enabled=False, locale="es-PE"
        )
        page = await context.new_page()
        page.on("request", note)
        page.on("console", lambda message: told.append(message.text))
        await page.goto(f"{url}/studio/revision")
        await page.fill("[name=name]", "rosa")
        await page.fill("[name=password]", world.passwords["rosa"])
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert page.url == f"{url}/studio/revision"
        excess = await walk(page, url)
        await browser.close()
    assert excess == dict.fromkeys(PAGES, 0)
    assert [u for u in asked if not u.startswith(url)] == []
    assert [t for t in told if "404" not in t] == []
