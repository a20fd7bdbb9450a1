"""Bases: which old object each new one is best told from.

* The old object at the same path, unless another shares clearly more with the new one;
  for a new path, the one that shares the most.
* What two objects share is judged by sampled shingles: 16-byte windows that begin with a
  chosen byte. `m` is about 3 % of Spanish, English and Quechua text; the others are 1 in 16
  of anything else.
* Work is bounded: samples of an object, objects of a shingle, bytes read. Ties go to the
  earlier path, so that the same manifests give the same bundle.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from sync.canonical import Digest
from sync.manifest import Entry, Manifest

MAX_SAMPLES = 16_384
MAX_SAMPLED_BYTES = 1024 * 1024
MAX_SHARERS = 40
MAX_READ_BYTES = 64 * 1024 * 1024
MAX_INDEXED_BYTES = 4 * 1024 * 1024
GOOD_SHARE = 0.5
CLEARLY_MORE = 0.2
LEAST_SHARE = 0.05
LONG_SHARE = 0.25
"""By what part of its size the base of a long object may be longer or shorter."""

_SHINGLE = re.compile(rb"(?=([m\x00-\x07\x80-\x87].{15}))", re.DOTALL)


def sample(data: bytes) -> frozenset[bytes]:
    """The sampled shingles of `data`."""
    return frozenset(_SHINGLE.findall(data, 0, MAX_SAMPLED_BYTES)[:MAX_SAMPLES])


class BaseFinder:
    """Finds bases in one old manifest; `read` gives its objects."""

    def __init__(
        self, base: Manifest | None, target: Manifest, read: Callable[[Digest], bytes]
    ) -> None:
        self._read = read
        self._olds = base.by_path() if base else {}
        self._kept = target.by_path()
        self._candidates = sorted(self._olds.values(), key=lambda e: (e.path in self._kept, e.path))
        self._sharers: dict[bytes, list[int]] | None = None

    def find(self, entry: Entry, data: bytes) -> Entry | None:
        """The base for `entry`, whose bytes are `data`; None when nothing resembles it."""
        own = self._olds.get(entry.path)
        if not self._olds:
            return None
        shingles = sample(data)
        share = _share(shingles, sample(self._read(own.hash))) if own and shingles else 0.0
        if share >= GOOD_SHARE:
            return own
        nearest, shared = self._nearest(shingles)
        if nearest and shared >= max(LEAST_SHARE, share + CLEARLY_MORE if own else 0.0):
            return nearest
        return own

    def find_long(self, entry: Entry) -> Entry | None:
        """The base for an object too long to be read: at its path, or nearest in size among
        those whose names end like its own and whose path is gone, or not."""
        own = self._olds.get(entry.path)
        like = [
            (old.path in self._kept, abs(old.size - entry.size), old.path)
            for old in self._olds.values()
            if PurePosixPath(old.path).suffix == PurePosixPath(entry.path).suffix
            and abs(old.size - entry.size) <= LONG_SHARE * entry.size
        ]
        return own or (self._olds[min(like)[-1]] if like else None)

    def _nearest(self, shingles: frozenset[bytes]) -> tuple[Entry | None, float]:
        if self._sharers is None:
            self._sharers = self._index(self._candidates)
        counts = Counter(place for s in shingles for place in self._sharers.get(s, ()))
        if not counts:
            return None, 0.0
        place, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        return self._candidates[place], count / len(shingles)

    def _index(self, candidates: Sequence[Entry]) -> dict[bytes, list[int]]:
        """Which candidates have each shingle; those whose path is gone come first."""
        sharers: dict[bytes, list[int]] = {}
        seen: set[Digest] = set()
        left = MAX_READ_BYTES
        for place, entry in enumerate(candidates):
            if entry.hash in seen or entry.size > min(left, MAX_INDEXED_BYTES):
                continue
            seen.add(entry.hash)
            left -= entry.size
            for shingle in sample(self._read(entry.hash)):
                places = sharers.setdefault(shingle, [])
                if len(places) < MAX_SHARERS:
                    places.append(place)
        return sharers


def _share(new: frozenset[bytes], old: frozenset[bytes]) -> float:
    return len(new & old) / len(new)
