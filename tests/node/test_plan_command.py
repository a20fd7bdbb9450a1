"""What `chaski-node plan` and `pins` say."""

import json
import time
from pathlib import Path

import pytest

from tests.node.city import City
from tests.node.stick import settings
from tests.node.test_cli import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    city = City(tmp_path / "city", time.time())
    return World(tmp_path, city, settings(tmp_path / "node", city))


def test_a_plan_says_what_would_come_and_fetches_no_lesson(world: World) -> None:
    world.publish("La papa crece.")
    done = world.run("plan")
    assert done.exit_code == 0, done.stderr
    first, second, *lessons = done.stdout.splitlines()
    assert first == "version 0 -> 1: 2 lessons new, 0 changed, 0 removed, 0 files"
    assert second.endswith(" bytes")
    assert sorted(line.split("  ")[-1] for line in lessons) == [
        "Olla (added, es, primaria-1)",
        "Papa (added, es, primaria-1)",
    ]
    assert json.loads(world.run("status", "--json").stdout)["version"] == 0
    assert not list((world.config.parent / "data" / "objects").glob("*/*"))


def test_after_a_sync_only_what_changed_would_come_by_its_title(world: World) -> None:
    world.publish("La papa crece.")
    world.run("sync")
    assert world.run("plan").stdout == "version 1 is current: nothing would come\n"
    world.publish("La papa duerme.")
    told = json.loads(world.run("plan", "--json").stdout)
    assert (told["version"], told["installed"], told["changed"], told["added"]) == (2, 1, 1, 0)
    [coming] = told["lessons"]
    assert (coming["title"], coming["topic"], coming["now"]) == ("La papa", "matematica", True)
    assert world.run("sync").stdout.startswith("updated: version 1 -> 2")


def test_a_look_at_the_header_is_not_fetched_again(world: World) -> None:
    world.publish("La papa crece.")
    world.run("plan")
    journal = world.config.parent / "data" / "journal"
    assert sum(path.stat().st_size for path in journal.glob("*.part")) > 40
    assert world.run("sync").exit_code == 0
    assert not list(journal.iterdir())


def test_a_plan_without_a_hub_or_a_road_ends_with_its_code(world: World) -> None:
    assert world.run("plan").exit_code == 8
    text = world.config.read_text(encoding="utf-8").replace('hub = "stick"', 'hub = ""')
    world.config.write_text(text, encoding="utf-8")
    assert world.run("plan").exit_code == 3


def test_a_lesson_is_pinned_listed_and_released(world: World) -> None:
    assert world.run("pins", "list").stdout == "nothing is pinned\n"
    world.publish("La papa crece.")
    world.run("sync")
    assert world.run("pins", "add", "papa").stdout == "lessons/papa.es.json stays as it is\n"
    world.publish("La papa duerme.")
    world.run("sync")
    assert world.run("pins", "list").stdout.endswith(
        "lessons/papa.es.json  a newer revision waits\n"
    )
    [told] = json.loads(world.run("pins", "list", "--json").stdout)
    assert (told["path"], told["newer"]) == ("lessons/papa.es.json", "revision")
    assert "La papa" in world.run("search", "crece").stdout
    done = world.run("pins", "release", "papa")
    assert done.stdout == "lessons/papa.es.json is shown as the channel has it\n"
    assert "nothing found" in world.run("search", "crece").stdout


@pytest.mark.parametrize("command", ["add", "release"])
def test_what_is_not_here_can_be_neither_pinned_nor_released(world: World, command: str) -> None:
    world.publish("La papa crece.")
    world.run("sync")
    done = world.run("pins", command, "nada", "--language", "qu")
    assert done.exit_code == 1
    assert "hint: " in done.stderr
