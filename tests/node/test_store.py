"""The store and the library over it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.store.store import KEEP_SYNCS, Store, Trust
from sync.canonical import digest
from sync.errors import ContentError, SpaceError
from sync.lesson import Channel
from sync.manifest import Entry, manifest
from sync.trust import Floors
from tests.node.village import AT, Village, channel, lesson, release, village


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    made = village(tmp_path)
    yield made
    made.store.close()


def test_an_empty_node_has_nothing_and_says_so(place: Village) -> None:
    assert place.store.installed() is None
    assert place.store.manifest() is None
    assert place.store.trust() is None
    assert place.store.last_sync() is None
    assert place.store.kept() == set()
    assert place.library.channel() is None
    assert place.library.topics("es") == []
    assert place.library.lesson("suma", "es") is None
    assert place.search.find("suma", "es") == []


def test_an_install_shows_topics_lessons_and_texts(place: Village) -> None:
    made = place.install(3, [lesson(), lesson("resta", title="A restar"), lesson("suma", "en")])
    installed = place.store.installed()
    assert installed
    assert (installed.version, installed.root, installed.channel) == (
        3, made.manifest.root, "escuela",
    )  # fmt: skip
    assert place.store.manifest() == made.manifest
    assert place.store.trust() == made.trust
    assert place.store.lessons() == 2
    assert [(t.id, t.count, t.icon) for t in place.library.topics("es")] == [
        ("matematica", 2, "📘")
    ]
    assert [c.title for c in place.library.lessons("matematica", "es")] == ["A restar", "La suma"]
    found = place.library.lesson("suma", "es")
    assert found
    assert found.markdown == "Sumar es juntar papas."


def test_topics_are_named_in_the_readers_language_or_the_next_best(place: Village) -> None:
    place.install(1, [lesson()])
    assert [place.library.topics(lang)[0].title for lang in ("es", "en", "qu")] == [
        "Matematica", "matematica (en)", "Matematica",
    ]  # fmt: skip


def test_a_list_has_each_lesson_once_in_the_best_language(place: Village) -> None:
    place.install(1, [lesson(), lesson("suma", "qu", title="Yapay"), lesson("b", "en")])
    assert [(c.id, c.language) for c in place.library.lessons("matematica", "qu")] == [
        ("b", "en"), ("suma", "qu"),
    ]  # fmt: skip
    assert place.library.languages("suma") == ["es", "qu"]
    card = place.library.card("b", "es")
    assert card
    assert card.language == "en"
    assert place.library.card("none", "es") is None


def test_lessons_are_in_order_of_priority(place: Village) -> None:
    made = release(place.blobs, 1, [lesson("b", title="B"), lesson("a", title="A")])
    entries = [
        Entry(e.path, e.hash, e.size, e.kind, 10 if "/b." in e.path else 50)
        for e in made.manifest.entries
    ]
    first = replace(made, manifest=manifest("escuela", entries))
    place.store.install(first, place.blobs.get, AT)
    assert [c.id for c in place.library.lessons("matematica", "es")] == ["b", "a"]
    place.store.install(made, place.blobs.get, AT)
    assert [c.id for c in place.library.lessons("matematica", "es")] == ["a", "b"]


def test_a_damaged_lesson_is_an_error_with_a_hint_and_not_a_wrong_page(place: Village) -> None:
    made = place.install(1, [lesson()])
    path = place.blobs.path(made.manifest.by_path()["lessons/suma.es.json"].hash)
    path.write_bytes(path.read_bytes().replace(b"papas", b"lanas"))
    with pytest.raises(ContentError) as caught:
        place.library.lesson("suma", "es")
    assert "sync" in caught.value.hint
    assert place.library.lessons("matematica", "es")
    assert [e.path for e in place.blobs.damaged(made.manifest)] == ["lessons/suma.es.json"]


def test_a_lesson_at_the_path_of_another_is_not_installed(place: Village) -> None:
    made = release(place.blobs, 1, [lesson()])
    entries = [
        Entry(e.path.replace("suma", "resta"), e.hash, e.size, e.kind)
        for e in made.manifest.entries
    ]
    with pytest.raises(ContentError, match=r"resta.*holds lesson lessons/suma"):
        place.store.install(
            replace(made, manifest=manifest("escuela", entries)), place.blobs.get, AT
        )
    assert place.store.installed() is None


def test_a_version_without_a_channel_is_not_installed(place: Village) -> None:
    made = release(place.blobs, 1, [lesson()])
    entries = [e for e in made.manifest.entries if e.kind == "lesson"]
    with pytest.raises(ContentError, match=r"no channel\.json"):
        place.store.install(
            replace(made, manifest=manifest("escuela", entries)), place.blobs.get, AT
        )


STEPS = ("lessons", "lesson lessons/suma.es.json", "version", "floors", "commit")


@pytest.mark.parametrize("step", STEPS)
def test_an_install_that_fails_at_any_step_changes_nothing(place: Village, step: str) -> None:
    before = place.install(1, [lesson(), lesson("resta")])
    new = release(place.blobs, 2, [lesson(body=["Ahora se junta quinua."])])

    def fail(name: str) -> None:
        if name == step:
            raise SpaceError("full")

    with pytest.raises(SpaceError):
        place.store.install(new, place.blobs.get, AT, fail)
    installed = place.store.installed()
    assert installed
    assert (installed.version, place.store.trust()) == (1, before.trust)
    assert place.store.manifest() == before.manifest
    assert place.search.find("papas", "es")
    assert not place.search.find("quinua", "es")
    place.store.install(new, place.blobs.get, AT)
    assert place.search.find("quinua", "es")


def test_the_objects_of_this_version_and_the_last_are_kept(place: Village) -> None:
    made = [place.install(n, [lesson(body=[f"Texto {n}."])]) for n in (1, 2, 3)]
    assert place.store.kept() == {e.hash for one in made[1:] for e in one.manifest.entries}
    assert place.blobs.collect(place.store.kept()) == 1
    assert list(place.blobs.missing(made[0].manifest))
    assert not list(place.blobs.missing(made[2].manifest))


def test_a_reader_sees_one_version_throughout_a_snapshot(place: Village) -> None:
    place.install(1, [lesson()])
    with place.store.snapshot() as db:
        before = db.execute("SELECT count(*) FROM lessons").fetchone()
        place.install(2, [lesson(), lesson("resta")])
        assert db.execute("SELECT count(*) FROM lessons").fetchone() == before
    assert place.store.lessons() == 2


def test_readers_cannot_write(place: Village) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        place.store.reader().execute("DELETE FROM lessons")


def test_what_the_judge_accepted_is_remembered(place: Village) -> None:
    trust = Trust(digest(b"a"), b"root", Floors(root=2, timestamp=9, signed_at=AT, seen="a.b.c"))
    place.store.advance(trust)
    assert place.store.trust() == trust
    again = Store(place.folder / "node.db")
    assert again.trust() == trust
    again.close()


def test_only_the_newest_syncs_are_kept(place: Village) -> None:
    for number in range(KEEP_SYNCS + 5):
        place.store.record_sync(AT, "updated", b'{"number":%d}' % number)
    rows = place.store.reader().execute("SELECT count(*) FROM syncs").fetchone()
    assert rows == (KEEP_SYNCS,)
    assert place.store.last_sync() == b'{"number":%d}' % (KEEP_SYNCS + 4)


def test_of_many_quiet_syncs_the_last_is_kept(place: Village) -> None:
    place.store.record_sync(AT, "updated", b"1")
    for number in (2, 3, 4):
        place.store.record_sync(AT, "current", b"%d" % number)
    rows = place.store.reader().execute("SELECT outcome FROM syncs ORDER BY id").fetchall()
    assert rows == [("1",), ("4",)]
    assert (place.store.last_sync(), place.store.last_sync("updated")) == (b"4", b"1")


def test_an_index_that_another_program_wrote_is_written_anew(place: Village) -> None:
    place.install(1, [lesson()])
    assert not place.store.reindex(place.blobs.get)
    db = sqlite3.connect(place.folder / "node.db")
    with db:
        db.execute("UPDATE stems_es SET body = 'otherwise'")
        db.execute("PRAGMA user_version = 999")
    db.close()
    assert not place.search.find("papas", "es")
    assert place.store.reindex(place.blobs.get)
    assert place.search.find("papas", "es")
    assert not place.store.reindex(place.blobs.get)


def test_a_file_that_is_no_database_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"not a database " * 100)
    with pytest.raises(ContentError) as caught:
        Store(tmp_path / "node.db")
    assert "sync again" in caught.value.hint


@pytest.mark.fault(23, "the node")
def test_a_database_of_a_newer_program_is_refused(place: Village) -> None:
    db = sqlite3.connect(place.folder / "node.db")
    with db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('node', 'm999_future', '2030-01-01')"
        )
    db.close()
    with pytest.raises(ContentError, match="newer program"):
        Store(place.folder / "node.db")


def test_damage_inside_the_database_is_found(place: Village, tmp_path: Path) -> None:
    place.install(1, [lesson(f"l-{n}", body=["texto " * 500]) for n in range(20)])
    place.store.check()
    place.store.close()
    path = tmp_path / "node.db"
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 8192 * 4096, len(data), 4096):  # the beginning of each page
        data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)
    again = Store(path)
    with pytest.raises(ContentError):
        again.check()
    again.close()


def test_a_full_disk_is_an_error_in_words_and_changes_nothing(place: Village) -> None:
    place.install(1, [lesson()])
    place.store.close()
    small = SmallStore(place.folder / "node.db")
    made = release(place.blobs, 2, [lesson(f"l-{n}", body=["x " * 2000]) for n in range(50)])
    with pytest.raises(SpaceError) as caught:
        small.install(made, place.blobs.get, AT)
    assert "free some space" in caught.value.hint
    installed = small.installed()
    assert installed
    assert installed.version == 1
    small.close()


class SmallStore(Store):
    """A store on a disk without room."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
        self._writer.execute(f"PRAGMA max_page_count = {pages + 4}")


def test_a_changed_channel_is_shown(place: Village) -> None:
    place.install(1, [lesson()])
    other = Channel("escuela", {"es": "Otra"}, {"es": "d"}, "CC-BY-4.0", channel().topics)
    place.store.install(release(place.blobs, 2, [lesson()], other), place.blobs.get, AT)
    found = place.library.channel()
    assert found
    assert found.titles == {"es": "Otra"}
