"""Lock: one program at a time owns a data folder.

* The kernel lets go of it when the process ends, however it ends.
* A disk that takes no byte does not keep anybody out: who holds the lock is then not written.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from sync.errors import BusyError
from sync.files import FULL

NAME = "lock"


class Lock:
    """Held from the constructor until `close`."""

    def __init__(self, folder: Path) -> None:
        """Raises BusyError when another process owns `folder`."""
        path = folder / NAME
        try:
            self._file = path.open("a+", encoding="ascii")
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._file = path.open("r", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read(20).strip()
            self._file.close()
            raise BusyError(
                f"the data folder {folder} is in use by another chaski-node (process {owner})",
                hint="stop it, or use its portal: it syncs by itself and at /salud",
            ) from None
        with contextlib.suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), str(os.getpid()).encode())

    @staticmethod
    def touch(folder: Path) -> None:
        """Raises OSError when this user may not write to `folder`."""
        try:
            (folder / NAME).touch()
        except OSError as error:
            if error.errno not in FULL or not (folder / NAME).exists():
                raise

    def close(self) -> None:
        """Lets go."""
        self._file.close()
