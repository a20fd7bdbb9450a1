"""What SQLite's complaints mean, for whoever owns a database file.

* A full disk, a disk that refuses, a lock: each is our own error with its exit code. A damaged
  file is the affair of the owner, who knows where the content can come from again; anything
  else is a defect and stays what it is.
* A full disk often shows as an I/O error: SQLite cannot make the shared-memory file beside the
  database. Where it cannot make a file at all it only says that it cannot open one; whether
  that is the disk or a permission is then tried out.
"""

import contextlib
import sqlite3
from pathlib import Path

from sync.errors import BusyError, ChaskiError, SettingsError, SpaceError
from sync.files import FULL

_SPACE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def plain(path: Path | str, error: sqlite3.Error) -> ChaskiError | None:
    """`error`, met at the database `path`, in words; None when it has no plain meaning."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _SPACE or (code == sqlite3.SQLITE_CANTOPEN and _refuses(path)):
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


def _refuses(path: Path | str) -> bool:
    """Whether the disk takes no new file beside `path`, from anybody."""
    if not isinstance(path, Path):
        return False
    probe = path.with_name(f".{path.name}.probe")
    try:
        with probe.open("xb") as file:
            file.write(b"\0")
    except OSError as error:
        return error.errno in FULL
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return False
