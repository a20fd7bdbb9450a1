"""Frozen: opens the database of a node whose disk takes no byte any more: it is full, or the
system has made a dying card read-only. Lessons are served on; nothing can be kept.

* SQLite in WAL mode writes a little even to read: it makes `-wal` and `-shm` files. Here it is
  told that the file cannot change (`immutable`), and makes none.
* A log left by a power cut holds what was committed last, so the file alone is not enough. It
  is written into the file where that takes no space; else both are copied into memory first.
* Nothing here is a way to write. Whoever owns the database asks for its usual connection again
  from time to time.
"""

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


class Frozen:
    """The database at `path`, for readers only. Close it."""

    def __init__(self, path: Path, memory: Path = MEMORY) -> None:
        """Raises sqlite3.Error or OSError when it cannot be read either."""
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        log = _log(path)
        if log.exists() and log.stat().st_size and not _settled(path):
            self._copy = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
            held = Path(self._copy.name) / path.name
            shutil.copyfile(path, held)
            shutil.copyfile(log, _log(held))
            path = held
            _settled(held)
        self._address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"

    def reader(self) -> sqlite3.Connection:
        """A connection that cannot write."""
        return sqlite3.connect(
            self._address, uri=True, isolation_level=None, check_same_thread=False
        )

    def close(self) -> None:
        """Forgets what was copied into memory."""
        if self._copy:
            self._copy.cleanup()


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _settled(path: Path) -> bool:
    """Writes the log into the file, if that can be; is all of it there now?"""
    with contextlib.suppress(sqlite3.Error):
        db = sqlite3.connect(path, isolation_level=None)
        with contextlib.closing(db):
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # shares with nobody: no -shm file
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return not _log(path).exists() or not _log(path).stat().st_size
