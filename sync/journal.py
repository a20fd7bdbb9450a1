"""Journal: what of which bundle is on disk. It survives a kill at any byte.

* A download is one file, `<digest of the bundle>.part`, bytes at their places; there is no
  other state. On opening every chunk is hashed: what is sound counts, nothing else.
* A chunk counts as arrived only after fsync. The bytes of an interrupted chunk are kept and
  judged when it is complete; a chunk that does not hash as announced is forgotten.
* Bytes may be asked for in any order, from the beginning of a chunk on: a group in the middle
  of a bundle comes first when it is worth more.
* Beside it, `<digest>.list` may hold what the objects must hash to. Who reads it judges it.
* Chunks belong to the digest of the bundle, not to a road: one begun over HTTP is
  completed from a stick.
* One writer: who owns the folder. Old downloads are dropped beyond `keep`.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from sync.bundle.offer import Offer
from sync.canonical import Digest, digest, parse_digest
from sync.errors import ContentError
from sync.files import atomic_write, fsync_dir, make_folder, space_errors

_PART = ".part"
_LIST = ".list"


class Journal:
    """The downloads in one folder."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self._folder = folder
        self._keep = keep

    def open(self, offer: Offer) -> "Download":
        """The download of `offer`, with what is on disk already. Raises SpaceError."""
        make_folder(self._folder)
        path = self._folder / f"{parse_digest(offer.bundle)}{_PART}"
        with space_errors(str(path)):
            path.touch()
            os.utime(path)
            fsync_dir(self._folder)
        others = (p for p in self._folder.glob(f"*{_PART}") if p != path)
        for stale in sorted(others, key=_age)[max(self._keep - 1, 0) :]:
            _forget(stale)
        return Download(path, offer)

    def held(self) -> dict[Digest, int]:
        """Bytes on disk of each bundle that was begun."""
        parts = self._folder.glob(f"*{_PART}") if self._folder.is_dir() else ()
        return {Digest(path.stem): path.stat().st_size for path in sorted(parts)}

    def discard(self, bundle: Digest) -> None:
        """Forgets all of `bundle`."""
        _forget(self._folder / f"{parse_digest(bundle)}{_PART}")


