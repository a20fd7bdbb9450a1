"""One world and one shim for all tests of this folder that need them."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.shim import Shim, shimmed
from tests.faults.world import World, quick_folder


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A city with two versions, and nodes to copy."""
    with quick_folder() as home:
        made = World(home)
        asyncio.run(made.settle())
        yield made


@pytest.fixture(scope="session")
def shim(world: World) -> Iterator[Shim]:
    """Sees every change to the files of a node."""
    with shimmed(world.home / "shim") as made:
        yield made
