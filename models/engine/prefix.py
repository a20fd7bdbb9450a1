"""What the model has read before: keys and values of the beginnings of prompts.

* A block is one chunk of a prompt: the keys and values of `chunk` tokens, kept under all the
  tokens up to its end, exactly. Prompts that begin alike share their blocks.
* Blocks end where the scheduler cuts, so a copied block holds to the bit what reading it again
  would give (the cuts depend on the prompt alone, and a row on what stands before it).
* At most `limit` bytes; the block that was not used for the longest goes first. A block is
  used whenever one behind it is, so no block is ever left without those before it.
* The engine's thread is the only user.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[Any]


class Prefixes:
    """A bounded store of blocks."""

    def __init__(self, limit: int, chunk: int) -> None:
        self._limit = limit
        self._chunk = chunk
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()
        self.bytes = 0
        """Size of what is kept."""

    def __len__(self) -> int:
        return len(self._blocks)

    def held(self, tokens: Sequence[int]) -> int:
        """How many of the first tokens could be copied."""
        count = 0
        for key in self._keys(tokens):
            if key not in self._blocks:
                break
            count += self._chunk
        return count

    def find(self, tokens: Sequence[int]) -> list[Block]:
        """The blocks of all of `tokens`, which `held` has promised."""
        keys = list(self._keys(tokens))
        found = [self._blocks[key] for key in keys]
        self._use(keys)
        return found

    def keep(self, tokens: Sequence[int], block: Block) -> None:
        """`block` holds the last chunk of `tokens`; forgotten at once when it does not fit."""
        *before, key = self._keys(tokens)
        if block.nbytes > self._limit or any(k not in self._blocks for k in before):
            return
        if key not in self._blocks:
            self._blocks[key] = block
            self.bytes += block.nbytes
        self._use([*before, key])
        while self.bytes > self._limit:
            _, oldest = self._blocks.popitem(last=False)
            self.bytes -= oldest.nbytes

    def wants(self, tokens: Sequence[int]) -> bool:
        """Whether `tokens` end with a whole chunk that is not kept yet."""
        whole = len(tokens) % self._chunk == 0 and self._limit > 0
        return whole and np.asarray(tokens, np.int32).tobytes() not in self._blocks

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self.bytes = 0

    def _use(self, keys: Sequence[bytes]) -> None:
        for key in reversed(keys):
            self._blocks.move_to_end(key)

    def _keys(self, tokens: Sequence[int]) -> Iterator[bytes]:
        whole = np.asarray(tokens, np.int32)
        for stop in range(self._chunk, len(whole) + 1, self._chunk):
            yield whole[:stop].tobytes()
