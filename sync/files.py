"""Durable files. The only place that knows temp file, fsync, rename, fsync the directory.

* After `atomic_write` returns, the old or the new bytes are there whatever happens to the
  power; a reader never sees a half-written file.
* An object is stored under its digest and is hashed again each time it is read, or opened;
  one larger than `SMALL_BYTES` of which slices are read, when its file is new to the process or
  has changed.
* One of any length is written and read in pieces: no more of it is in memory.
* A full disk is a SpaceError and changes nothing; other OSErrors pass unchanged, they are
  the seam of the caller.
"""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, overload

from sync.canonical import Digest, digest, parse_digest
from sync.errors import ContentError, SpaceError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What the system says when it cannot take our bytes."""

PIECE_BYTES = 256 * 1024
"""How much of a long file is read at a time."""

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
    atomic_pieces(path.parent, (data,), lambda: path, mode=mode)


def atomic_pieces(
    folder: Path, pieces: Iterable[bytes], place: Callable[[], Path], *, mode: int = 0o644
) -> Path:
    """Puts all `pieces`, joined, where `place` says when they are written; as `atomic_write`.

    They lie in `folder` until then, which is on the same disk. What `pieces` or `place` raises
    passes, and nothing is left.
    """
    with temporary(folder) as path:
        with _created(path, mode) as file:
            for piece in pieces:
                with space_errors(str(folder)):
                    file.write(piece)
            with space_errors(str(folder)):
                file.flush()
                os.fsync(file.fileno())
        final = place()
        _settle(path, final)
    return final


@contextlib.contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A name in `folder` for a file that is being written; nothing is there afterwards."""
    make_folder(folder)
    path = folder / f".{secrets.token_hex(8)}{_TEMPORARY}"
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):  # a read-only disk refuses even to look for it
            path.unlink(missing_ok=True)


def keep(written: Path, path: Path) -> None:
    """Moves a file that was written to `path`, durable when it returns."""
    with space_errors(str(path)), written.open("rb") as file:
        os.fsync(file.fileno())
    _settle(written, path)


def append(path: Path, piece: bytes) -> None:
    """Adds `piece` to the end of a file, which need not be there. Not durable."""
    with space_errors(str(path)), path.open("ab") as file:
        file.write(piece)


def _settle(written: Path, path: Path) -> None:
    make_folder(path.parent)
    with space_errors(str(path)):
        written.replace(path)
        fsync_dir(path.parent)


def file_pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a piece at a time."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def file_digest(path: Path) -> Digest:
    """The digest of a file."""
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest())


@contextlib.contextmanager
def _created(path: Path, mode: int) -> Iterator[BinaryIO]:
    with space_errors(str(path)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    file = os.fdopen(handle, "wb")
    try:
        yield file
    finally:
        with space_errors(str(path)):  # closing writes what a full disk did not take before
            file.close()


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


class Held:
    """A file open for reading in slices, like bytes; nothing of it stays in memory."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._size = os.fstat(handle).st_size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytes: ...
    def __getitem__(self, at: int | slice) -> int | bytes:
        """Raises ContentError when the file cannot be read."""
        start, stop, _ = at.indices(self._size) if isinstance(at, slice) else (at, at + 1, 1)
        try:
            data = b"" if stop <= start else os.pread(self._handle, stop - start, start)
            while 0 < len(data) < stop - start:  # a signal came in between
                more = os.pread(self._handle, stop - start - len(data), start + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise ContentError(f"an object cannot be read: {error.strerror}") from error
        if isinstance(at, slice):
            return data
        if not data:
            raise IndexError(at)
        return data[0]


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
        """Stores the bytes of the file `source`; as `put_bounded`. ContentError: unreadable."""
        try:
            with source.open("rb"):
                return self.put_bounded(file_pieces(source), limit, str(source))
        except OSError as error:
            raise ContentError(f"{source} cannot be read: {error.strerror}") from error

    def put_bounded(self, pieces: Iterable[bytes], limit: int, what: str) -> tuple[Digest, int]:
        """As `put_pieces`; the name and the size.

        Raises ContentError: more than `limit` bytes of `what`.
        """
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in pieces:
                size += len(piece)
                if size > limit:
                    raise ContentError(f"{what}: more than the {limit:,} bytes allowed")
                yield piece

        return self.put_pieces(counted()), size

    def put_pieces(self, pieces: Iterable[bytes]) -> Digest:
        """Stores what `pieces` are, joined; the same, for an object of any length."""
        hashed = hashlib.sha256()

        def seen() -> Iterator[bytes]:
            for piece in pieces:
                hashed.update(piece)
                yield piece

        path = atomic_pieces(self._folder, seen(), lambda: self.path(Digest(hashed.hexdigest())))
        return Digest(path.name)

    def part(self, name: Digest) -> Path:
        """The file in which `name` may grow until it is whole; `keep` judges it then."""
        make_folder(self._folder)
        return self._folder / f".{parse_digest(name)}{_TEMPORARY}"

    def keep(self, name: Digest) -> None:
        """Stores what has grown in `part`, durable when it returns.

        Raises ContentError, and throws it away, when that is not `name`.
        """
        part = self.part(name)
        if file_digest(part) != name:
            part.unlink()
            raise ContentError(f"object {name[:12]} came damaged", hint="the next sync asks again")
        keep(part, self.path(name))

    @contextlib.contextmanager
    def opened(self, name: Digest) -> Iterator[Held]:
        """The object `name` in slices, after it was hashed. Raises ContentError, as `get`."""
        path = self.path(name)
        try:
            sound = file_digest(path) == name
            handle = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise _unread(name, error) from error
        try:
            if not sound:
                raise _damaged(name, path)
            yield Held(handle)
        finally:
            os.close(handle)

    def check(self, name: Digest) -> None:
        """Raises ContentError when `name` is missing or damaged."""
        with self.opened(name):
            pass

    def get(self, name: Digest) -> bytes:
        """The bytes of `name`. Raises ContentError when they are missing or damaged."""
        path = self.path(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unread(name, error) from error
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
            raise _unread(name, error) from error

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


def _unread(name: Digest, error: OSError) -> ContentError:
    return ContentError(
        f"object {name[:12]} cannot be read: {error.strerror}",
        hint="the next sync fetches it again",
    )


def _damaged(name: Digest, path: Path) -> ContentError:
    return ContentError(
        f"object {name[:12]} is damaged: {path}", hint="the next sync fetches it again"
    )
