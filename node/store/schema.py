"""The node's database: its tables, and how connections to it are made.

* `node.db` is SQLite in WAL mode. One connection writes; readers are read-only.
* The writer syncs to the disk at every commit (`synchronous=FULL`): what is reported as
  done survives the power cut.
* The schema moves forward by migrations only; a released one never changes.
* A database made by a newer program is refused, not guessed at.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import get_args

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from node.store.frozen import Frozen
from sync.database import plain
from sync.errors import ContentError, SpaceError
from sync.lesson import Language

BUSY_SECONDS = 10.0
LANGUAGES: tuple[Language, ...] = get_args(Language)

migrations = Migrations("node")


@migrations()
def m001_first(db: Database) -> None:
    """Trust, versions, lessons, passages with one full-text index a language, syncs."""
    for statement in _FIRST:
        db.conn.execute(statement)


@migrations()
def m002_held(db: Database) -> None:
    """The version that was rolled back from, which a sync does not install again."""
    db.conn.execute(
        "CREATE TABLE held (id INTEGER PRIMARY KEY CHECK (id = 1),"
        " version INTEGER NOT NULL, root TEXT NOT NULL)"
    )


@migrations()
def m003_place(db: Database) -> None:
    """How far the road's announcements were read, moved with what came of them."""
    db.conn.execute("CREATE TABLE place (id INTEGER PRIMARY KEY CHECK (id = 1), place BLOB)")


@migrations()
def m004_archives(db: Database) -> None:
    """Archives that came out as they were published, and the CRC-32 of their members."""
    db.conn.execute(
        "CREATE TABLE archives (key INTEGER PRIMARY KEY AUTOINCREMENT,"
        " digest TEXT NOT NULL UNIQUE, checks BLOB NOT NULL)"
    )


@migrations()
def m005_partial(db: Database) -> None:
    """Versions of which only a part is here, and what the whole of them will be."""
    db.conn.execute(
        "CREATE TABLE partial (version_id INTEGER PRIMARY KEY REFERENCES versions(id),"
        " root TEXT NOT NULL, manifest BLOB NOT NULL,"
        " lessons_here INTEGER NOT NULL, lessons INTEGER NOT NULL)"
    )


@migrations()
def m006_pins(db: Database) -> None:
    """Lessons that a class works with: the revision that stays, and the files it uses."""
    db.conn.execute(
        "CREATE TABLE pins (path TEXT PRIMARY KEY, entries TEXT NOT NULL, at REAL NOT NULL)"
    )


@migrations()
def m007_delivery(db: Database) -> None:
    """What came down on the newest day, what was looked for in vain, and whether to wait."""
    for statement in _DELIVERY:
        db.conn.execute(statement)


_DELIVERY = (
    # Days of the node's clock since 1970, in local time.
    """CREATE TABLE allowance (
        id INTEGER PRIMARY KEY CHECK (id = 1), day INTEGER NOT NULL, bytes INTEGER NOT NULL)""",
    """CREATE TABLE missed (
        words TEXT NOT NULL, language TEXT NOT NULL, times INTEGER NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (words, language))""",
    "CREATE TABLE paused (id INTEGER PRIMARY KEY CHECK (id = 1), at REAL NOT NULL)",
)

_FIRST = (
    # What the judge of signatures must remember: the root keys and the version floors.
    # `anchor` is the digest of the root file that the operator gave; another one starts anew.
    """CREATE TABLE trust (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        anchor TEXT NOT NULL, metadata BLOB NOT NULL, floors TEXT NOT NULL)""",
    # Every version that was ever current; the manifest of old ones is dropped.
    """CREATE TABLE versions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL, version INTEGER NOT NULL, root TEXT NOT NULL,
        applied_at REAL NOT NULL, manifest BLOB)""",
    """CREATE TABLE current (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        version_id INTEGER NOT NULL REFERENCES versions(id),
        channel_hash TEXT NOT NULL)""",
    """CREATE TABLE lessons (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL, language TEXT NOT NULL,
        title TEXT NOT NULL, summary TEXT NOT NULL, topic TEXT NOT NULL, grade TEXT NOT NULL,
        priority INTEGER NOT NULL, hash TEXT NOT NULL,
        UNIQUE (id, language))""",
    "CREATE INDEX lessons_topic ON lessons (topic, priority, title)",
    """CREATE TABLE passages (
        key INTEGER PRIMARY KEY,
        lesson INTEGER NOT NULL REFERENCES lessons(key) ON DELETE CASCADE,
        place TEXT NOT NULL, block INTEGER NOT NULL, text TEXT NOT NULL)""",
    "CREATE INDEX passages_lesson ON passages (lesson)",
    # The outcomes of the last syncs.
    """CREATE TABLE syncs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL)""",
    # The words are folded and stemmed by `words.py` before they get here, one language a
    # table, so that rarity is counted within a language.
    *(
        f"CREATE VIRTUAL TABLE stems_{language} USING fts5(title, keywords, topic, heading, body, "
        "tokenize = 'unicode61 remove_diacritics 2')"
        for language in LANGUAGES
    ),
    *(
        f"CREATE VIRTUAL TABLE vocabulary_{language} USING fts5vocab(stems_{language}, 'row')"
        for language in LANGUAGES
    ),
)


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, migrated to the newest schema.

    Raises ContentError when `path` is no database of ours, or of a newer program.
    """
    with contextlib.ExitStack() as undo:  # what is left open would lock the file
        try:
            db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            undo.callback(db.close)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            _migrate(db, path)
        except sqlite3.DatabaseError as error:
            raise damaged(path, error) from error
        undo.pop_all()
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises ContentError as `open_writer`."""
    try:
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error
    return db


def open_frozen(path: Path) -> Frozen:
    """The database of a disk that takes no byte, if it is of this program.

    Raises ContentError as `open_writer`; SpaceError when it cannot be read, or would have to be
    migrated.
    """
    try:
        frozen = Frozen(path)
        with contextlib.closing(frozen.reader()) as db:
            behind = _pending(db, path)
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error
    if behind:
        frozen.close()
        raise SpaceError(
            f"database {path} is of an older program, and its disk takes no byte",
            hint="free some space on the disk and start again; nothing was changed",
        )
    return frozen


def damaged(path: Path, error: sqlite3.DatabaseError) -> Exception:
    """What to raise for `error`: a full disk and a lock are no damage, bad SQL is a defect."""
    if said := plain(path, error):
        return said
    if isinstance(error, sqlite3.OperationalError):
        return error
    return ContentError(
        f"database {path}: {error}",
        hint="move the data folder away and sync again; lessons come back from the hub",
    )


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    if _pending(db, path):
        migrations.apply(Database(db))


def _pending(db: sqlite3.Connection, path: Path) -> bool:
    """Whether migrations are missing. Raises ContentError when there are foreign ones."""
    wrapped = Database(db)
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    applied = {migration.name for migration in migrations.applied(wrapped)}
    if newer := applied - known:
        raise ContentError(
            f"database {path} was made by a newer program ({', '.join(sorted(newer))})",
            hint="install the newer chaski-node again",
        )
    return applied != known
