"""The road that the settings describe."""

from pathlib import Path

import aiohttp
import pytest

from node.config import SyncTable, load
from node.road import road
from node.roads import by_wire
from sync.errors import SettingsError, TransportError
from sync.transport.directory import DirectorySource
from sync.transport.retrying import Retrying
from sync.transport.windowed import ClosedError, Windowed, minute_of_day
from tests.node.village import AT

HUB = "http://127.0.0.1:9"


def at(minute: int) -> str:
    """A minute of the day as the settings write it."""
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


async def test_outside_its_windows_a_node_asks_nobody_over_the_network() -> None:
    now = minute_of_day(AT)
    later = f"{at(now + 60)}-{at(now + 120)}"
    async with aiohttp.ClientSession() as session:
        closed, _ = road(HUB, SyncTable(windows=(later,)), session, lambda: AT)
        with pytest.raises(ClosedError, match=f"opens at {at(now + 60)}"):
            await closed.head("escuela")
        source, _ = road(HUB, SyncTable(windows=(later,)), session, lambda: AT + 3600)
        assert isinstance(source, Windowed)


async def test_a_stick_has_no_windows_and_no_limit(tmp_path: Path) -> None:
    sync = SyncTable(windows=("00:00-00:01",), kilobits_per_second=1)
    async with aiohttp.ClientSession() as session:
        source, _ = road(str(tmp_path), sync, session, lambda: AT)
    assert isinstance(source, DirectorySource)
    assert not by_wire(str(tmp_path))


async def test_without_windows_a_hub_is_asked_at_any_time() -> None:
    async with aiohttp.ClientSession() as session:
        source, _ = road(HUB, SyncTable(kilobits_per_second=64), session)
        assert isinstance(source, Retrying)
        nowhere, _ = road("", SyncTable(), session)
        with pytest.raises(TransportError, match="knows no hub"):
            await nowhere.head("escuela")


@pytest.mark.parametrize("text", ["22-06", "25:00-06:00", "night"])
def test_a_window_that_is_none_is_refused_with_the_settings(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\nid = "a"\ndata = "d"\n[sync]\nwindows = ["{text}"]\n')
    with pytest.raises(SettingsError, match="windows"):
        load(path, {})
