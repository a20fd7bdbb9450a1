"""The decoder on ONNX Runtime: tokens and positions in, logits out.

* Keys and values live in slabs, one pair a layer, [slots + 1, heads, context, head size].
  A slot is bound as past and as present: attention appends in place, nothing is copied.
  Pages that no token has touched cost no memory.
* The last slot is scratch, for scoring. Slots 0..n-1 decode together as one batch.
* One thread at a time. The caller owns what is in which slot; a slot needs no clearing, rows
  past a sequence's length are never read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

Logits = npt.NDArray[np.float32]

_FACTS = ("layers", "heads", "head_size", "context", "vocabulary")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the model file says of itself."""

    layers: int
    heads: int
    head_size: int
    context: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class _Bound:
    """A binding and the arrays behind it, written anew for each step."""

    io: Any
    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    last: npt.NDArray[np.int32]
    total: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    logits: Logits


class Runner:
    """An opened decoder with its slabs."""

    def __init__(self, session: Any, shape: Shape, slots: int) -> None:
        self.shape = shape
        self.slots = slots
        self._session = session
        size = (slots + 1, shape.heads, shape.context, shape.head_size)
        self._slabs = {
            f"{part}.{layer}": np.zeros(size, np.float32)
            for layer in range(shape.layers)
            for part in "kv"
        }
        self._decoders: dict[int, _Bound] = {}

    @classmethod
    def open(cls, path: Path, *, threads: int, slots: int, spin: bool = False) -> "Runner":
        """Load a graph of models.build_gpt2.

        `spin` keeps the threads turning between two operators. Without it a lone request is
        about a third slower (GPT-2 124M, two threads), and an idle engine costs nothing.

        Raises:
            ModelError: onnxruntime cannot load it, or it is no such graph.
        """
        import onnxruntime  # 30 MB of memory: only a process that opens a model pays for it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common base of their own
            raise ModelError(f"onnxruntime cannot load {path}: {error}") from error
        return cls(session, _shape(path, session.get_modelmeta().custom_metadata_map), slots)

    @property
    def context(self) -> int:
        """Tokens that fit a slot."""
        return self.shape.context

    @property
    def scratch(self) -> int:
        """The slot that no sequence owns."""
        return self.slots

    def append(
        self, slot: int, tokens: Sequence[int], start: int, rows: Sequence[int] = (-1,)
    ) -> Logits:
        """Write `tokens` at positions start.. of `slot`; logits [len(rows), vocabulary].

        `rows` are places in `tokens`; by default the last one.
        """
        count = len(tokens)
        bound = self._bind(slot, 1, count, len(rows))
        bound.ids[0] = tokens
        bound.positions[0] = np.arange(start, start + count)
        bound.last[0] = start + count - 1
        bound.total[...] = start + count
        bound.rows[0] = [row % count for row in rows]
        self._session.run_with_iobinding(bound.io)
        logits: Logits = bound.logits[0]
        return logits

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """One token more for each of the slots 0..n-1, which hold `lengths` tokens.

        The logits [n, vocabulary] are valid until the next call.
        """
        count = len(tokens)
        bound = self._decoders.get(count)
        if bound is None:
            bound = self._decoders[count] = self._bind(0, count, 1, 1)
        bound.ids[:, 0] = tokens
        bound.positions[:, 0] = lengths
        bound.last[:] = lengths
        bound.total[...] = max(lengths) + 1
        self._session.run_with_iobinding(bound.io)
        logits: Logits = bound.logits[:, 0]
        return logits

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of slot `source` to slot `target`."""
        for slab in self._slabs.values():
            slab[target, :, :length] = slab[source, :, :length]

    def _bind(self, slot: int, batch: int, count: int, rows: int) -> _Bound:
        bound = _Bound(
            io=self._session.io_binding(),
            ids=np.zeros((batch, count), np.int64),
            positions=np.zeros((batch, count), np.int64),
            last=np.zeros(batch, np.int32),
            total=np.zeros((), np.int32),
            rows=np.zeros((batch, rows), np.int64),
            logits=np.zeros((batch, rows, self.shape.vocabulary), np.float32),
        )
        for name, array in (
            ("input_ids", bound.ids),
            ("positions", bound.positions),
            ("last", bound.last),
            ("total", bound.total),
            ("rows", bound.rows),
        ):
            _point(bound.io.bind_input, name, array)
        _point(bound.io.bind_output, "logits", bound.logits)
        for name, slab in self._slabs.items():
            window = slab[slot : slot + batch]
            _point(bound.io.bind_input, f"past_{name}", window)
            _point(bound.io.bind_output, f"present_{name}", window)
        return bound


def _point(bind: Any, name: str, array: npt.NDArray[Any]) -> None:
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _shape(path: Path, facts: Mapping[str, str]) -> Shape:
    if facts.get("chaski.kind") != "gpt2":
        raise ModelError(
            f"{path} is no decoder of models.build_gpt2", hint="give the name of a decoder model"
        )
    try:
        return Shape(**{name: int(facts[f"chaski.{name}"]) for name in _FACTS})
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} has incomplete metadata: {error}") from error
