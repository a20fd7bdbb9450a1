"""Selftest: can this node do its work? One check after the other, each in one line.

A check that fails does not stop the next; the first failure's exit code is the program's.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelError
from node.config import MEGABYTE, NodeConfig
from node.folder import DataFolder
from node.model.assembly import build_examiner, build_models
from node.road import root_keys
from node.roads import spoken
from sync.errors import ChaskiError, ContentError
from sync.files import reserve
from sync.identity import NodeKey
from sync.trust import Floors, TrustedState


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was seen, 0 or the exit code."""

    name: str
    detail: str
    code: int = 0


def selftest(config: NodeConfig) -> Iterator[Check]:
    """Every check, as it is done. Raises SettingsError when there is no data folder."""
    folder = DataFolder(Path(config.node.data))
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("settings", lambda: f"node {config.node.id}, data in {folder.path}"),
        ("disk", lambda: _disk(folder, config)),
        ("database", lambda: _database(folder)),
        ("objects", lambda: _objects(folder)),
        ("keys", lambda: _keys(folder, config)),
        ("model", lambda: _model(folder, config)),
    )
    for name, check in checks:
        try:
            yield Check(name, check())
        except (ChaskiError, ModelError) as error:
            hint = f" ({error.hint})" if error.hint else ""
            yield Check(name, f"{error}{hint}", error.exit_code)


def _disk(folder: DataFolder, config: NodeConfig) -> str:
    reserve(folder.path, 0, config.node.keep_free_megabytes * MEGABYTE)
    return f"{folder.free_bytes() / 1e6:,.0f} MB free"


def _database(folder: DataFolder) -> str:
    with closing(folder.store()) as store:
        store.check()
        installed = store.installed()
        if installed is None:
            return "whole, no version installed yet"
        return f"whole, version {installed.version} with {store.lessons()} lessons"


def _objects(folder: DataFolder) -> str:
    with closing(folder.store()) as store:
        manifest = store.manifest()
    if manifest is None:
        return "none yet"
    broken = [entry.path for entry in folder.blobs().damaged(manifest)]
    if broken:
        raise ContentError(
            f"{len(broken)} damaged: {', '.join(broken[:3])}", hint="the next sync mends them"
        )
    return f"{len(manifest.entries)} whole"


def _keys(folder: DataFolder, config: NodeConfig) -> str:
    with closing(folder.store()) as store:
        trust = store.trust()
    root = root_keys(config.sync, trusted=trust is not None or not config.linked)
    if root is not None:
        state = TrustedState(root, Floors())
    elif trust:
        state = TrustedState(trust.metadata, trust.floors)
    else:
        return "none: this node knows no hub yet"
    roads = ", ".join(map(spoken, config.roads))
    signs = "signs" if config.node.key and NodeKey.read(Path(config.node.key)) else "does not sign"
    return f"root version {state.root_version} of {roads or 'no hub'}; {signs} what goes up"


def _model(folder: DataFolder, config: NodeConfig) -> str:
    if not config.tutor.enabled:
        return "the tutor is switched off"
    found = build_models(config, folder).best()
    report = build_examiner(config).examine(found.path)
    assert report is not None  # nobody stops it
    if not report.passed:
        raise ModelError(
            f"model {found.name} {found.version}: {report.why}: {report.detail}",
            hint="restore its folder, or `chaski-node models rollback`",
        )
    peak = report.peak_bytes / 1e6
    return f"{found.name} {found.version}: {report.detail}; {report.seconds:.1f} s, {peak:.0f} MB"
