"""A model's whole way: published at the hub, carried on a stick, tested and used by a node that
serves; a bad one left aside; a person who goes back; the hub that hears of all of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli import main as hub
from hub.config import load as hub_settings
from hub.ingest import markdown
from hub.office import Office
from models.store import unlocked
from node.cli import main as node
from sync.inventory import About
from sync.modelfiles import model_path
from tests.hub.fakes import a_lesson
from tests.hub.test_cli import CHANNEL
from tests.models import editions, spoilt
from tests.node.thinker import ship

ASKS = 6000
COLLECTS = 40
NODE = """
[node]
id = "puno"
data = "data"
key = "node.pem"
models = "../shipped"
keep_free_megabytes = 0

[sync]
hub = "../stick/chaski"
every_seconds = 0.1

[portal]
port = 0

[tutor]
model = "tutor-tiny"

[telemetry]
every_seconds = 0.1
"""


@dataclass
class World:
    """A hub, a stick, and a node that serves as a process of its own."""

    folder: Path
    url: str = ""
    process: "subprocess.Popen[str] | None" = field(default=None)

    @property
    def stick(self) -> Path:
        return self.folder / "stick"

    def hub(self, *words: str | Path, code: int = 0) -> Result:
        return self._run(hub, self.folder / "hub.toml", words, code)

    def node(self, *words: str | Path, code: int = 0) -> Result:
        return self._run(node, self.folder / "n" / "node.toml", words, code)

    def _run(self, program: Any, config: Path, words: tuple[str | Path, ...], code: int) -> Result:
        done = CliRunner().invoke(program, ["--config", str(config), *map(str, words)])
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    def send(self) -> None:
        """What is in the hub's channel goes on the stick."""
        self.hub("publish")
        self.hub("export-usb", self.stick)

    def smuggle(self, folder: Path) -> None:
        """A hub that does not test what it publishes."""
        with Office(lambda: hub_settings(self.folder / "hub.toml", {})) as office:
            for file in folder.iterdir():
                about = About(model_path(folder.name, file.name), "x", "Rosa", "CC0-1.0")
                office.stock.add(file, about, person="Rosa", kind="model")

    def serve(self) -> None:
        config = self.folder / "n" / "node.toml"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "node.cli", "--config", config, "serve"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self.process.stdout
        self.url = self.process.stdout.readline().split()[1]

    def end(self, how: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(how)
        self.process.communicate(timeout=120)
        return self.process.returncode

    def read(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    def model(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """How the model is, once it `holds`."""
        told: dict[str, Any] = {}
        for _ in range(ASKS):
            told = json.loads(self.read("/api/status"))["model"]
            if holds(told):
                return told
        pytest.fail(f"it never came: {told}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("made")
    found = {
        "shipped": editions.decoder(home / "0", seed=3),
        "first": editions.decoder(home / "1"),
        "second": editions.decoder(home / "2", further=0.01),
    }
    found["bad"] = shutil.copytree(found["second"], home / "3" / "tutor-tiny")
    spoilt.spoil(found["bad"], "nan")
    return found


@pytest.fixture
def world(tmp_path: Path, made: dict[str, Path]) -> Iterator[World]:
    world = World(tmp_path)
    ship(tmp_path / "shipped", made["shipped"])
    ship(tmp_path / "models", made["first"])
    (tmp_path / "hub.toml").write_text('[hub]\ndata = "data"\nmodels = "models"\n', "utf-8")
    library = tmp_path / "lessons"
    library.mkdir()
    (library / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    (library / "sumar.es.md").write_text(markdown.render(a_lesson()), encoding="utf-8")
    world.stick.mkdir()
    world.hub("keys", "create")
    world.hub("import", library, "--approver", "Rosa", "--approver", "Ana")
    config = tmp_path / "n" / "node.toml"
    world.hub("enrol", "puno", "--no-hub", "--out", config)
    config.write_text(NODE, encoding="utf-8")
    world.send()
    world.serve()
    yield world
    assert world.end(signal.SIGTERM) == 0


def v(folder: Path) -> str:
    return unlocked(folder).version


@pytest.mark.slow
def test_a_model_is_published_carried_tested_used_left_and_told_of(
    world: World, made: dict[str, Path]
) -> None:
    told = world.model(lambda m: m["version"])
    assert (told["version"], told["source"]) == (v(made["shipped"]), "shipped")

    world.hub("models", "publish", "tutor-tiny", "--editor", "Rosa")
    world.send()
    told = world.model(lambda m: m["version"] == v(made["first"]))
    assert (told["state"], told["source"]) == ("trial", "channel")
    assert f"tutor-tiny {v(made['first'])}, channel, on trial" in world.node("status").stdout

    world.hub("models", "publish", made["bad"], "--editor", "Rosa", code=6)
    world.smuggle(made["bad"])
    world.send()
    told = world.model(lambda m: m["last"]["kind"] == "refused")
    assert (told["version"], told["last"]["why"]) == (v(made["first"]), "answer")
    assert "No se aceptó un modelo nuevo:" in world.read("/salud")
    assert 'chaski_model_switches_total{outcome="refused"} 1.0' in world.read("/metrics")

    world.hub("models", "publish", made["second"], "--editor", "Rosa")
    world.send()
    world.model(lambda m: m["version"] == v(made["second"]))
    assert world.end(signal.SIGKILL) == -signal.SIGKILL
    world.serve()
    world.model(lambda m: m["version"] == v(made["second"]))

    world.node("models", "rollback")
    world.model(lambda m: m["version"] == v(made["shipped"]))
    listed = json.loads(world.node("models", "list", "--json").stdout)["versions"]
    assert {line["version"]: line["use"] for line in listed} == {
        v(made["shipped"]): "in use", v(made["second"]): "refused", v(made["bad"]): "refused",
    }  # fmt: skip
    assert "left by hand" in world.node("models", "list").stdout
    world.node("models", "use", v(made["second"]))
    world.model(lambda m: m["version"] == v(made["second"]))
    assert "there is no version" in world.node("models", "use", v(made["bad"]), code=6).output

    for _ in range(COLLECTS):
        world.hub("collect", world.stick)
        nodes = json.loads(world.hub("fleet", "--json").stdout)
        if nodes and nodes[0]["model"] == f"tutor-tiny {v(made['second'])} trial":
            return
    pytest.fail(f"the hub never heard of it: {nodes}")


def test_the_self_test_of_the_node_tries_the_model_it_uses(
    world: World, made: dict[str, Path]
) -> None:
    world.hub("models", "publish", "tutor-tiny", "--editor", "Rosa")
    world.send()
    world.model(lambda m: m["version"] == v(made["first"]))
    assert f"tutor-tiny {v(made['first'])}: " in world.node("selftest").stdout
    for file in (world.folder / "n" / "data" / "models" / "tutor-tiny").glob("*/model.onnx"):
        file.write_bytes(b"rot")
    assert f"tutor-tiny {v(made['shipped'])}: " in world.node("selftest", code=4).stdout
