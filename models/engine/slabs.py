"""Keys and values of all slots: one slab a part and layer, [slots + 1, heads, context, size].

* Anonymous memory: a page that nothing was written to costs nothing, and `release` gives
  pages back (Linux).
* The last slot is scratch; `release` leaves it alone.
"""

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Slab = npt.NDArray[Any]


class Slabs:
    """See the module. `names` are the parts, in the order of a block's first axis."""

    def __init__(
        self, names: Sequence[str], shape: tuple[int, int, int, int], kind: npt.DTypeLike
    ) -> None:
        """`shape`: slots without scratch, heads, context, head size."""
        slots, heads, context, size = shape
        self._slots = slots
        item = np.dtype(kind).itemsize
        self._stride = heads * context * size * item
        self.row_bytes = len(names) * heads * size * item
        """Of one token, over all layers."""
        self._maps = [_memory((slots + 1) * self._stride) for _ in names]
        arrays = [np.frombuffer(memory, kind) for memory in self._maps]
        whole = (slots + 1, heads, context, size)
        self.by_name = {n: a.reshape(whole) for n, a in zip(names, arrays, strict=True)}

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of slot `source` to slot `target`."""
        for slab in self.by_name.values():
            slab[target, :, :length] = slab[source, :, :length]

    def copy(self, slot: int, start: int, stop: int) -> Slab:
        """Tokens [start, stop) of `slot`: [parts, heads, stop - start, size]."""
        return np.stack([slab[slot, :, start:stop] for slab in self.by_name.values()])

    def load(self, slot: int, start: int, block: Slab) -> None:
        """Put what `copy` gave into `slot`, from token `start` on."""
        stop = start + block.shape[2]
        for slab, part in zip(self.by_name.values(), block, strict=True):
            slab[slot, :, start:stop] = part

    def release(self, first: int) -> None:
        """Give back the memory of slots `first` and after; they read as zeros."""
        advice = getattr(mmap, "MADV_DONTNEED", None)
        start = -(-first * self._stride // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = self._slots * self._stride // mmap.PAGESIZE * mmap.PAGESIZE
        if advice is None or start >= stop:
            return
        for memory in self._maps:
            memory.madvise(advice, start, stop - start)


def _memory(size: int) -> mmap.mmap:
    """Private: only then does `release` really give pages back."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
