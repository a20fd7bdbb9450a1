"""A node signs what leaves it, and sends nothing when it cannot."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from node import app
from node.cli import main
from node.config import load
from node.provision import provision
from sync.errors import SettingsError
from sync.identity import NodeKey, verify
from tests.node.city import City
from tests.node.stick import fill, settings
from tests.node.village import lesson

KEY = NodeKey.create()


def place(folder: Path) -> Path:
    """A node.toml that names a key, and a stick as its hub."""
    city = City(folder)
    city.publish([lesson()])
    path = settings(folder / "node", city)
    fill(folder / "node" / "stick", city)
    text = path.read_text(encoding="utf-8").replace("[node]\n", '[node]\nkey = "node.pem"\n')
    path.write_text(text, encoding="utf-8")
    (folder / "node" / "node.pem").write_bytes(KEY.pem)
    return path


async def report(path: Path) -> str:
    """What a round up came to."""
    async with app.build(load(path, {}), model=False) as node:
        await node.updater.sync()
        node.services.record_event("search_missed", {"query": "x", "language": "es"})
        return (await node.report()).trouble


async def test_everything_that_leaves_bears_the_nodes_signature(tmp_path: Path) -> None:
    path = place(tmp_path)
    assert await report(path) == ""
    left = [p for kind in ("events", "samples") for p in (path.parent / "stick" / kind).iterdir()]
    assert len(left) == 2
    for block in left:
        verify(block.read_bytes(), KEY.public)


async def test_a_node_without_its_key_serves_and_keeps_what_it_has_to_say(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = place(tmp_path)
    (path.parent / "node.pem").unlink()
    assert "cannot be read" in await report(path)
    assert "what goes up waits" in caplog.text
    assert not (path.parent / "stick" / "events").exists()
    done = CliRunner().invoke(main, ["--config", str(path), "selftest"])
    assert "FAIL keys" in done.output
    (path.parent / "node.pem").write_bytes(KEY.pem)
    assert await report(path) == ""
    done = CliRunner().invoke(main, ["--config", str(path), "selftest"])
    assert "signs what goes up" in done.output


def test_provision_brings_the_key_with_the_settings(tmp_path: Path) -> None:
    path = place(tmp_path)
    target = tmp_path / "etc" / "node.toml"
    config = provision(path, target, force=False)
    assert config.node.key == str(target.parent / "node.pem")
    assert (target.parent / "node.pem").read_bytes() == KEY.pem
    (path.parent / "node.pem").write_bytes(b"rubbish")
    with pytest.raises(SettingsError, match="no Ed25519 key"):
        provision(path, target, force=True)
    assert (target.parent / "node.pem").read_bytes() == KEY.pem
