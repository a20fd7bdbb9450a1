"""Status: what one node has and how it is, for `chaski-node status`. Values only."""

from datetime import datetime

import msgspec

from node.folder import DataFolder
from node.outcome import Outcome, from_bytes
from node.telemetry.spool import DropReason
from sync.canonical import Digest


class Status(msgspec.Struct, frozen=True):
    """One look at a node. `version` 0: nothing is installed. Sizes in bytes, Unix seconds."""

    node: str
    hub: str
    channel: str
    version: int
    root: Digest | None
    applied_at: float | None
    lessons: int
    missing_lessons: int
    """Of the version shown, when it is here in part; each language counted."""
    last_sync: Outcome | None
    waiting_blocks: int
    waiting_bytes: int
    dropped: dict[DropReason, int]
    free_bytes: int
    model: str = ""
    """The model that explains and how it is; empty: the tutor is off."""


def look(
    folder: DataFolder, node: str, hub: str, channel: str, spool_limit: int, model: str = ""
) -> Status:
    """The status of the node in `folder`. Raises ContentError when its database is damaged."""
    store, spool = folder.store(), folder.spool(spool_limit)
    try:
        installed, last, depth = store.installed(), store.last_sync(), spool.depth()
        return Status(
            node=node,
            hub=hub,
            channel=channel,
            version=installed.version if installed else 0,
            root=installed.root if installed else None,
            applied_at=installed.applied_at if installed else None,
            lessons=store.lessons(),
            missing_lessons=installed.part.missing if installed and installed.part else 0,
            last_sync=from_bytes(last) if last else None,
            waiting_blocks=depth.blocks,
            waiting_bytes=depth.bytes,
            dropped=spool.dropped(),
            free_bytes=folder.free_bytes(),
            model=model,
        )
    finally:
        spool.close()
        store.close()


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"


def lines(status: Status) -> list[str]:
    """`status` for a person, a line a fact."""
    last = status.last_sync
    return [
        f"node      {status.node}",
        f"channel   {status.channel}, version {status.version}, {status.lessons} lessons"
        + (f", {status.missing_lessons} more to come" if status.missing_lessons else ""),
        f"hub       {status.hub or 'none'}",
        f"last sync {f'{_moment(last.at)}, {last.kind}: {last.message}' if last else 'never'}",
        f"waiting   {status.waiting_blocks} blocks in a spool of {status.waiting_bytes:,} bytes,"
        f" {sum(status.dropped.values())} dropped",
        f"model     {status.model or 'the tutor is off'}",
        f"disk      {status.free_bytes / 1e6:,.0f} MB free",
    ]
