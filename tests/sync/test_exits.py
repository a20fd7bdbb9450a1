"""A user's mistake ends in a line, a hint and a stable code; a defect keeps its traceback."""

import errno
import re
import sqlite3
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from models.errors import ModelError
from sync import errors
from sync.database import plain
from sync.exits import HINTS, Program


def program(error: Exception) -> Program:
    @click.group(cls=Program)
    def main() -> None:
        pass

    @main.command()
    def fail() -> None:
        raise error

    assert isinstance(main, Program)
    return main


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError("bad key", "mend it"), 3),
        (errors.ContentError("bad bundle", "mend it"), 4),
        (errors.TrustError("bad signature", "mend it"), 5),
        (ModelError("no model", "mend it"), 6),
        (errors.SpaceError("no space", "mend it"), 7),
        (errors.TransportError("no hub", "mend it"), 8),
        (errors.BusyError("port taken", "mend it"), 9),
    ],
)
def test_our_errors_end_in_two_lines_and_their_code(error: Exception, code: int) -> None:
    result = CliRunner().invoke(program(error), ["fail"])
    assert result.exit_code == code
    assert result.stderr == f"error: {error}\nhint: mend it\n"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, 7), (errno.EDQUOT, 7), (errno.EROFS, 7), (errno.EADDRINUSE, 9)],
)
def test_a_full_disk_and_a_taken_port_are_said_in_words(number: int, code: int) -> None:
    result = CliRunner().invoke(program(OSError(number, "as the system says")), ["fail"])
    assert result.exit_code == code
    assert "as the system says" in result.stderr


def test_an_error_of_many_lines_without_a_hint_still_ends_in_two() -> None:
    result = CliRunner().invoke(program(ModelError("no\nmodel")), ["fail"])
    assert result.stderr == f"error: no model\nhint: {HINTS[6]}\n"


def test_every_code_has_a_hint() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.ChaskiError)}
    assert set(HINTS) == codes | {ModelError.exit_code}


@pytest.mark.parametrize(
    "kind", [FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError]
)
def test_a_path_that_is_not_what_it_should_be_is_the_users_to_mend(kind: type[OSError]) -> None:
    result = CliRunner().invoke(program(kind(errno.EIO, "as said", "a/path")), ["fail"])
    assert result.exit_code == 3
    assert "a/path: as said" in result.stderr


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (sqlite3.SQLITE_FULL, 7),
        (sqlite3.SQLITE_IOERR | 19 << 8, 7),  # no room for the shared-memory file
        (sqlite3.SQLITE_READONLY, 7),
        (sqlite3.SQLITE_BUSY, 9),
        (sqlite3.SQLITE_LOCKED, 9),
        (sqlite3.SQLITE_CANTOPEN, 3),
    ],
)
def test_what_sqlite_says_of_disk_and_locks_is_said_in_words(number: int, code: int) -> None:
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorcode = number
    result = CliRunner().invoke(program(error), ["fail"])
    assert result.exit_code == code
    assert "as SQLite says" in result.stderr


def test_bad_sql_is_a_defect() -> None:
    error = sqlite3.OperationalError("no such table")
    error.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert plain("node.db", error) is None


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        program(ZeroDivisionError()).main(["fail"])


def test_the_table_in_contributing_lists_every_code(root: Path) -> None:
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)`", text, re.M)}
    ours = {
        kind.__name__: kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ChaskiError)
    } | {"ModelError": ModelError.exit_code}
    assert told == ours
