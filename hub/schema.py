"""The tables of the editorial half of `hub.db`, as migrations that only ever grow.

* Times are unix seconds. Structs are kept as the JSON they travel in.
* A lesson revision, a decision and a version are written once and never changed.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("hub")


@migrations()
def m001_editorial(db: Database) -> None:
    """Briefs, candidates, decisions, lessons, the channel, versions, missed searches."""
    for statement in (
        """CREATE TABLE briefs (
            id INTEGER PRIMARY KEY,
            digest TEXT NOT NULL,
            brief BLOB NOT NULL,
            asked INTEGER NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE INDEX briefs_digest ON briefs (digest)",
        """CREATE TABLE candidates (
            id INTEGER PRIMARY KEY,
            origin TEXT NOT NULL CHECK (origin IN ('generated', 'import', 'edit')),
            state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected', 'stopped')),
            lesson_id TEXT NOT NULL,
            language TEXT NOT NULL,
            lesson BLOB NOT NULL,
            brief INTEGER REFERENCES briefs (id),
            score REAL,
            factors BLOB NOT NULL,
            gates BLOB NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE INDEX candidates_state ON candidates (state, score)",
        "CREATE INDEX candidates_lesson ON candidates (lesson_id, language, state)",
        "CREATE INDEX candidates_brief ON candidates (brief)",
        """CREATE TABLE decisions (
            candidate INTEGER NOT NULL REFERENCES candidates (id),
            verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'reject')),
            person TEXT NOT NULL,
            reason TEXT NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (candidate, person, verdict)
        )""",
        """CREATE TABLE lessons (
            id TEXT NOT NULL,
            language TEXT NOT NULL,
            revision INTEGER NOT NULL,
            lesson BLOB NOT NULL,
            candidate INTEGER NOT NULL REFERENCES candidates (id),
            at REAL NOT NULL,
            PRIMARY KEY (id, language, revision)
        )""",
        """CREATE VIEW current_lessons AS
            SELECT id, language, max(revision) AS revision, lesson, candidate, at
            FROM lessons GROUP BY id, language""",
        "CREATE TABLE channels (id TEXT PRIMARY KEY, channel BLOB NOT NULL, at REAL NOT NULL)",
        """CREATE TABLE versions (
            channel TEXT NOT NULL,
            version INTEGER NOT NULL,
            root TEXT NOT NULL,
            lessons INTEGER NOT NULL,
            size INTEGER NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (channel, version)
        )""",
        """CREATE TABLE missed_searches (
            query TEXT NOT NULL,
            language TEXT NOT NULL,
            node TEXT NOT NULL,
            times INTEGER NOT NULL,
            first REAL NOT NULL,
            last REAL NOT NULL,
            brief INTEGER REFERENCES briefs (id),
            PRIMARY KEY (query, language, node)
        )""",
        """CREATE TABLE vectors (
            digest TEXT NOT NULL,
            encoder TEXT NOT NULL,
            vector BLOB NOT NULL,
            PRIMARY KEY (digest, encoder)
        )""",
    ):
        db.execute(statement)


@migrations()
def m002_stock(db: Database) -> None:
    """What a channel carries besides lessons. `hash` and `size` are of the object at `path`; an
    archive's is its recipe, its members stand apart. `whole`: bytes of the file as readers get it;
    `note`: why an archive travels in one piece.
    """
    for statement in (
        """CREATE TABLE files (
            path TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            hash TEXT NOT NULL,
            size INTEGER NOT NULL,
            whole INTEGER NOT NULL,
            title TEXT NOT NULL,
            author TEXT NOT NULL,
            license TEXT NOT NULL,
            source TEXT NOT NULL,
            language TEXT NOT NULL,
            grade TEXT NOT NULL,
            topic TEXT NOT NULL,
            priority INTEGER NOT NULL,
            person TEXT NOT NULL,
            at REAL NOT NULL,
            note TEXT NOT NULL
        )""",
        """CREATE TABLE members (
            archive TEXT NOT NULL REFERENCES files (path) ON DELETE CASCADE,
            path TEXT NOT NULL,
            hash TEXT NOT NULL,
            size INTEGER NOT NULL,
            PRIMARY KEY (archive, path)
        )""",
    ):
        db.execute(statement)


@migrations()
def m003_upward(db: Database) -> None:
    """What comes up from nodes: learning, reports, uploads, their last syncs."""
    for statement in _UPWARD:
        db.execute(statement)
    # Widening a CHECK changes no row; SQLite cannot do it by ALTER, and rebuilding the table
    # would break the references to it (sqlite.org/lang_altertable.html, section 7).
    [[version]] = db.execute("PRAGMA schema_version").fetchall()
    db.execute("PRAGMA writable_schema = ON")
    db.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'candidates'",
        ("'edit')", "'edit', 'upload')"),
    )
    db.execute(f"PRAGMA schema_version = {version + 1}")
    db.execute("PRAGMA writable_schema = OFF")


_UPWARD = (
    """CREATE TABLE learning (
        lesson TEXT NOT NULL,
        language TEXT NOT NULL,
        node TEXT NOT NULL,
        day TEXT NOT NULL,
        opened INTEGER NOT NULL,
        finished INTEGER NOT NULL,
        quizzes INTEGER NOT NULL,
        right INTEGER NOT NULL,
        total INTEGER NOT NULL,
        asked INTEGER NOT NULL,
        helped INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        PRIMARY KEY (lesson, language, node, day)
    ) WITHOUT ROWID""",
    "CREATE INDEX learning_day ON learning (day)",
    """CREATE TABLE learning_questions (
        lesson TEXT NOT NULL,
        language TEXT NOT NULL,
        day TEXT NOT NULL,
        question INTEGER NOT NULL,
        missed INTEGER NOT NULL,
        PRIMARY KEY (lesson, language, day, question)
    ) WITHOUT ROWID""",
    "CREATE INDEX learning_questions_day ON learning_questions (day)",
    """CREATE TABLE reports (
        id INTEGER PRIMARY KEY,
        lesson TEXT NOT NULL,
        language TEXT NOT NULL,
        node TEXT NOT NULL,
        verdict TEXT NOT NULL,
        question TEXT NOT NULL,
        note TEXT NOT NULL,
        at REAL NOT NULL,
        person TEXT,
        outcome TEXT,
        closed REAL
    )""",
    "CREATE INDEX reports_lesson ON reports (lesson, language, closed)",
    "CREATE INDEX reports_open ON reports (node) WHERE closed IS NULL",
    """CREATE TABLE uploads (
        upload TEXT PRIMARY KEY,
        node TEXT NOT NULL,
        author TEXT NOT NULL,
        candidate INTEGER NOT NULL UNIQUE REFERENCES candidates (id),
        at REAL NOT NULL
    )""",
    """CREATE TABLE attachments (
        candidate INTEGER NOT NULL REFERENCES candidates (id),
        number INTEGER NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (candidate, number)
    )""",
    """CREATE TABLE node_syncs (
        node TEXT PRIMARY KEY,
        at REAL NOT NULL,
        outcome TEXT NOT NULL,
        message TEXT NOT NULL,
        to_version INTEGER NOT NULL,
        bytes_down INTEGER NOT NULL,
        full_size INTEGER NOT NULL
    )""",
    """CREATE TABLE handed_on (
        node TEXT NOT NULL,
        epoch TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (node, epoch, seq)
    ) WITHOUT ROWID""",
)
