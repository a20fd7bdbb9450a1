"""A pupil's phone at the village node, while the hub in the city goes on working."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from tests.e2e.conftest import Demo
from tests.portal.picture import CHROMIUM, PHONE, take

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 60_000
NEWS = "La quinua también hace la fotosíntesis."


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[Page]:
    """A phone-sized browser that has never been here."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(viewport=PHONE)
        yield await context.new_page()
        await browser.close()


async def test_from_home_to_a_lesson_in_three_taps_and_a_question_is_answered(
    demo: Demo, phone: Page, request: pytest.FixtureRequest
) -> None:
    await phone.goto(demo.portal)
    await phone.click("main >> text=Ciencia y tecnología")
    await phone.click("main >> text=La fotosíntesis")
    await expect(phone.locator("h1")).to_have_text("La fotosíntesis")
    await expect(phone.locator("main")).to_contain_text("fabrican su propio alimento")
    await phone.click("nav >> text=Preguntar")
    await phone.fill("input[name=q]", "¿Qué es la fotosíntesis?")
    await phone.click("main button >> text=Preguntar")
    await expect(phone.locator("blockquote.quote")).to_contain_text("fabrican su propio alimento")
    machine = phone.locator("section.machine")
    await expect(machine).to_contain_text("Escrito por una máquina; puede equivocarse")
    await expect(machine.locator(".text")).to_contain_text(" ")
    if path := request.config.getoption("--screenshot"):
        await take(demo.portal, Path(path))


async def test_an_open_page_shows_what_the_editor_just_published(demo: Demo, phone: Page) -> None:
    await phone.goto(f"{demo.portal}/leccion/fotosintesis/es")
    await expect(phone.locator("main")).not_to_contain_text(NEWS)
    city = [str(Path(sys.executable).with_name("chaski-hub")), "--config", f"{demo.data}/hub.toml"]
    draft = demo.data / "news.md"
    run(*city, "lesson", "export", "fotosintesis", "es", "--out", str(draft))
    draft.write_text(draft.read_text(encoding="utf-8") + f"\n{NEWS}\n", encoding="utf-8")
    run(*city, "lesson", "edit", "fotosintesis", "es", str(draft), "--editor", "Rosa Quispe")
    run(*city, "publish")
    operator = await phone.context.new_page()
    await operator.goto(f"{demo.portal}/salud")
    await operator.click("button >> text=/incroni/")
    await expect(phone.locator("main")).to_contain_text(NEWS, timeout=PATIENCE_MS)


def run(*command: str) -> None:
    """Run one command of the hub."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
