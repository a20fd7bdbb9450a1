"""What SQLite's complaints mean, for whoever owns a database file.

* A full disk, a disk that refuses, a lock: each is our own error with its exit code. A damaged
  file is the affair of the owner, who knows where the content can come from again; anything
  else is a defect and stays what it is.
* A full disk often shows as an I/O error: SQLite cannot make the shared-memory file beside the
  database.
"""

import sqlite3
from pathlib import Path

from sync.errors import BusyError, ChaskiError, SettingsError, SpaceError

_SPACE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def plain(path: Path | str, error: sqlite3.Error) -> ChaskiError | None:
    """`error`, met at the database `path`, in words; None when it has no plain meaning."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _SPACE:
        return SpaceError(
            f"cannot write {path}: {error}",
            hint="free some space on the disk, see that it can be written, and try again;"
            " nothing was half-applied",
        )
    if code in _BUSY:
        return BusyError(f"{path} is busy: {error}", hint="another program writes to it; try again")
    if code == sqlite3.SQLITE_CANTOPEN:
        return SettingsError(
            f"cannot open {path}: {error}", hint="see that this user may read and write it"
        )
    return None
