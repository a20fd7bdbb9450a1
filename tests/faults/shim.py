"""Shim: compiles `shim.c` and runs commands of the node under it. See `rig.py` for what it does.

The changes of a command are an ordered list of `Change`; those that count towards the n-th are
in `COUNTED`.
"""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import msgspec

from tests.faults.rig import Job, Mode

SOURCE = Path(__file__).with_name("shim.c")
ROOT = SOURCE.parents[2]
RECORD = struct.Struct("=iiqqII")


class What(IntEnum):
    """Kinds of change, numbered as in shim.c."""

    OPEN = 1
    CLOSE = 2
    WRITE = 3
    RESIZE = 4
    SYNC = 5
    RENAME = 6
    UNLINK = 7
    MKDIR = 8
    RMDIR = 9
    ODD = 10


COUNTED = frozenset(What) - {What.CLOSE, What.ODD}
GROWING = frozenset({What.OPEN, What.WRITE, What.RESIZE, What.SYNC, What.RENAME, What.MKDIR})
"""What a full disk refuses; removing still works there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing done to the files below the root. Paths are below it."""

    what: What
    fd: int
    first: int
    """OPEN: 1 when the file was made by it. WRITE: where. RESIZE: to how many bytes."""
    second: int
    """OPEN: 1 when it was emptied by it."""
    paths: tuple[str, ...]
    data: bytes

    @property
    def counts(self) -> bool:
        """Whether the shim counts it."""
        opens = self.what is What.OPEN
        return self.what in COUNTED and (not opens or bool(self.first or self.second))


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; `code` is negative for a signal."""

    code: int
    said: str
    changes: list[Change]

    @property
    def count(self) -> int:
        """How many of its changes count."""
        return sum(change.counts for change in self.changes)


class Shim:
    """A rig that waits for jobs. Made by `shimmed`."""

    def __init__(self, rig: "subprocess.Popen[str]", place: Path) -> None:
        self._rig = rig
        self._place = place

    def run(
        self,
        root: Path,
        *command: str,
        mode: Mode = "watch",
        at: int = 0,
        error: int = 0,
        kinds: frozenset[What] = COUNTED,
    ) -> Ran:
        """One command of the node whose folder is `root`; without one, what it shows."""
        log, said = self._place / "changes.log", self._place / "said"
        line = ["--config", str(root / "node.toml"), *command] if command else []
        mask = sum(1 << kind for kind in kinds)
        job = Job(str(root), str(log), str(said), line, mode, at, error, mask)
        assert self._rig.stdin
        assert self._rig.stdout
        self._rig.stdin.write(msgspec.json.encode(job).decode() + "\n")
        self._rig.stdin.flush()
        code = os.waitstatus_to_exitcode(int(self._rig.stdout.readline()))
        told = said.read_text(encoding="utf-8")
        assert "Traceback" not in told, told
        return Ran(code, told, list(_changes(log.read_bytes(), root)))


@contextmanager
def shimmed(place: Path) -> Iterator[Shim]:
    """A shim that keeps its own files in `place`."""
    place.mkdir(parents=True, exist_ok=True)
    library = place / "shim.so"
    compiler = ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*compiler, str(SOURCE), "-ldl", "-lpthread"], check=True)
    rig = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.rig"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"LD_PRELOAD": str(library)},
    )  # fmt: skip
    try:
        yield Shim(rig, place)
    finally:
        rig.communicate()


def _changes(log: bytes, root: Path) -> Iterator[Change]:
    at = 0
    while at < len(log):
        what, fd, first, second, text, size = RECORD.unpack_from(log, at)
        at += RECORD.size
        paths = log[at : at + text].decode()
        data = log[at + text : at + text + size]
        at += text + size
        assert what != What.ODD, f"the shim cannot tell what {paths} does"
        short = tuple(
            "." if path == str(root) else path.removeprefix(f"{root}/")
            for path in paths.split("\n")
            if path
        )
        yield Change(What(what), fd, first, second, short, data)