class Download:
    """One bundle on its way in. Made by `Journal.open`."""

    def __init__(self, path: Path, offer: Offer) -> None:
        self.offer = offer
        self._path = path
        self._arrived = [False] * offer.chunk_count
        self._partial: dict[int, int] = {}
        self._verify()

    @property
    def path(self) -> Path:
        """The file, however much of it is there."""
        return self._path

    @property
    def bytes_arrived(self) -> int:
        """Bytes in chunks that have arrived."""
        spans = (self.offer.span(n) for n, here in enumerate(self._arrived) if here)
        return sum(stop - start for start, stop in spans)

    def missing(self) -> tuple[range, ...]:
        """Runs of chunk numbers that have not arrived, in order."""
        runs: list[range] = []
        for number, here in enumerate(self._arrived):
            if here:
                continue
            if runs and runs[-1].stop == number:
                runs[-1] = range(runs[-1].start, number + 1)
            else:
                runs.append(range(number, number + 1))
        return tuple(runs)

    def wanted(self, start: int = 0, stop: int | None = None) -> tuple[int, int] | None:
        """The next bytes to ask for, (first, one after last), so that all from `start` up to
        `stop` (default: the whole bundle) are here; None when they are.

        Begins inside a chunk when the last interruption left part of it, and before `start`
        when nothing is held of the chunk that it lies in.
        """
        stop = self.offer.size if stop is None else min(stop, self.offer.size)
        for number in range(start // self.offer.chunk_size, self.offer.chunk_count):
            if self.offer.span(number)[0] >= stop:
                break
            have = self._have(number)
            if have < min(self.offer.span(number)[1], stop):
                return have, self._run(number, stop)
        return None

    def cost(self, start: int, stop: int) -> int:
        """How many bytes must come so that all from `start` up to `stop` are here."""
        size, stop = self.offer.chunk_size, min(stop, self.offer.size)
        return sum(
            max(0, min(self.offer.span(number)[1], stop) - self._have(number))
            for number in range(start // size, -(-stop // size))
        )

    def note(self, digests: bytes) -> None:
        """Keeps what the objects of the bundle must hash to. Raises SpaceError."""
        atomic_write(self._path.with_suffix(_LIST), digests)

    def noted(self) -> bytes | None:
        """What `note` kept, here or in an earlier process."""
        path = self._path.with_suffix(_LIST)
        return path.read_bytes() if path.is_file() else None

    def doubt(self, start: int, stop: int) -> bool:
        """Forgets what is here from `start` up to `stop` in chunks that have not arrived; was
        there any? For bytes that turned out wrong before their chunk was complete."""
        size = self.offer.chunk_size
        doubted = [n for n in range(start // size, -(-stop // size)) if n in self._partial]
        for number in doubted:
            first = self.offer.span(number)[0]
            self._put(first, bytes(self._partial.pop(number)), durable=False)
        return bool(doubted)

    def write(self, number: int, data: bytes) -> None:
        """Takes the whole chunk `number`, durable when it returns.

        Raises ContentError when it is not that chunk, SpaceError when the disk is full.
        """
        if not 0 <= number < self.offer.chunk_count:
            raise ContentError(f"{self._name}: there is no chunk {number}")
        self._judge(number, data)
        self._put(self.offer.span(number)[0], data, durable=True)
        self._mark(number)

    def feed(self, start: int, data: bytes) -> None:
        """Takes bytes as they arrive, the first of them at `start` as `wanted` said.

        Chunks that become complete are judged as by `write`; what is left over is kept
        for the next call or the next process. Raises ContentError, SpaceError.
        """
        while data:
            number = start // self.offer.chunk_size
            first, stop = self.offer.span(number)
            held = self._partial.get(number, 0)
            if number >= self.offer.chunk_count or start != first + held:
                raise ContentError(f"{self._name}: bytes at {start} were not asked for")
            piece, data = data[: stop - start], data[stop - start :]
            start += len(piece)
            self._put(start - len(piece), piece, durable=start == stop)
            if start < stop:
                self._partial[number] = start - first
                return
            self._partial.pop(number, None)
            try:
                self._judge(number, self._get(first, stop))
            except ContentError:
                self._put(first, bytes(stop - first), durable=False)  # else it looks begun
                raise
            self._mark(number)

    def complete(self) -> Path:
        """Where the whole bundle is, hashed once more. Raises ContentError if it is not whole.

        A bundle whose chunks are right and whose digest is not is forgotten.
        """
        if runs := self.missing():
            raise ContentError(f"{self._name}: {sum(map(len, runs))} chunks have not arrived")
        with self._path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.offer.bundle:
            self.discard()
            raise ContentError(
                f"{self._name}: all chunks are right, but not together",
                hint="the offer was wrong; it is asked for again",
            )
        return self._path

    def discard(self) -> None:
        """Forgets everything that has arrived."""
        _forget(self._path)
        self._arrived = [False] * self.offer.chunk_count
        self._partial = {}

    @property
    def _name(self) -> str:
        return f"bundle {self.offer.bundle[:12]}"

    def _judge(self, number: int, data: bytes) -> None:
        if digest(data) != self.offer.chunk_digest(number):
            raise ContentError(
                f"{self._name}: chunk {number} is not the one announced",
                hint="it is fetched again, from another source if there is one",
            )

    def _mark(self, number: int) -> None:
        self._arrived[number] = True
        self._partial.pop(number, None)

    def _have(self, number: int) -> int:
        """The byte up to which chunk `number` is here."""
        first, stop = self.offer.span(number)
        return stop if self._arrived[number] else first + self._partial.get(number, 0)

    def _run(self, number: int, stop: int) -> int:
        """The end of a question that begins in chunk `number`: it goes on through chunks of
        which nothing is here."""
        end = self.offer.span(number)[1]
        while end < stop and self._have(number + 1) == end:
            number += 1
            end = self.offer.span(number)[1]
        return min(end, stop)

    def _verify(self) -> None:
        """Finds what is sound on disk; cuts off what is longer than the bundle."""
        size = self._path.stat().st_size
        if size > self.offer.size:
            os.truncate(self._path, self.offer.size)
        for number, (first, stop) in self._spans():
            if first >= size:
                break
            piece = self._get(first, stop)
            if digest(piece) == self.offer.chunk_digest(number):
                self._arrived[number] = True
            elif len(piece) < stop - first:
                self._partial[number] = len(piece)
            elif 0 < (held := len(piece.rstrip(b"\0"))) < stop - first:
                self._partial[number] = held  # the rest is a hole in the file

    def _spans(self) -> Iterator[tuple[int, tuple[int, int]]]:
        for number in range(self.offer.chunk_count):
            yield number, self.offer.span(number)

    def _get(self, start: int, stop: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def _put(self, start: int, data: bytes, *, durable: bool) -> None:
        with space_errors(str(self._path)):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(handle, data[written:], start + written)
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_suffix(_LIST).unlink(missing_ok=True)


def _age(path: Path) -> tuple[int, str]:
    """Sorts the most recently opened first."""
    return -path.stat().st_mtime_ns, path.name
