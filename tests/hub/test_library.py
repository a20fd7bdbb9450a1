"""The library keeps what it was told, in order, all or nothing."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hub.brief import Brief
from hub.errors import UnknownError
from hub.library import Library
from hub.records import Version
from sync.canonical import digest
from sync.errors import BusyError, ContentError
from tests.hub.fakes import CHANNEL, a_lesson

BRIEF = Brief("matematica", "Restar", "primaria-1", "es", ("resta",))


def test_it_speaks_wal_and_opens_again_as_it_was(tmp_path: Path) -> None:
    with Library(tmp_path / "hub.db") as first:
        first.set_channel(CHANNEL, 1.0)
    with Library(tmp_path / "hub.db") as again:
        assert again.db.journal_mode == "wal"
        assert again.channel("escuela") == CHANNEL
        assert again.channel("otra") is None


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_text("not a database" * 100)
    with pytest.raises(ContentError, match=r"hub\.db"):
        Library(path)


def test_a_transaction_that_fails_leaves_nothing(library: Library) -> None:
    def fail() -> None:
        with library.transaction():
            library.add_candidate("import", a_lesson(), 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert library.candidates() == []


def test_a_second_writer_that_waits_too_long_is_told(tmp_path: Path, library: Library) -> None:
    with (
        Library(tmp_path / "hub.db", busy_seconds=0.0) as other,
        library.transaction(),
        pytest.raises(BusyError),
        other.transaction(),
    ):
        pass


def test_another_mistake_of_sqlite_stays_a_defect(library: Library) -> None:
    with pytest.raises(sqlite3.OperationalError), library.transaction():
        library.db.execute("SELECT * FROM nowhere")


def test_a_lesson_has_revisions_and_the_newest_is_current(library: Library) -> None:
    candidate = library.add_candidate("import", a_lesson(), 1.0)
    assert library.add_revision(a_lesson(), candidate, 1.0) == 1
    assert library.add_revision(a_lesson(title="Otra"), candidate, 2.0) == 2
    assert library.add_revision(a_lesson(language="en"), candidate, 2.0) == 1
    assert library.lesson("sumar", "es").lesson.title == "Otra"
    assert [r.revision for r in library.history("sumar", "es")] == [2, 1]
    assert [(r.lesson.language, r.revision) for r in library.lessons()] == [("en", 1), ("es", 2)]


def test_an_unknown_lesson_or_language_is_named(library: Library) -> None:
    with pytest.raises(UnknownError, match="'sumar'"):
        library.lesson("sumar", "es")
    library.add_revision(a_lesson(), library.add_candidate("import", a_lesson(), 1.0), 1.0)
    with pytest.raises(UnknownError, match="'qu', only in es"):
        library.lesson("sumar", "qu")


def test_the_review_list_puts_the_best_score_first_and_the_unscored_last(library: Library) -> None:
    scores = (0.2, None, 0.9)
    numbers = [library.add_candidate("import", a_lesson(), 1.0, score=s) for s in scores]
    library.add_candidate("import", a_lesson(), 1.0, state="stopped", score=1.0)
    waiting = [c.id for c in library.candidates("waiting")]
    assert waiting == [numbers[2], numbers[0], numbers[1]]
    assert len(library.candidates()) == 4
    assert library.counts() == {
        "lessons": 0, "waiting": 3, "approved": 0, "rejected": 0, "stopped": 1,
    }  # fmt: skip


def test_drafts_are_counted_by_what_was_asked_for(library: Library) -> None:
    library.add_brief(BRIEF, 4, 1.0)
    number = library.add_brief(BRIEF, 2, 2.0)
    library.add_brief(Brief("salud", "Restar", "primaria-1", "es"), 9, 2.0)
    assert library.drafts_of(BRIEF) == 6
    assert library.brief(number) == BRIEF


def test_a_version_is_kept_once(library: Library) -> None:
    version = Version("escuela", 1, digest(b"x"), 3, 100, 5.0)
    library.add_version(version)
    library.add_version(version)
    assert library.versions("escuela") == [version]


def test_missed_searches_are_counted_over_nodes_until_a_brief_answers_them(
    library: Library,
) -> None:
    for node, query in (("a", "Los  Volcanes"), ("b", "los volcanes"), ("a", "ríos"), ("a", " ")):
        library.add_missed_search(query, "es", node, 5.0)
    library.add_missed_search("los volcanes", "es", "a", 7.0)
    volcanoes, rivers = library.missed_searches()
    assert (volcanoes.query, volcanoes.times, volcanoes.nodes, volcanoes.last) == (
        "los volcanes", 3, 2, 7.0,
    )  # fmt: skip
    library.settle_missed((volcanoes.query,), "es", library.add_brief(BRIEF, 1, 8.0))
    assert library.missed_searches() == [rivers]


def test_missed_searches_are_bounded_in_number_and_length(tmp_path: Path) -> None:
    with Library(tmp_path / "small.db", max_missed=2) as library:
        for n, query in enumerate(("often", "often", "old", "new" * 1000)):
            library.add_missed_search(query, "es", "a", float(n))
        missed = library.missed_searches()
    assert [(m.query[:5], len(m.query)) for m in missed] == [("often", 5), ("newne", 200)]


def test_a_vector_is_kept_for_its_encoder_only(library: Library) -> None:
    vector = np.array([0.6, 0.8], np.float32)
    library.keep_vector(digest(b"x"), "one", vector)
    kept = library.vector(digest(b"x"), "one")
    assert kept is not None
    assert kept.tolist() == vector.tolist()
    assert library.vector(digest(b"x"), "two") is None
