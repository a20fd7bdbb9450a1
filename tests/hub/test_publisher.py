"""Versions come out whole or not at all, and a node can install each of them."""

from pathlib import Path

import pytest

from hub.config import PublisherTable
from hub.errors import UnknownError
from hub.library import Library
from hub.publisher import DAY, GRADES, Publisher, priority
from hub.shelf import Shelf
from sync import keys
from sync.errors import BusyError, SettingsError, TrustError
from sync.signing import Publisher as Signing
from tests.hub.fakes import CHANNEL, Clock, a_lesson
from tests.hub.publishing import CHANNEL_ID, FailingShelf, Hub, PowerCut, Village


@pytest.fixture
def hub(tmp_path: Path, library: Library, clock: Clock) -> Hub:
    return Hub(tmp_path, library, clock)


def test_the_first_version_installs_from_nothing(hub: Hub, clock: Clock) -> None:
    done = hub.publisher().publish()
    assert (done.state, done.version, done.lessons) == ("published", 1, 1)
    village = Village(hub.shelf, clock)
    assert village.sync().version == 1
    assert village.titles() == {"Sumar"}


def test_nothing_new_changes_nothing(hub: Hub) -> None:
    hub.publisher().publish()
    before = hub.files()
    assert hub.publisher().publish().state == "nothing"
    assert hub.files() == before
    assert len(hub.library.versions(CHANNEL_ID)) == 1


def test_an_edit_travels_as_a_delta_that_is_ready_before_anybody_asks(
    hub: Hub, clock: Clock
) -> None:
    for n in range(30):
        hub.write(a_lesson(f"l-{n}", title=f"Lección {n}", body=(f"texto {n} " * 50,)))
    first = hub.publisher().publish()
    village = Village(hub.shelf, clock)
    village.sync()
    hub.write(a_lesson(title="Sumar bien"))
    done = hub.publisher().publish()
    assert done.version == 2
    whole, delta = done.offers
    assert (whole.base, delta.base) == (None, first.root)
    assert delta.size * 2 < whole.size
    before = hub.files()
    assert village.sync().version == 2
    assert "Sumar bien" in village.titles()
    assert hub.files() == before


def test_bundles_are_kept_ready_from_the_last_versions_only(
    tmp_path: Path, library: Library, clock: Clock
) -> None:
    hub = Hub(tmp_path, library, clock, prebuilt=2)
    roots = [hub.publisher().publish().root]
    old = Village(hub.shelf, clock)
    old.sync()
    for n in range(4):
        hub.write(a_lesson(title=f"Sumar {n}"))
        done = hub.publisher().publish()
        roots.append(done.root)
    assert [offer.base for offer in done.offers] == [None, roots[3], roots[2]]
    targets = {Path(name).stem for name in hub.files() if name.startswith("offers/")}
    assert targets == set(roots[2:])
    assert old.sync().version == 5
    assert old.titles() == {"Sumar 3"}


def test_a_version_that_goes_back_to_an_old_content_is_a_new_version(
    hub: Hub, clock: Clock
) -> None:
    village = Village(hub.shelf, clock)
    for title in ("Sumar", "Otra", "Sumar"):
        hub.write(a_lesson(title=title))
        hub.publisher().publish()
        village.sync()
    assert [v.version for v in hub.library.versions(CHANNEL_ID)] == [3, 2, 1]
    assert village.titles() == {"Sumar"}


def test_a_power_cut_at_any_step_leaves_the_old_version_whole(
    tmp_path: Path, library: Library, clock: Clock
) -> None:
    hub = Hub(tmp_path, library, clock)
    hub.publisher().publish()
    hub.write(a_lesson("restar", title="Restar"))
    old_head = hub.shelf.head(CHANNEL_ID)
    at = 0
    while True:
        at += 1
        try:
            hub.publisher(FailingShelf(tmp_path / "published", at)).publish()
        except PowerCut:
            assert hub.shelf.head(CHANNEL_ID) == old_head
            village = Village(hub.shelf, clock)
            assert village.sync().version == 1
            assert village.titles() == {"Sumar"}
            continue
        break
    assert at == 3 + 1 + 1 + 1  # channel and two lessons, manifest, head; then it held
    village = Village(hub.shelf, clock)
    assert village.sync().version == 2
    assert village.titles() == {"Sumar", "Restar"}


def test_a_crash_after_the_head_moved_is_mended_by_the_next_publication(hub: Hub) -> None:
    hub.publisher().publish()
    hub.library.db.execute("DELETE FROM versions")
    assert hub.publisher().publish().state == "nothing"
    (version,) = hub.library.versions(CHANNEL_ID)
    assert (version.version, version.lessons) == (1, 1)


def test_an_old_head_is_signed_again_without_a_new_version(hub: Hub, clock: Clock) -> None:
    hub.publisher().publish()
    clock.now += 46 * DAY
    done = hub.publisher().publish()
    assert (done.state, done.version) == ("renewed", 1)
    clock.now += 60 * DAY
    assert Village(hub.shelf, clock).sync().version == 1
    assert hub.publisher().publish().state == "renewed"


def test_a_hub_that_slept_past_its_heads_life_publishes_again(hub: Hub, clock: Clock) -> None:
    hub.publisher().publish()
    clock.now += 400 * DAY
    hub.write(a_lesson(title="Tarde"))
    assert hub.publisher().publish().version == 2
    assert Village(hub.shelf, clock).sync().version == 2


def test_keys_that_nodes_do_not_know_never_sign_a_head_in_place(hub: Hub, tmp_path: Path) -> None:
    hub.publisher().publish()
    keys.create(tmp_path / "others")
    hub.write(a_lesson(title="Otra"))
    before = hub.shelf.head(CHANNEL_ID)
    with pytest.raises(TrustError):
        hub.publisher(keys_folder="others").publish()
    assert hub.shelf.head(CHANNEL_ID) == before


def test_without_keys_a_channel_or_lessons_it_says_what_to_do(
    tmp_path: Path, library: Library, clock: Clock
) -> None:
    shelf = Shelf(tmp_path / "published")
    publisher = Publisher(
        library, shelf, Signing(tmp_path / "keys"), CHANNEL_ID, PublisherTable(), clock
    )
    with pytest.raises(SettingsError, match="no keys"):
        publisher.publish()
    keys.create(tmp_path / "keys")
    shelf.put_root(1, Signing(tmp_path / "keys").create_root(clock.now))
    with pytest.raises(UnknownError, match="no channel 'escuela'"):
        publisher.publish()
    library.set_channel(CHANNEL, clock.now)
    with pytest.raises(UnknownError, match="no lesson is approved"):
        publisher.publish()


@pytest.mark.fault(22, "two that publish")
def test_two_cannot_publish_at_once(hub: Hub) -> None:
    with hub.shelf.publishing(), pytest.raises(BusyError):
        hub.publisher().publish()
    assert hub.publisher().publish().version == 1


def test_lower_grades_travel_first_then_topics_in_the_channels_order() -> None:
    order = [
        priority(a_lesson(grade=grade, topic=topic), CHANNEL)
        for grade in GRADES
        for topic in ("matematica", "salud", "unknown")
    ]
    assert order == sorted(set(order))
    assert 1 <= min(order) <= max(order) <= 99
