"""DataFolder: what lies where in the data folder, and how each thing is opened.

| name | what |
|---|---|
| `node.db` | what is installed, its index, trust (`store/`) |
| `objects/` | lessons and files by their hash |
| `journal/` | bundles on their way in |
| `models/` | the channel's models, each version in a folder (`model/copies.py`) |
| `spool.db` | what waits for a link (`telemetry/spool.py`) |
| `lock` | who owns all of it |
"""

import logging
from pathlib import Path

from node.lock import Lock
from node.store.blobs import Blobs
from node.store.store import Store
from node.telemetry.spool import Spool, boot_id
from sync.errors import ContentError, SettingsError, SpaceError
from sync.files import free_bytes, make_folder
from sync.journal import Journal

log = logging.getLogger(__name__)


class DataFolder:
    """The folder at `path`, made if need be."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsError when it cannot be used, SpaceError when the disk is full."""
        self.path = path
        try:
            make_folder(path)
            Lock.touch(path)
        except OSError as error:
            raise SettingsError(
                f"the data folder {path} cannot be used: {error.strerror}",
                hint="set node.data to a folder that this user may write",
            ) from error

    def lock(self) -> Lock:
        """Ownership. Raises BusyError when another process has it."""
        return Lock(self.path)

    def store(self) -> Store:
        """The database. Raises ContentError when it is damaged or of a newer program."""
        return Store(self.path / "node.db")

    def blobs(self) -> Blobs:
        """The objects."""
        return Blobs(self.path / "objects")

    @property
    def models(self) -> Path:
        """Models that came with the channel."""
        return self.path / "models"

    def journal(self) -> Journal:
        """Bundles on their way in."""
        return Journal(self.path / "journal")

    def spool(self, limit: int) -> Spool:
        """The spool, of at most `limit` bytes; a damaged one is put aside and one begun anew.

        On a disk that takes no byte it is in memory: figures are not worth a school.
        """
        path = self.path / "spool.db"
        try:
            return Spool(path, limit, boot_id())
        except SpaceError as error:
            log.warning("%s; until there is space, samples and events are kept in memory", error)
            return Spool(Path(":memory:"), limit, boot_id())
        except ContentError as error:
            log.warning("%s; it is kept as %s.damaged", error, path.name)
            path.replace(path.with_name(f"{path.name}.damaged"))
            for leftover in (f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(leftover).unlink(missing_ok=True)
            return Spool(path, limit, boot_id())

    def free_bytes(self) -> int:
        """Bytes that may still be written here."""
        return free_bytes(self.path)
