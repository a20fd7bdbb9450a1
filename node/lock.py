"""Lock: one program at a time owns a data folder.

The kernel lets go of it when the process ends, however it ends.
"""

import fcntl
import os
from pathlib import Path

from sync.errors import BusyError

NAME = "lock"


class Lock:
    """Held from the constructor until `close`."""

    def __init__(self, folder: Path) -> None:
        """Raises BusyError when another process owns `folder`."""
        path = folder / NAME
        self._file = path.open("a+", encoding="ascii")
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
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    @staticmethod
    def touch(folder: Path) -> None:
        """Raises OSError when `folder` cannot be written."""
        (folder / NAME).touch()

    def close(self) -> None:
        """Lets go."""
        self._file.close()
