"""Provision: a node's settings and root keys, brought on a stick, put in place.

* Both are read and judged before anything is written; the keys go first, the settings last.
* What is in place already stays unless it is the same or the operator insists.
"""

import os
from pathlib import Path

from node import config as settings
from node.config import PREFIX, NodeConfig
from sync.errors import BusyError, SettingsError
from sync.files import atomic_write
from sync.identity import NodeKey
from sync.settings import load
from sync.trust import Floors, TrustedState

MODE = 0o640


def provision(source: Path, target: Path, *, force: bool) -> NodeConfig:
    """Copies the settings at `source`, and the keys they name, to `target`; the settings then.

    Raises SettingsError (unreadable), TrustError (no root keys), BusyError (`target` exists
    and differs, without `force`), SpaceError.
    """
    written = load(NodeConfig, source, {}, PREFIX)
    if not written.linked:
        raise SettingsError(f"configuration {source}: sync.hub is empty", hint="enrol at the hub")
    keys = Path(written.sync.root)
    data = {target: _read(source)}
    if not keys.is_absolute():
        root = _read(source.parent / keys)
        TrustedState(root, Floors())
        data = {target.parent / keys: root} | data
    if written.node.key and not Path(written.node.key).is_absolute():
        own = source.parent / written.node.key
        NodeKey.read(own)
        data = {target.parent / written.node.key: _read(own)} | data
    for path, wanted in data.items():
        if path.exists() and not force and path.read_bytes() != wanted:
            raise BusyError(f"{path} is there already", hint="--force replaces it")
    for path, wanted in data.items():
        try:
            atomic_write(path, wanted, mode=MODE)
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    return settings.load(target, os.environ)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}",
            hint="bring all files from `chaski-hub enrol` together",
        ) from error
