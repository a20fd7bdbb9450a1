"""Index: the rows that make lessons listed and found. Written only inside an install.

* A lesson whose object did not change keeps its rows; the cost is that of the changes.
* Words go in as stems (see `words.py`), one full-text table a language.
* `VERSION` goes up whenever passages or stems come out otherwise: words of a query are only
  found among rows that the same rules wrote.
"""

import sqlite3
from collections.abc import Callable

from node.store.passages import passages
from node.store.schema import LANGUAGES
from node.store.words import stems
from sync import lesson as lessons
from sync.canonical import Digest
from sync.errors import ContentError
from sync.manifest import Entry, Manifest

VERSION = 2


def replace_lessons(
    db: sqlite3.Connection,
    manifest: Manifest,
    read: Callable[[Digest], bytes],
    step: Callable[[str], None],
) -> None:
    """Makes the rows of `db` those of `manifest`, within the caller's transaction.

    `read` gives an object's bytes; `step` is called before each lesson. Raises ContentError
    for an object that is no lesson, or not the one its path says.
    """
    if made_by(db) != VERSION:
        for table in ("lessons", *(f"stems_{language}" for language in LANGUAGES)):
            db.execute(f"DELETE FROM {table}")  # noqa: S608
    wanted = {e.hash: e for e in manifest.entries if e.kind == "lesson"}
    held = {
        hash_: (key, language)
        for key, language, hash_ in db.execute("SELECT key, language, hash FROM lessons")
    }
    for hash_ in held.keys() - wanted.keys():
        key, language = held[hash_]
        db.execute(
            f"DELETE FROM stems_{language} WHERE rowid IN"  # noqa: S608
            " (SELECT key FROM passages WHERE lesson = ?)",
            (key,),
        )
        db.execute("DELETE FROM lessons WHERE key = ?", (key,))
    for hash_, entry in wanted.items():
        if hash_ not in held:
            step(f"lesson {entry.path}")
            _add_lesson(db, entry, read(hash_))
        else:
            db.execute("UPDATE lessons SET priority = ? WHERE hash = ?", (entry.priority, hash_))
    db.execute(f"PRAGMA user_version = {VERSION}")


def made_by(db: sqlite3.Connection) -> int:
    """The version of this module that wrote the rows; 0 for none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _add_lesson(db: sqlite3.Connection, entry: Entry, data: bytes) -> None:
    lesson = lessons.lesson_from_bytes(data)
    if lesson.path != entry.path:
        raise ContentError(f"object at {entry.path} holds lesson {lesson.path}")
    language = lesson.language
    title = " ".join(stems(lesson.title, language))
    keywords = " ".join(stems(" ".join(lesson.keywords), language))
    topic = " ".join(stems(lesson.topic, language))
    key = db.execute(
        "INSERT INTO lessons (id, language, title, summary, topic, grade, priority, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            lesson.id,
            language,
            lesson.title,
            lesson.summary,
            lesson.topic,
            lesson.grade,
            entry.priority,
            entry.hash,
        ),
    ).lastrowid
    for passage in passages(lesson):
        row = db.execute(
            "INSERT INTO passages (lesson, place, block, text) VALUES (?, ?, ?, ?)",
            (key, passage.place, passage.block, passage.text),
        ).lastrowid
        db.execute(
            f"INSERT INTO stems_{language} (rowid, title, keywords, topic, heading, body)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                row,
                title,
                keywords,
                topic,
                " ".join(stems(passage.heading, language)),
                " ".join(stems(passage.text, language)),
            ),
        )
