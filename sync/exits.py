"""From an error to one line on stderr and a stable exit code. Used by both command lines.

* An error that carries `exit_code` and `hint` (see `sync.errors`, `models.errors`) is for a
  person: one line, one line with its hint (or its code's), no traceback.
* What the operating system and SQLite say in plain cases is translated here: a full disk, a
  taken port, a lock, a path that is not what it should be.
* Anything else is our defect and keeps its traceback.
"""

import errno
import sqlite3
from collections.abc import Sequence
from typing import Any

import click

from sync.database import plain
from sync.errors import BusyError, ContentError, SettingsError, SpaceError
from sync.files import FULL

HINTS = {
    1: "`--help` says what the command takes",
    3: "mend the file, key or variable it names; docs/reference.md lists every key",
    4: "fetch it again; if it comes back, tell the hub's operator",
    5: "do not use it; tell the hub's administrator",
    6: "`chaski-hub models list` checks every model",
    7: "free some space and run the command again; nothing was half-applied",
    8: "check the link; the node goes on serving what it has",
    9: "stop the other program or change the port",
}
"""The next step of each exit code, for an error that names none."""
_PATHS = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def translate(error: BaseException) -> BaseException:
    """What has a plain meaning, as our own error; anything else unchanged."""
    if isinstance(error, sqlite3.Error):
        return plain("the database", error) or _damaged(error) or error
    if isinstance(error, OSError) and error.errno in FULL:
        return SpaceError(
            f"cannot write {error.filename or 'to the disk'}: {error.strerror}",
            hint="free some space and run the command again; nothing was half-applied",
        )
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return BusyError(
            f"cannot listen: {error.strerror}", hint="stop the other program or set another port"
        )
    if isinstance(error, _PATHS) and error.filename:
        return SettingsError(
            f"cannot use {error.filename}: {error.strerror}",
            hint="see that the path is right and that this user may read and write it",
        )
    return error


def _damaged(error: sqlite3.Error) -> ContentError | None:
    """Damage that shows in the middle of reading, long after the file was opened."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return None
    return ContentError(
        f"the database is damaged: {error}",
        hint="on a node, move the data folder away and sync again; on a hub, restore its backup",
    )


class Program(click.Group):
    """A command group whose errors end in one line and a stable exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """As click's, with our errors reported."""
        try:
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        except Exception as raised:
            error = translate(raised)
            code = getattr(error, "exit_code", None)
            if not standalone_mode or not isinstance(code, int):
                raise
            hint = getattr(error, "hint", "") or HINTS.get(code, HINTS[1])
            for kind, text in (("error", str(error)), ("hint", hint)):
                click.echo(f"{kind}: {' '.join(text.splitlines())}", err=True)
            raise SystemExit(code) from None
