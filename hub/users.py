"""Users: who may enter the studio, and the argon2 doorway.

* A password is generated here, shown once, and kept only as an argon2id hash.
* `Passwords.matches` takes the same time for a name that does not exist, and touches no
  database: it is slow on purpose and runs in a thread of its own.
* A new password ends every session of its user: `stamp` changes and a session carries it.
* Roles: an operator looks; an editor also decides and publishes; an admin may do all.
* `Throttle` counts failures in memory, bounded: by name and address, by name, by address.
"""

import re
import secrets
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlite_utils import Database, Migrations

from sync.database import plain
from sync.errors import BusyError, ContentError, SettingsError
from sync.files import make_folder

Role = Literal["editor", "admin", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
MAX_NAME_CHARS = 40
MAX_PASSWORD_CHARS = 200
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*\Z")
# No letter or digit that is taken for another one when it is read out over the telephone.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_CHARS = 4, 4  # 16 characters of 31: 79 bits

migrations = Migrations("users")


@migrations()
def m001_users(db: Database) -> None:
    """Names with their role, hash and stamp."""
    db.conn.execute(
        """CREATE TABLE users (
            name TEXT PRIMARY KEY, role TEXT NOT NULL,
            hash TEXT NOT NULL, stamp TEXT NOT NULL, since REAL NOT NULL)"""
    )


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. `since` is in unix seconds."""

    name: str
    role: Role
    hash: str
    stamp: str
    since: float

    @property
    def edits(self) -> bool:
        """True when this user may decide on candidates and publish."""
        return self.role in ("editor", "admin")


class Passwords:
    """Makes, hashes and compares passwords."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()

    @cached_property
    def _decoy(self) -> str:
        return self._hasher.hash("the password of nobody")

    @staticmethod
    def generate() -> str:
        """A new password, in groups that can be dictated."""
        letters = [secrets.choice(_ALPHABET) for _ in range(_GROUPS * _GROUP_CHARS)]
        return "-".join("".join(letters[i::_GROUPS]) for i in range(_GROUPS))

    def hash(self, password: str) -> str:
        """The argon2id hash, with its salt and costs."""
        return self._hasher.hash(password)

    def matches(self, user: User | None, password: str) -> bool:
        """True when `password` is that of `user`. Nobody's never is, and takes as long."""
        if len(password) > MAX_PASSWORD_CHARS:
            return False
        try:
            right = self._hasher.verify(user.hash if user else self._decoy, password)
        except (VerificationError, InvalidHashError):
            return False
        return right and user is not None


class Users:
    """The table of users at `path`, created when missing. Belongs to the thread that made it."""

    def __init__(
        self,
        path: Path,
        passwords: Passwords | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        make_folder(path.parent)
        self._passwords = passwords or Passwords()
        self._clock = clock
        try:
            self._db = Database(sqlite3.connect(path, timeout=10.0))
            self._db.conn.execute("PRAGMA journal_mode = WAL")
            migrations.apply(self._db)
        except sqlite3.DatabaseError as error:
            raise plain(path, error) or ContentError(
                f"users {path}: {error}", hint="restore the file from a backup, or move it away"
            ) from error
        path.chmod(0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def add(self, name: str, role: str) -> str:
        """Lets `name` in as `role`; returns the password, which nobody can read again.

        Raises SettingsError for a bad name or role, BusyError when the name is taken.
        """
        if len(name) > MAX_NAME_CHARS or not _NAME.match(name):
            raise SettingsError(
                f"user {name[:80]!r}: not a name",
                hint=f"up to {MAX_NAME_CHARS} small letters and digits, parted by . - or _",
            )
        if role not in ROLES:
            raise SettingsError(f"user {name}: no role {role!r}", hint=f"one of {', '.join(ROLES)}")
        password = self._passwords.generate()
        try:
            with self._db.conn:
                self._db.conn.execute(
                    "INSERT INTO users (name, role, hash, stamp, since) VALUES (?, ?, ?, ?, ?)",
                    (name, role, self._passwords.hash(password), _stamp(), self._clock()),
                )
        except sqlite3.IntegrityError as error:
            raise BusyError(
                f"user {name}: there is one of that name", hint="choose another name"
            ) from error
        return password

    def renew(self, name: str) -> str:
        """Gives `name` a new password and ends their sessions. Raises SettingsError if unknown."""
        password = self._passwords.generate()
        with self._db.conn:
            done = self._db.conn.execute(
                "UPDATE users SET hash = ?, stamp = ? WHERE name = ?",
                (self._passwords.hash(password), _stamp(), name),
            )
        if done.rowcount == 0:
            raise SettingsError(f"user {name[:80]!r}: unknown", hint="chaski-hub users list")
        return password

    def find(self, name: str) -> User | None:
        """The user called `name`."""
        return next(self._where("WHERE name = ?", (name,)), None)

    def all(self) -> list[User]:
        """Every user, by name."""
        return list(self._where("ORDER BY name", ()))

    def _where(self, clause: str, values: tuple[str, ...]) -> Iterator[User]:
        rows = self._db.conn.execute(
            f"SELECT name, role, hash, stamp, since FROM users {clause}",  # noqa: S608
            values,
        )
        return (User(*row) for row in rows)


def _stamp() -> str:
    return secrets.token_hex(8)


class Throttle:
    """How long somebody who guesses must wait. `clock` is monotonic, in seconds.

    An attempt counts as failed from its start until it succeeds. After `free` failures a key
    waits `pause` seconds, then twice as long after each other failure, `longest` at most. A
    success forgets the failures of its name; of its address it takes back its own attempt
    only: who has an account must not thereby guess at others.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        free: int = 5,
        pause: float = 15.0,
        longest: float = 900.0,
        keys: int = 10_000,
    ) -> None:
        self._clock, self._free, self._pause = clock, free, pause
        self._longest, self._keys = longest, keys
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait(self, name: str, address: str) -> float:
        """Seconds until `name` may try again from `address`; 0 is now."""
        now = self._clock()
        return max(0.0, *(self._until(key, free) - now for key, free in self._of(name, address)))

    def failed(self, name: str, address: str) -> None:
        """Counts an attempt as failed, until `succeeded` says otherwise."""
        for key, _ in self._of(name, address):
            count, _ = self._failures.pop(key, (0, 0.0))
            self._failures[key] = (count + 1, self._clock())
        while len(self._failures) > self._keys:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The attempt counted last was right."""
        for key in ((name, address), (name, "")):
            self._failures.pop(key, None)
        count, last = self._failures.get(("", address), (0, 0.0))
        if count:
            self._failures[("", address)] = (count - 1, last)

    def _of(self, name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        # A school shares one address, and a stranger must not lock an editor out for long:
        # the wider a key is, the more it may fail.
        return (
            ((name, address), self._free),
            ((name, ""), self._free * 10),
            (("", address), self._free * 4),
        )

    def _until(self, key: tuple[str, str], free: int) -> float:
        count, last = self._failures.get(key, (0, 0.0))
        if count < free:
            return 0.0
        return last + min(self._longest, self._pause * 2.0 ** min(count - free, 20))
