"""The node's settings."""

from pathlib import Path

import pytest

from node.config import SHIPPED_MODELS, NodeConfig, load
from sync.errors import SettingsError
from sync.settings import describe

SMALL = '[node]\nid = "ocongate"\ndata = "data"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_lines_are_enough(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALL), {})
    assert (config.node.id, config.node.data) == ("ocongate", str(tmp_path / "data"))
    assert config.node.models == str(SHIPPED_MODELS)
    assert (config.portal.port, config.sync.hub, config.tutor.enabled) == (8000, "", True)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = SMALL + 'models = "m"\n[sync]\nhub = "stick"\nroot = "keys/root.json"\n'
    config = load(written(tmp_path, text), {})
    assert config.node.models == str(tmp_path / "m")
    assert config.sync.hub == str(tmp_path / "stick")
    assert config.sync.root == str(tmp_path / "keys" / "root.json")


def test_an_address_stays_an_address(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALL + '[sync]\nhub = "https://hub.example/x"\n'), {})
    assert config.sync.hub == "https://hub.example/x"


def test_the_environment_is_enough(tmp_path: Path) -> None:
    environ = {"CHASKI_NODE__NODE__ID": "a", "CHASKI_NODE__NODE__DATA": str(tmp_path)}
    assert load(None, environ).node.data == str(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[node]\nid = 'Not A Slug'\ndata = 'd'\n",
        SMALL + "[portal]\nport = 70000\n",
        SMALL + "[tutor]\nencoder = 'x'\n",
        SMALL + "[sync]\nchannel = '../x'\n",
        SMALL + "[sync]\nevery_seconds = 0\n",
        SMALL + "[telemetry]\nspool_megabytes = 0\n",
        "not toml",
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        load(written(tmp_path, text), {})


def test_every_key_has_a_description() -> None:
    keys = list(describe(NodeConfig))
    assert len(keys) > 15
    assert all(key.description for key in keys)
