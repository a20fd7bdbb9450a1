"""Blocks go home in a pocket, and what the hub says of them comes back in one."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from sync import acks, keys
from sync.signing import Publisher
from sync.transport.directory import STICK, Layout
from tests.e2e.test_recovery import World, world

__all__ = ["world"]  # the fixture


def waiting(world: World) -> int:
    """Blocks in the node's spool."""
    return int(json.loads(world.node("status", "--json").stdout)["waiting_blocks"])


def home_and_back(world: World) -> None:
    """The stick goes to the city and comes back."""
    world.hub("collect", world.stick)
    world.hub("export-usb", world.stick)


def test_the_spool_empties_when_the_hub_has_said_so_and_never_before(world: World) -> None:
    world.carried()
    first = waiting(world)
    assert first >= 2
    world.brought()
    more = waiting(world)
    assert more > first
    world.hub("export-usb", world.stick)
    world.brought()
    assert waiting(world) > more
    left = len(list((world.stick / STICK).glob("*s/" + "?" * 64))) - 1  # bundles, too
    assert left >= more
    home_and_back(world)
    world.brought()
    assert waiting(world) <= 2  # what this very import made


def test_a_stick_that_is_lost_loses_nothing(world: World) -> None:
    world.carried()
    before = waiting(world)
    shutil.rmtree(world.stick)
    world.stick.mkdir()
    world.carried()
    assert waiting(world) > before
    collected = json.loads(world.hub("collect", world.stick, "--json").stdout)
    assert collected["stored"] == waiting(world)
    world.carried()
    assert waiting(world) <= 2


def test_an_older_stick_acknowledges_less_and_nothing_wrong(world: World, tmp_path: Path) -> None:
    world.carried()
    home_and_back(world)
    old = tmp_path / "old"
    shutil.copytree(world.stick, old)
    world.brought()
    world.write("Sumar bien")
    home_and_back(world)
    world.brought()
    after = waiting(world)
    world.node("import", old, "--json", code=5)
    assert waiting(world) >= after
    for _ in range(2):
        home_and_back(world)
        world.brought()
    assert waiting(world) <= 2


@pytest.mark.parametrize("how", ["forged", "other hub", "cut", "other channel", "empty"])
def test_what_our_hub_did_not_sign_empties_no_spool(world: World, tmp_path: Path, how: str) -> None:
    world.carried()
    before = waiting(world)
    home_and_back(world)
    path = Layout(world.stick / STICK).acks("escuela")
    data = path.read_bytes()
    told = json.loads(data)
    if how == "forged":
        for epochs in told["acks"]["nodes"].values():
            for epoch in epochs:
                epochs[epoch] = [[0, 2**40]]
        data = json.dumps(told).encode()
    elif how == "other channel":
        told["acks"]["channel"] = "otra"
        data = json.dumps(told).encode()
    elif how == "other hub":
        keys.create(tmp_path / "thief")
        said = msgspec.convert(told["acks"], acks.Acks)
        data = acks.to_bytes(said, Publisher(tmp_path / "thief"))
    path.write_bytes({"cut": data[:50], "empty": b""}.get(how, data))
    world.brought()
    assert waiting(world) > before
    world.hub("export-usb", world.stick)
    world.brought()
    assert waiting(world) < before + 2
