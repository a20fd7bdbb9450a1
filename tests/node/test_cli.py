"""The command line, from the settings to the exit code."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from node.api.tokens import Tokens
from node.cli import main
from node.folder import DataFolder
from node.lock import Lock
from sync.events import decode_events
from sync.samples import decode_block
from tests.node.city import City
from tests.node.stick import fill, settings
from tests.node.village import lesson

WORDS = "La papa es un tallo que crece bajo la tierra y guarda alimento para la planta."


@dataclass
class World:
    """A city, a stick, and a node that knows the stick only."""

    folder: Path
    city: City
    config: Path

    def publish(self, text: str) -> None:
        """A new version on the stick."""
        # A page of text, so that a delta is worth while.
        page = [f"En la feria {n} hay {n * 7} papas y {n * 3} ollas de barro." for n in range(60)]
        self.city.publish(
            [
                lesson("papa", title="La papa", keywords=("papa",), body=[text, *page]),
                lesson("olla", title="La olla", body=page),
            ]
        )
        fill(self.config.parent / "stick", self.city)

    def run(self, *arguments: str) -> Result:
        """One command of `chaski-node`."""
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments])


@pytest.fixture
def world(tmp_path: Path) -> World:
    city = City(tmp_path / "city", time.time())
    return World(tmp_path, city, settings(tmp_path / "node", city))


def test_a_sync_says_what_it_cost_beside_the_full_size(world: World) -> None:
    world.publish(WORDS)
    done = world.run("sync")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("updated: version 0 -> 1, ")
    assert f"of {world.city.versions[0].size:,} in full" in done.stdout
    assert world.run("sync").stdout.startswith("current: version 1 -> 1, ")
    world.publish(WORDS + " Hay muchas.")
    told = json.loads(world.run("sync", "--json").stdout)
    assert (told["kind"], told["from_version"], told["to_version"]) == ("updated", 1, 2)
    assert told["bytes_down"] < told["full_size"] / 2


def test_a_sync_takes_samples_and_events_up_at_once(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    stick = world.config.parent / "stick"
    (samples,) = (stick / "samples").iterdir()
    block = decode_block(samples.read_bytes())
    version = next(s for s in block.series if s.name == "chaski_node_installed_version")
    assert (block.node, version.values) == ("ocongate", (1.0,))
    (events,) = (stick / "events").iterdir()
    (event,) = decode_events(events.read_bytes()).events
    assert (event.kind, event.data["outcome"]) == ("sync", "updated")
    # A folder is not the hub: they stay here until the hub has said that it has them.
    assert json.loads(world.run("status", "--json").stdout)["waiting_blocks"] == 2


def test_a_stick_that_is_not_there_is_unreachable_and_the_lessons_stay(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    (world.config.parent / "stick").rename(world.folder / "away")
    done = world.run("sync")
    assert done.exit_code == 8
    assert done.stderr.startswith("error: ")
    assert "hint: " in done.stderr
    assert "papa" in world.run("search", "tallo").stdout
    status = json.loads(world.run("status", "--json").stdout)
    assert (status["version"], status["last_sync"]["kind"]) == (1, "unreachable")


def test_a_wrong_signature_ends_with_its_code(world: World, tmp_path: Path) -> None:
    world.publish(WORDS)
    thief = City(tmp_path / "thief", time.time())
    thief.publish([lesson()])
    fill(world.config.parent / "stick", thief)
    done = world.run("sync")
    assert done.exit_code == 5
    assert "signature" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_bundle_ends_with_its_code(world: World) -> None:
    world.publish(WORDS)
    for path in (world.config.parent / "stick" / "bundles").iterdir():
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    done = world.run("sync")
    assert done.exit_code == 4
    assert world.run("status").exit_code == 0


def test_a_full_disk_ends_with_its_code(world: World) -> None:
    world.publish(WORDS)
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(
        text.replace("keep_free_megabytes = 0", "keep_free_megabytes = 1000000")
    )
    done = world.run("sync")
    assert done.exit_code == 7
    assert "MB" in done.stderr


def test_two_nodes_never_share_a_data_folder(world: World) -> None:
    world.publish(WORDS)
    held = DataFolder(world.config.parent / "data").lock()
    done = world.run("sync")
    assert done.exit_code == 9
    assert "in use by another chaski-node" in done.stderr
    assert world.run("status").exit_code == 0
    held.close()
    assert world.run("sync").exit_code == 0


def test_a_lock_is_free_when_its_owner_is_gone(tmp_path: Path) -> None:
    Lock(tmp_path).close()
    Lock(tmp_path).close()


def test_a_node_without_a_hub_says_what_to_do(world: World) -> None:
    world.config.write_text('[node]\nid = "a"\ndata = "data"\n', encoding="utf-8")
    done = world.run("sync")
    assert (done.exit_code, "enrol" in done.stderr) == (3, True)


def test_missing_root_keys_are_the_operators_to_bring(world: World) -> None:
    world.publish(WORDS)
    (world.config.parent / "root.json").unlink()
    done = world.run("sync")
    assert done.exit_code == 3
    assert "root.json" in done.stderr


def test_root_keys_are_not_needed_again_once_trusted(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    (world.config.parent / "root.json").unlink()
    assert world.run("sync").stdout.startswith("current")


def test_a_bad_root_file_is_refused(world: World) -> None:
    world.publish(WORDS)
    (world.config.parent / "root.json").write_text("{}")
    assert world.run("sync").exit_code == 5


@pytest.mark.parametrize("command", ["serve", "sync", "status", "selftest"])
def test_an_unreadable_configuration_is_one_line(world: World, command: str) -> None:
    world.config.write_text("[node", encoding="utf-8")
    done = world.run(command)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_data_folder_that_cannot_be_is_one_line(world: World) -> None:
    (world.config.parent / "data").write_text("a file")
    done = world.run("status")
    assert done.exit_code == 3
    assert "node.data" in done.stderr


def test_a_damaged_database_is_one_line(world: World) -> None:
    data = world.config.parent / "data"
    data.mkdir()
    (data / "node.db").write_bytes(b"garbage " * 500)
    done = world.run("search", "papa")
    assert done.exit_code == 4
    assert "sync again" in done.stderr


def test_search_and_ask_speak_as_the_portal_does(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    assert "1. La papa (papa, es)" in world.run("search", "tallos").stdout
    assert "nothing found" in world.run("search", "volcán").stdout
    told = world.run("ask", "¿Qué", "es", "la", "papa?").stdout
    assert "La papa (papa, es):" in told
    assert WORDS in told
    assert "machine" not in told
    assert "No lesson" in world.run("ask", "¿Quién es Bad Bunny?", "--language", "en").stdout


def test_ask_writes_with_the_shipped_model_after_the_quote(world: World) -> None:
    world.publish(WORDS)
    settings(world.config.parent, world.city, "[tutor]\nmax_tokens = 8\n")
    world.run("sync")
    told = world.run("ask", "¿Qué es la papa?").stdout
    assert told.index(WORDS) < told.index("Written by a machine:")


def test_a_missing_model_ends_with_its_code_after_the_quote(world: World) -> None:
    world.publish(WORDS)
    settings(world.config.parent, world.city, '[tutor]\nmodel = "none-such"\n')
    world.run("sync")
    done = world.run("ask", "¿Qué es la papa?")
    assert done.exit_code == 6
    assert WORDS in done.stdout
    assert "none-such" in done.stderr


def test_status_is_for_people_and_for_programs(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    told = world.run("status").stdout
    assert "escuela, version 1, 2 lessons" in told
    found = json.loads(world.run("status", "--json").stdout)
    assert found["node"] == "ocongate"
    assert found["root"] == world.city.versions[0].root
    assert found["free_bytes"] > 0


def test_the_selftest_looks_at_everything(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    done = world.run("selftest")
    assert done.exit_code == 0, done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", name] for name in ("settings", "disk", "database", "objects", "keys", "model")
    ]


def test_the_selftest_lets_the_shipped_model_speak(world: World) -> None:
    world.config.write_text('[node]\nid = "a"\ndata = "data"\n', encoding="utf-8")
    done = world.run("selftest")
    assert done.exit_code == 0, done.stdout
    assert "tutor-es-small" in done.stdout


def test_the_selftest_finds_damage_and_goes_on(world: World) -> None:
    world.publish(WORDS)
    world.run("sync")
    settings(world.config.parent, world.city, '[tutor]\nmodel = "none-such"\n')
    objects = world.config.parent / "data" / "objects"
    next(path for path in objects.rglob("*") if path.is_file()).write_bytes(b"x")
    done = world.run("selftest")
    assert done.exit_code == 4
    assert "FAIL objects   1 damaged" in done.stdout
    assert "FAIL model" in done.stdout


def test_provision_puts_settings_and_keys_in_place(world: World) -> None:
    target = world.folder / "etc" / "node.toml"
    run = CliRunner().invoke
    done = run(main, ["--config", str(target), "provision", str(world.config)])
    assert done.exit_code == 0, done.stderr
    assert "ocongate" in done.stdout
    assert target.read_bytes() == world.config.read_bytes()
    assert (target.parent / "root.json").read_bytes() == world.city.roots[0]
    again = run(main, ["--config", str(target), "provision", str(world.config)])
    assert again.exit_code == 0
    world.config.write_text(world.config.read_text(encoding="utf-8") + "# changed\n")
    third = run(main, ["--config", str(target), "provision", str(world.config)])
    assert third.exit_code == 9
    forced = run(main, ["--config", str(target), "provision", str(world.config), "--force"])
    assert forced.exit_code == 0


def test_provision_writes_nothing_when_the_keys_are_none(world: World) -> None:
    (world.config.parent / "root.json").write_text("{}")
    target = world.folder / "etc" / "node.toml"
    done = CliRunner().invoke(main, ["--config", str(target), "provision", str(world.config)])
    assert done.exit_code == 5
    assert not target.exists()


def test_a_stick_carries_the_settings_of_nodes_and_each_is_taken_once(world: World) -> None:
    stick, target = world.folder / "ROJA", world.folder / "etc" / "node.toml"
    run = CliRunner().invoke

    def provision(*words: str, to: Path = target) -> Result:
        asked = ["--config", str(to), "provision", "--stick", str(stick), *words]
        return run(main, asked)

    stick.mkdir()
    assert "0 nodes: none" in provision().stderr
    for name in ("ocongate", "paucartambo"):
        place = stick / "chaski" / "nodes" / name
        shutil.copytree(world.config.parent, place)
        text = world.config.read_text(encoding="utf-8").replace("ocongate", name)
        (place / "node.toml").write_text(text, encoding="utf-8")
    several = provision()
    assert (several.exit_code, target.exists()) == (3, False)
    assert "ocongate, paucartambo" in several.stderr
    assert provision("--node", "nadie").exit_code == 3
    assert provision("--node", "../x").exit_code == 4
    done = provision("--node", "ocongate")
    assert done.exit_code == 0, done.stderr
    assert "node ocongate" in done.stdout
    assert (target.parent / "root.json").read_bytes() == world.city.roots[0]
    assert provision("--node", "ocongate").exit_code == 0
    other = world.folder / "other" / "node.toml"
    assert provision("--node", "ocongate", to=other).exit_code == 9
    second = provision(to=other)
    assert second.exit_code == 0, second.stderr
    assert "paucartambo" in second.stdout
    assert "0 nodes: none" in provision(to=world.folder / "third" / "node.toml").stderr
    assert run(main, ["--config", str(target), "provision"]).exit_code == 2


def test_provision_needs_a_place(world: World) -> None:
    done = CliRunner().invoke(
        main, ["provision", str(world.config)], env={"CHASKI_NODE_CONFIG": ""}
    )
    assert done.exit_code == 2


def test_help_names_every_command() -> None:
    told = CliRunner().invoke(main, ["--help"]).stdout
    for command in (
        "serve", "sync", "import", "rollback", "history", "status", "search", "ask", "selftest",
        "provision", "tokens",
    ):  # fmt: skip
        assert command in told


def test_a_token_is_made_listed_and_revoked(world: World) -> None:
    assert "nobody may use /v1" in world.run("tokens", "list").stdout
    secret = world.run("tokens", "create", "aula").stdout.strip()
    assert Tokens(world.config.parent / "data" / "tokens.json").find(secret)
    assert world.run("tokens", "create", "aula").exit_code == 3
    assert world.run("tokens", "list").stdout.startswith("aula  made ")
    assert world.run("tokens", "revoke", "aula").exit_code == 0
    assert world.run("tokens", "revoke", "aula").exit_code == 1


def test_an_outcome_as_json_is_the_whole_outcome(world: World) -> None:
    done = world.run("sync", "--json")
    assert msgspec.json.decode(done.stdout)["kind"] == "unreachable"
    assert done.exit_code == 8
