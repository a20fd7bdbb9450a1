"""Trees: folders and tars as channel versions, and as the tars that peers are given.

* A tree is a mapping from path to bytes: files only, links and times are left out.
* A manifest refuses paths that would differ between systems. Such a path is escaped here,
  the same way in both trees, and peers get the escaped one too.
"""

import io
import re
import tarfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.files import ObjectStore
from sync.manifest import Entry, Manifest, check_path, manifest

Tree = Mapping[str, bytes]
_ODD = re.compile(r'[\\:*?"<>|%]|^\.|[ .](?=/|$)|(?<=/) ')


def load(path: Path) -> dict[str, bytes]:
    """The files of a folder or a tar, by path, sorted."""
    found = _folder(path) if path.is_dir() else _tar(path)
    tree: dict[str, bytes] = {}
    folded: set[str] = set()
    for name, data in sorted(found.items()):
        name = _safe(name)
        if name.casefold() in folded:
            name = f"{name}~{digest(name.encode())[:8]}"
        folded.add(name.casefold())
        tree[name] = data
    return tree


def _folder(path: Path) -> dict[str, bytes]:
    files = (p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in files}


def _tar(path: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file:
                found[member.name.removeprefix("./")] = file.read()
    return found


def _safe(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    try:
        check_path(name)
    except ContentError:
        clean = _ODD.sub(lambda m: f"%{ord(m.group()):02x}", name)
        clean = "".join(c if unicodedata.category(c)[0] != "C" else "%" for c in clean)
        return clean if len(clean) <= 200 else f"{clean[-160:]}~{digest(name.encode())[:8]}"
    return name


def version(tree: Tree) -> Manifest:
    """The manifest of a tree. Every file is an asset and as urgent as the others."""
    entries = [Entry(path, digest(data), len(data), "asset") for path, data in tree.items()]
    return manifest("banco", entries)


def objects(*trees: Tree) -> dict[Digest, bytes]:
    """The objects of all `trees`."""
    return {digest(data): data for tree in trees for data in tree.values()}


def store(folder: Path, *trees: Tree) -> ObjectStore:
    """A node's objects in `folder`, of all `trees`. Not durable."""
    made = ObjectStore(folder)
    for name, data in objects(*trees).items():
        made.path(name).parent.mkdir(parents=True, exist_ok=True)
        made.path(name).write_bytes(data)
    return made


def changed(old: Tree, new: Tree) -> list[str]:
    """The paths in `new` that are not in `old`, or not with the same bytes."""
    return [path for path, data in new.items() if old.get(path) != data]


def write_tar(tree: Tree, path: Path) -> Path:
    """The tree as a tar without times or owners."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in sorted(tree.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_folder(tree: Tree, folder: Path) -> Path:
    """The tree as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def trimmed(old: Tree, new: Tree, limit: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Both trees, cut to about `limit` bytes each; what changed or went stays first.

    Which files stay is decided by the digest of their path, so by nothing that matters.
    """
    paths = old.keys() | new.keys()
    order = sorted(paths, key=lambda p: (old.get(p) == new.get(p), digest(p.encode())))
    kept: set[str] = set()
    room = limit
    for path in order:
        size = max(len(old.get(path, b"")), len(new.get(path, b"")))
        if size <= room:
            room -= size
            kept.add(path)
    return (
        {path: data for path, data in old.items() if path in kept},
        {path: data for path, data in new.items() if path in kept},
    )
