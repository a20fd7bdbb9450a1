"""Shared by every test: options, and what happens when a real service is missing.

A test that needs a service is skipped with a word on how to get it; where
CHASKI_REQUIRE_SERVICES=1 (CI), a missing service is a failure instead.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The time a test takes is no claim of ours: machines are slow and shared.
settings.register_profile("chaski", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chaski")

ROOT = Path(__file__).resolve().parents[1]
NEEDS: dict[str, tuple[str, Callable[[], bool]]] = {
    "compiler": ("a C compiler", lambda: shutil.which("cc") is not None),
    "browser": ("Chromium", lambda: shutil.which("chromium") is not None),
    "export": ("the [export] extra", lambda: importlib.util.find_spec("torch") is not None),
    "kafka": ("Apache Kafka", (ROOT / ".services" / "kafka" / "installed").exists),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshot", type=Path, help="write the README's picture to this path")
    parser.addoption(
        "--crash-states", type=int, default=120, help="power cuts tried in each test of them"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    required = os.environ.get("CHASKI_REQUIRE_SERVICES") == "1"
    missing = {mark: name for mark, (name, present) in NEEDS.items() if not present()}
    for item in items:
        for mark, name in missing.items():
            if mark in item.keywords and not required:
                item.add_marker(pytest.mark.skip(reason=f"needs {name}: run `make services`"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
