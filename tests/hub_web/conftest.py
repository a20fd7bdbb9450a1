"""A world a test, and a browser in it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.hub_web.world import Browser, Client, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with world.served() as served:
        yield served


@pytest.fixture
async def rosa(world: World, client: Client) -> Browser:
    """An editor, signed in."""
    browser = Browser(client)
    await browser.sign_in("rosa", world.passwords["rosa"])
    return browser
