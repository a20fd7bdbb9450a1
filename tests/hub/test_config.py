"""The hub's settings: paths relative to their file, every key described, bounds kept."""

from pathlib import Path

import pytest

from hub import config
from hub.config import HubConfig
from sync import settings
from sync.errors import SettingsError


def read(folder: Path, text: str, **environ: str) -> HubConfig:
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, environ)


def test_paths_are_relative_to_the_file_and_everything_lies_under_data(tmp_path: Path) -> None:
    hub = read(tmp_path, '[hub]\ndata = "d"\n[gates]\nblocklist = "b.txt"\n')
    assert hub.database == tmp_path / "d" / "hub.db"
    assert hub.keys.parent == hub.published.parent == hub.users.parent == tmp_path / "d"
    assert hub.blocklist == tmp_path / "b.txt"


def test_models_and_blocklist_are_the_shipped_ones_unless_set(tmp_path: Path, root: Path) -> None:
    hub = read(tmp_path, '[hub]\ndata = "d"\n')
    assert hub.models == root / "models" / "onnx"
    assert hub.blocklist.is_file()


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    hub = config.load(None, {"CHASKI_HUB__HUB__DATA": str(tmp_path)})
    assert hub.data == tmp_path


def test_without_data_it_is_refused() -> None:
    with pytest.raises(SettingsError, match="hub"):
        config.load(None, {})


@pytest.mark.parametrize(
    "text",
    [
        "[gates]\nmax_copy = 1.5\n",
        "[ranker]\nnovelty = -1\n",
        "[server]\npublic_url = 'ftp://x'\n",
        "[generator]\ncolour = 1\n",
    ],
)
def test_a_value_out_of_bounds_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        read(tmp_path, f'[hub]\ndata = "d"\n{text}')


def test_nodes_use_the_public_address_when_there_is_one(tmp_path: Path) -> None:
    text = '[hub]\ndata = "d"\n[server]\nport = 81\n'
    assert read(tmp_path, text).url == "http://127.0.0.1:81"
    public = text + 'public_url = "https://hub.example/x/"\n'
    assert read(tmp_path, public).url == "https://hub.example/x"


def test_every_key_is_described() -> None:
    silent = [key.name for key in settings.describe(HubConfig) if not key.description]
    assert silent == []
