"""Back to the version before, in one step, and forward again when somebody asks."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from node.store.store import Store
from sync.errors import ChaskiError, ContentError
from tests.node.city import City
from tests.node.stick import settings
from tests.node.test_cli import World
from tests.node.test_updater import Bench, bench, library
from tests.node.village import AT, Village, lesson, village

__all__ = ["bench"]  # the fixture


@pytest.fixture
def place(tmp_path: Path) -> Village:
    made = village(tmp_path)
    made.install(1, [lesson(body=["Uno."]), lesson("vieja")])
    made.install(2, [lesson(body=["Dos."]), lesson("nueva")])
    return made


def shown(place: Village) -> tuple[int, list[str], str]:
    """Version, lessons, and the text of one of them."""
    installed, found = place.store.installed(), place.library.lesson("suma", "es")
    assert installed is not None
    assert found is not None
    cards = place.library.lessons("matematica", "es")
    return installed.version, sorted(card.id for card in cards), found.markdown.strip()


def test_a_rollback_shows_the_version_before_and_its_index(place: Village) -> None:
    place.store.turn_back(place.blobs.get, AT + 60)
    assert shown(place) == (1, ["suma", "vieja"], "Uno.")
    assert place.search.find("uno", "es")
    assert not place.search.find("dos", "es")
    held = place.store.held()
    assert held is not None
    assert held.version == 2


def test_the_floors_stay_as_high_as_they_were(place: Village) -> None:
    before = place.store.trust()
    place.store.turn_back(place.blobs.get, AT)
    assert place.store.trust() == before


def test_there_is_one_step_back_and_one_forward(place: Village) -> None:
    with pytest.raises(ChaskiError, match="no version is held back"):
        place.store.turn_back(place.blobs.get, AT, forward=True)
    place.store.turn_back(place.blobs.get, AT)
    with pytest.raises(ChaskiError, match="no version before"):
        place.store.turn_back(place.blobs.get, AT)
    place.store.turn_back(place.blobs.get, AT, forward=True)
    assert shown(place) == (2, ["nueva", "suma"], "Dos.")
    assert place.store.held() is None
    place.store.turn_back(place.blobs.get, AT)
    assert shown(place)[0] == 1


def test_the_objects_of_both_versions_are_kept(place: Village) -> None:
    place.store.turn_back(place.blobs.get, AT)
    place.blobs.collect(place.store.kept())
    place.store.turn_back(place.blobs.get, AT, forward=True)
    assert shown(place)[0] == 2


def test_a_node_with_one_version_has_nowhere_to_go(tmp_path: Path) -> None:
    made = village(tmp_path)
    with pytest.raises(ChaskiError, match="no version before"):
        made.store.turn_back(made.blobs.get, AT)
    made.install(1, [lesson()])
    with pytest.raises(ChaskiError, match="no version before"):
        made.store.turn_back(made.blobs.get, AT)


def test_a_damaged_object_stops_a_rollback_and_changes_nothing(place: Village) -> None:
    old = place.store.before()
    assert old is not None
    entry = next(e for e in old.manifest.entries if "vieja" in e.path)
    place.blobs.path(entry.hash).write_bytes(b"x")
    with pytest.raises(ContentError, match="damaged"):
        place.store.turn_back(place.blobs.get, AT)
    assert shown(place) == (2, ["nueva", "suma"], "Dos.")
    assert place.store.held() is None


class PowerCut(Exception):  # noqa: N818 - it is no error of ours
    """The machine went off."""


@pytest.mark.parametrize("at", ["lessons", "version", "held", "commit"])
def test_a_rollback_that_is_cut_off_never_happened(place: Village, at: str) -> None:
    def step(name: str) -> None:
        if name == at:
            raise PowerCut

    with pytest.raises(PowerCut):
        place.store.turn_back(place.blobs.get, AT, step=step)
    assert shown(place) == (2, ["nueva", "suma"], "Dos.")
    assert place.store.held() is None


def test_another_program_may_roll_back_while_this_one_reads(place: Village) -> None:
    other = Store(place.folder / "node.db")
    other.turn_back(place.blobs.get, AT)
    other.close()
    assert shown(place) == (1, ["suma", "vieja"], "Uno.")


def test_a_database_of_before_learns_to_hold_versions(place: Village) -> None:
    place.store.close()
    db = sqlite3.connect(place.folder / "node.db")
    db.execute("DROP TABLE held")
    db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm002_held'")
    db.commit()
    db.close()
    again = Store(place.folder / "node.db")
    again.turn_back(place.blobs.get, AT)
    assert [one.version for one in again.history()] == [1, 2, 1]
    again.close()


# Against a hub that goes on offering it


async def two_versions(bench: Bench) -> None:
    bench.city.publish(library("Uno."))
    await bench.updater.sync()
    bench.city.publish(library("Dos."))
    await bench.updater.sync()
    bench.place.store.turn_back(bench.place.blobs.get, AT)


async def test_a_sync_does_not_undo_a_rollback(bench: Bench) -> None:
    await two_versions(bench)
    bench.restart()
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.to_version, outcome.offered_version) == ("held", 1, 2)
    assert "--to-latest" in outcome.message
    assert outcome.good
    assert "Uno." in bench.text()


async def test_a_renewed_head_does_not_undo_it_either(bench: Bench) -> None:
    await two_versions(bench)
    bench.city.now += 86_400
    bench.city.sign()
    assert (await bench.updater.sync()).kind == "held"


async def test_a_newer_version_ends_it(bench: Bench) -> None:
    await two_versions(bench)
    bench.city.publish(library("Tres."))
    outcome = await bench.updater.sync()
    assert (outcome.kind, outcome.from_version, outcome.to_version) == ("updated", 1, 3)
    assert bench.place.store.held() is None
    bench.place.store.turn_back(bench.place.blobs.get, AT)
    assert "Uno." in bench.text()


async def test_going_forward_again_is_current(bench: Bench) -> None:
    await two_versions(bench)
    bench.place.store.turn_back(bench.place.blobs.get, AT, forward=True)
    assert (await bench.updater.sync()).kind == "current"
    assert "Dos." in bench.text()


# The command line


def test_one_command_goes_back_and_one_forward(tmp_path: Path) -> None:
    city = City(tmp_path / "city", time.time())
    world = World(tmp_path, city, settings(tmp_path / "node", city))
    assert world.run("rollback").exit_code == 1
    world.publish("La papa crece.")
    world.run("sync")
    world.publish("La papa duerme.")
    world.run("sync")
    back = world.run("rollback")
    assert back.stdout.splitlines()[0] == "version 1 is shown"
    assert "papa" in world.run("search", "crece").stdout
    assert world.run("sync").stdout.startswith("held: version 1 -> 1")
    told = json.loads(world.run("history", "--json").stdout)
    assert [one["version"] for one in told["shown"]] == [1, 2, 1]
    assert told["held"]["version"] == 2
    assert "version 2 is held back" in world.run("history").stdout
    assert world.run("rollback", "--to-latest").stdout == "version 2 is shown\n"
    assert world.run("sync").stdout.startswith("current: version 2 -> 2")
