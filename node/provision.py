"""Provision: a node's settings and root keys, brought on a stick, put in place.

* Both are read and judged before anything is written; the keys go first, the settings last.
* What is in place already stays unless it is the same or the operator insists.
* A stick may carry the settings of several nodes. One that was taken is marked, so that no two
  nodes get the same name, and its secret key is taken off the stick.
"""

import os
from pathlib import Path

from node import config as settings
from node.config import PREFIX, NodeConfig
from sync.errors import BusyError, SettingsError, TransportError
from sync.files import atomic_write
from sync.identity import NodeKey
from sync.settings import load
from sync.transport import slug
from sync.transport.directory import Layout, on_stick, taken
from sync.trust import Floors, TrustedState

MODE = 0o640


def provision(source: Path, target: Path, *, force: bool) -> NodeConfig:
    """Copies the settings at `source`, and the keys they name, to `target`; the settings then.

    Raises SettingsError (unreadable), TrustError (no root keys), BusyError (`target` exists
    and differs, without `force`), SpaceError.
    """
    written = load(NodeConfig, source, {}, PREFIX)
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


def from_stick(folder: Path, target: Path, node: str | None, *, force: bool) -> NodeConfig:
    """As `provision`, with the settings that the stick at `folder` carries for `node`.

    Without `node` it must carry those of one node alone. Raises also TransportError: no stick,
    or pulled out.
    """
    layout = Layout(on_stick(folder))
    try:
        waiting = layout.enrolments()
    except OSError as error:
        raise TransportError(f"{folder}: {error.strerror}", hint="plug the stick in") from error
    if node is not None:
        source = layout.enrolment(slug(node))
        if source.exists() and source not in waiting and not force:
            if _same(source, target):
                return settings.load(target, os.environ)
            raise BusyError(
                f"node {node} on {folder} was taken already",
                hint="another node may have this name; --force takes it all the same",
            )
    elif len(waiting) == 1:
        source = waiting[0]
    else:
        put = "`chaski-hub enrol NODE --stick FOLDER` puts them there"
        names = ", ".join(path.parent.name for path in waiting) or "none"
        raise SettingsError(
            f"{folder} carries the settings of {len(waiting)} nodes: {names}",
            hint="--node says which" if waiting else put,
        )
    config = provision(source, target, force=force)
    try:
        atomic_write(taken(source), b"")
        if config.node.key:  # a secret has no business on a stick that goes on to others
            (source.parent / Path(config.node.key).name).unlink(missing_ok=True)
    except OSError as error:
        raise TransportError(
            f"{source.parent} cannot be marked as taken: {error.strerror}",
            hint="this node is provisioned; delete its folder on the stick yourself",
        ) from error
    return config


def _same(source: Path, target: Path) -> bool:
    return target.exists() and _read(source) == _read(target)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}",
            hint="bring all files from `chaski-hub enrol` together",
        ) from error
