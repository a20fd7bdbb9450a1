"""A thief with a hub's keys, and the way back: hub and node, both by their command lines, with
nothing between them but a stick."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli import main as hub
from hub.ingest import markdown
from node.cli import main as node
from sync.head import head_from_bytes, head_to_bytes
from sync.manifest import manifest
from sync.signing import Publisher
from sync.transport.directory import STICK, DirectoryWriter, Layout
from tests.hub.fakes import a_lesson
from tests.hub.test_cli import CHANNEL

FAR = 2**31
DAY = 86_400.0


@dataclass
class World:
    """A hub, a node, a stick, and the drawer with the root key."""

    folder: Path
    stick: Path
    drawer: Path

    def hub(self, *words: str | Path, code: int = 0) -> Result:
        return self._run(hub, self.folder / "hub.toml", words, code)

    def node(self, *words: str | Path, code: int = 0) -> Result:
        return self._run(node, self.folder / "n" / "node.toml", words, code)

    def _run(self, program: Any, config: Path, words: tuple[str | Path, ...], code: int) -> Result:
        done = CliRunner().invoke(program, ["--config", str(config), *map(str, words)])
        assert done.exit_code == code, done.output
        return done

    def write(self, title: str) -> None:
        """A lesson approved and published."""
        path = self.folder / "sumar.es.md"
        path.write_text(markdown.render(a_lesson(title=title)), encoding="utf-8")
        self.hub("lesson", "edit", "sumar", "es", path, "--editor", "Ana")
        self.hub("publish")

    def brought(self, code: int = 0) -> Any:
        """The outcome of an import from the stick as it is."""
        return json.loads(self.node("import", self.stick, "--json", code=code).stdout)

    def carried(self, code: int = 0) -> Any:
        """The outcome of an import after the hub filled the stick anew."""
        self.hub("export-usb", self.stick)
        return self.brought(code)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, tmp_path / "media", tmp_path / "drawer")
    made.stick.mkdir()
    (tmp_path / "hub.toml").write_text('[hub]\ndata = "data"\n', encoding="utf-8")
    library = tmp_path / "lessons"
    library.mkdir()
    (library / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    (library / "sumar.es.md").write_text(markdown.render(a_lesson()), encoding="utf-8")
    made.hub("keys", "create", "--offline-root", made.drawer)
    made.hub("import", library, "--approver", "Rosa", "--approver", "Ana")
    made.hub("publish")
    made.hub("enrol", "puno", "--no-hub", "--out", tmp_path / "n" / "node.toml")
    return made


def stolen_head(world: World, keys: Path, *, ahead: float) -> None:
    """What a thief with `keys` puts on the stick: a head counted up to `FAR`, `ahead` of time."""
    layout = Layout(world.stick / STICK)
    last = head_from_bytes(layout.head("escuela").read_bytes())
    false = manifest("escuela", [])
    now = time.time() + ahead
    head = Publisher(keys).sign_head("escuela", FAR, false, now, last, 90)
    DirectoryWriter(world.stick / STICK).put_head("escuela", head_to_bytes(head))


def test_a_lesson_and_a_report_travel_in_a_pocket(world: World) -> None:
    assert (world.carried()["kind"], world.carried()["kind"]) == ("updated", "current")
    world.write("Sumar bien")
    second = world.carried()
    assert (second["kind"], second["from_version"], second["to_version"]) == ("updated", 1, 2)
    told = json.loads(world.hub("collect", world.stick, "--json").stdout)
    assert told["stored"] >= 3
    assert told["damaged"] == told["refused"] == 0
    (fleet,) = json.loads(world.hub("fleet", "--json").stdout)
    assert (fleet["node"], fleet["version"]) == ("puno", 2)
    assert json.loads(world.hub("collect", world.stick, "--json").stdout)["stored"] == 0


@pytest.mark.fault(9, "the whole way with hub and node")
def test_versions_counted_up_by_a_thief_are_undone_by_replacing_the_keys(world: World) -> None:
    world.carried()
    keys = shutil.copytree(world.folder / "data" / "keys", world.folder / "stolen")
    stolen_head(world, keys, ahead=10 * DAY)
    assert world.brought(code=8)["offered_version"] == FAR  # believed, with nothing to install
    world.write("Sumar bien")
    assert world.carried(code=5)["kind"] == "refused"  # the hub's own versions are too low now
    assert world.node("search", "sumar").stdout.startswith("1. Sumar (")

    for role in ("timestamp", "snapshot", "targets"):
        world.hub("keys", "rotate", role, "--offline-root", world.drawer)
    done = world.carried()
    assert (done["kind"], done["to_version"]) == ("updated", 2)
    assert world.node("search", "sumar").stdout.startswith("1. Sumar bien (")

    stolen_head(world, keys, ahead=20 * DAY)
    assert world.brought(code=5)["kind"] == "refused"
    world.write("Sumar mejor")
    assert world.carried()["to_version"] == 3


@pytest.mark.fault(10, "intermediate roots of a year")
def test_a_node_that_was_away_follows_all_rotations_at_once(world: World) -> None:
    world.carried()
    for role in ("timestamp", "root", "targets", "snapshot", "root"):
        world.hub("keys", "rotate", role, "--offline-root", world.drawer)
    world.write("Sumar bien")
    assert world.carried()["to_version"] == 2
    assert json.loads(world.hub("keys", "show", "--json").stdout)["version"] == 6


def test_a_node_enrolled_after_a_rotation_begins_with_the_newest_root(world: World) -> None:
    world.hub("keys", "rotate", "root", "--offline-root", world.drawer)
    new = world.folder / "n2" / "node.toml"
    world.hub("enrol", "cusco", "--no-hub", "--out", new)
    shutil.copytree(new.parent, world.folder / "n", dirs_exist_ok=True)
    assert world.carried()["kind"] == "updated"
