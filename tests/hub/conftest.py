"""An empty library and a clock for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.library import Library
from tests.hub.fakes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "hub.db") as opened:
        yield opened
