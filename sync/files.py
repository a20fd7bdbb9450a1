"""Durable files. The only place that knows temp file, fsync, rename, fsync the directory.

* After `atomic_write` returns, the old or the new bytes are there whatever happens to the
  power; a reader never sees a half-written file.
* An object is stored under its digest and is hashed again each time it is read; one larger than
  `SMALL_BYTES` of which slices are read, when its file is new to the process or has changed.
* A full disk is a SpaceError and changes nothing; other OSErrors pass unchanged, they are
  the seam of the caller.
"""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from sync.canonical import Digest, digest, parse_digest
from sync.errors import ContentError, SpaceError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What the system says when it cannot take our bytes."""

_TEMPORARY = ".tmp"
COPY_BYTES = 1024 * 1024
SMALL_BYTES = 1024 * 1024
MAX_SOUND = 1024


@contextlib.contextmanager
def space_errors(what: str) -> Iterator[None]:
    """Turns a full or read-only disk into a SpaceError that names `what` was being written."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise SpaceError(
            f"cannot write {what}: {error.strerror}",
            hint="free some space on the disk and run the command again; nothing was changed",
        ) from error


def fsync_dir(folder: Path) -> None:
    """Makes the names in `folder` durable. Filesystems that cannot (some FAT) are let be."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def flush_all() -> None:
    """Writes out what the system still holds for any disk. For a stick before it is pulled out:
    FAT cannot make a single name durable."""
    os.sync()


def make_folder(folder: Path) -> None:
    """Creates `folder` and its parents, each name durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with space_errors(str(folder)):
        folder.mkdir(exist_ok=True)
        fsync_dir(folder.parent)


def atomic_write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Puts `data` at `path`, durable when it returns. `mode` is that of the new file.

    Raises SpaceError when the disk is full; then `path` is as it was.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with space_errors(str(path)):
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            temporary.replace(path)
            fsync_dir(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # a read-only disk refuses even to look for it
            temporary.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> int:
    """Removes what killed writers left in `folder` and below; returns how many files.

    Only for the owner of the folder, while nobody writes to it.
    """
    left = [path for path in folder.rglob(f".*{_TEMPORARY}") if path.is_file()]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary process may still write where `folder` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def reserve(folder: Path, need: int, floor: int) -> None:
    """Raises SpaceError unless `need` bytes fit into `folder` and `floor` bytes stay free."""
    free = free_bytes(folder)
    if free - need < floor:
        raise SpaceError(
            f"{folder}: {need:,} bytes are needed and {floor:,} must stay free, "
            f"but only {free:,} are",
            hint="free some space on this disk or move the data folder to a larger one",
        )


class ObjectStore:
    """A folder of content-addressed objects: `ab/abcdef…`. Many readers, many writers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sound: dict[Digest, tuple[int, int]] = {}

    def path(self, name: Digest) -> Path:
        """Where the object `name` is, or would be. Raises ContentError for a bad name."""
        name = parse_digest(name)
        return self._folder / name[:2] / name

    def has(self, name: Digest) -> bool:
        """True when there is a file for `name`; only `get` says whether it is sound."""
        return self.path(name).is_file()

    def put(self, data: bytes) -> Digest:
        """Stores `data`, durable when it returns; a damaged copy is replaced."""
        name = digest(data)
        path = self.path(name)
        with contextlib.suppress(OSError):
            if path.read_bytes() == data:
                return name
        atomic_write(path, data)
        return name

    def put_file(self, source: Path, limit: int) -> tuple[Digest, int]:
        """Stores the bytes of the file `source`; as `put_pieces`. ContentError: unreadable."""
        try:
            file = source.open("rb")
        except OSError as error:
            raise ContentError(f"{source} cannot be read: {error.strerror}") from error
        with file:
            return self.put_pieces(iter(lambda: file.read(COPY_BYTES), b""), limit, str(source))

    def put_pieces(self, pieces: Iterable[bytes], limit: int, what: str) -> tuple[Digest, int]:
        """Stores `pieces`, joined, one after the other; durable. Returns its name and size.

        Raises ContentError: more than `limit` bytes of `what`. SpaceError: the disk is full.
        """
        make_folder(self._folder)
        temporary = self._folder / f".{secrets.token_hex(8)}{_TEMPORARY}"
        hashed, size = hashlib.sha256(), 0
        try:
            with space_errors(what), temporary.open("xb") as file:
                for piece in pieces:
                    size += len(piece)
                    if size > limit:
                        raise ContentError(f"{what}: more than the {limit:,} bytes allowed")
                    hashed.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                path = self.path(Digest(hashed.hexdigest()))
                make_folder(path.parent)
                temporary.replace(path)
                fsync_dir(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return Digest(path.name), size

    def get(self, name: Digest) -> bytes:
        """The bytes of `name`. Raises ContentError when they are missing or damaged."""
        path = self.path(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unreadable(name, error) from error
        if digest(data) != name:
            raise _damaged(name, path)
        return data

    def slice(self, name: Digest, start: int, length: int) -> bytes:
        """`length` bytes of `name` from `start`, fewer at its end. Raises as `get`."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_size <= SMALL_BYTES:
                    return self.get(name)[start : start + length]
                self._see(name, file, (stat.st_mtime_ns, stat.st_size))
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise _unreadable(name, error) from error

    def _see(self, name: Digest, file: BufferedReader, stamp: tuple[int, int]) -> None:
        """Hashes `file` unless it was sound with this stamp. Raises ContentError."""
        if self._sound.get(name) == stamp:
            return
        if hashlib.file_digest(file, "sha256").hexdigest() != name:
            raise _damaged(name, self.path(name))
        while len(self._sound) >= MAX_SOUND:
            self._sound.pop(next(iter(self._sound)), None)
        self._sound[name] = stamp

    def remove(self, name: Digest) -> None:
        """Forgets `name`; nothing happens when it is not there."""
        self.path(name).unlink(missing_ok=True)

    def digests(self) -> Iterator[Digest]:
        """The names of all objects, sorted. Foreign and half-written files are not objects."""
        if not self._folder.is_dir():
            return
        for folder in sorted(self._folder.iterdir()):
            if not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                with contextlib.suppress(ContentError):
                    name = parse_digest(path.name)
                    if folder.name == name[:2]:
                        yield name


def _unreadable(name: Digest, error: OSError) -> ContentError:
    return ContentError(
        f"object {name[:12]} cannot be read: {error.strerror}",
        hint="the next sync fetches it again",
    )


def _damaged(name: Digest, path: Path) -> ContentError:
    return ContentError(
        f"object {name[:12]} is damaged: {path}", hint="the next sync fetches it again"
    )
