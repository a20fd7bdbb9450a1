"""The README's picture: home, a lesson and an answer on a phone, side by side.

`python -m tests.portal.picture docs/portal.png` takes it of a school with the sample library and
the model that ships; `take` takes it of any running portal.
"""

import asyncio
import base64
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, ViewportSize, async_playwright

from models.engine import Engine
from models.store import ModelStore
from node.config import SHIPPED_MODELS
from node.model.seat import Seat
from node.portal.app import build_portal
from node.services import Services
from node.tutor import Tutor
from tests.portal.school import full_school

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
MODEL = "tutor-es-small"
PHONE = ViewportSize(width=360, height=740)
PAGES = ("/", "/leccion/papas-nativas/es", "/preguntar?q=¿Qué es la fotosíntesis?")
FRAME = """<!doctype html><style>
body{{margin:0;padding:28px;display:flex;align-items:flex-start;gap:28px;background:#e8dcc8;width:max-content}}
img{{display:block;width:360px;border-radius:22px;border:6px solid #22201c}}
</style>{shots}"""


async def take(portal: str, path: Path) -> None:
    """Puts the picture of the portal that listens at `portal` into `path`."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--force-color-profile=srgb"]
        )
        try:
            picture = await _picture(browser, portal.rstrip("/"))
        finally:
            await browser.close()
    await asyncio.to_thread(path.write_bytes, picture)


async def _picture(browser: Browser, portal: str) -> bytes:
    context = await browser.new_context(viewport=PHONE)
    page = await context.new_page()
    shots = []
    for path in PAGES:
        await page.goto(portal + path)
        shots.append(base64.b64encode(await page.screenshot()).decode())
    sheet = await browser.new_page()
    images = "".join(f'<img src="data:image/png;base64,{shot}">' for shot in shots)
    await sheet.set_content(FRAME.format(shots=images))
    await sheet.wait_for_function("[...document.images].every(image => image.complete)")
    return await sheet.locator("body").screenshot()


async def main(path: Path) -> None:
    """Takes the picture of a school of its own. Raises ModelError when the model is missing."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = full_school(Path(folder))
        stack.callback(place.close)
        model = ModelStore(SHIPPED_MODELS).open(MODEL)
        engine = stack.enter_context(Engine.open(model, threads=2))
        held = place.services
        services = Services(
            settings=held.settings,
            store=held.store,
            library=held.library,
            files=held.files,
            search=held.search,
            tutor=Tutor(held.search, held.library, engine),
            seat=Seat(engine),
            updater=held.updater,
            sticks=held.sticks,
            delivery=held.delivery,
            metrics=held.metrics,
            clock=held.clock,
            record_event=held.record_event,
            handing=held.handing,
        )
        async with TestServer(build_portal(services)) as server:
            await take(str(server.make_url("/")), path)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
