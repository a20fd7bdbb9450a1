"""The decoder on ONNX Runtime: tokens and positions in, logits out.

* Keys and values live in slabs (`slabs`), in the type that the model file asks for: float32,
  or int8 after `models.calibrate`. A slot is bound as past and as present: attention appends
  in place, nothing is copied.
* The last slot is scratch, for scoring. Slots 0..n-1 decode together as one batch.
* One thread at a time. The caller owns what is in which slot; a slot needs no clearing, rows
  past a sequence's length are never read.
* Logits are valid until the next call.
* A run without memory is OutOfMemory; what the slots hold below their lengths stays valid.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.engine.slabs import Slab, Slabs
from models.engine.speculate import Pace
from models.errors import ModelError, OutOfMemory

Logits = npt.NDArray[np.float32]

KEPT_ROWS = 16
"""A run of up to so many rows keeps its binding: it comes again with every token."""
PROBE_TOKENS = 6
PROBE_PAST = 250
_FACTS = ("layers", "heads", "head_size", "context", "vocabulary")
_KINDS = {"tensor(float)": np.float32, "tensor(int8)": np.int8}
_NO_MEMORY = ("bad_alloc", "allocate memory", "out of memory")


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
        self.pace: Pace | None = None
        """What runs cost; None until `measure` has found that guesses change nothing."""
        self._session = session
        names = [f"{part}.{layer}" for layer in range(shape.layers) for part in "kv"]
        kinds = {arg.name: _KINDS[arg.type] for arg in session.get_inputs() if arg.type in _KINDS}
        size = (slots, shape.heads, shape.context, shape.head_size)
        self._slabs = Slabs(names, size, kinds["past_k.0"])
        self._logits = np.zeros(max(slots, KEPT_ROWS) * shape.vocabulary, np.float32)
        self._kept: dict[tuple[int, int, int, int], _Bound] = {}
        self.move = self._slabs.move
        self.copy = self._slabs.copy
        self.load = self._slabs.load
        self.release = self._slabs.release

    @classmethod
    def open(cls, path: Path, *, threads: int, slots: int, spin: bool = False) -> "Runner":
        """Load a graph of models.build_gpt2.

        `spin` keeps the threads turning between two operators of a run, never between runs: an
        idle engine costs nothing. Without it a lone request is a tenth to a third slower.

        Raises:
            ModelError: onnxruntime cannot load it, or it is no such graph.
        """
        import onnxruntime  # 30 MB of memory: only a process that opens a model pays for it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
        options.add_session_config_entry("session.force_spinning_stop", "1")
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
    def vocabulary(self) -> int:
        """Width of a row of logits."""
        return self.shape.vocabulary

    @property
    def scratch(self) -> int:
        """The slot that no sequence owns."""
        return self.slots

    @property
    def row_bytes(self) -> int:
        """Keys and values of one token."""
        return self._slabs.row_bytes

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
        self._run(bound)
        logits: Logits = bound.logits[0]
        return logits

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """One token more for each of the slots 0..n-1, which hold `lengths` tokens.

        The logits are [n, vocabulary].
        """
        bound = self._bind(0, len(tokens), 1, 1)
        bound.ids[:, 0] = tokens
        bound.positions[:, 0] = lengths
        bound.last[:] = lengths
        bound.total[...] = max(lengths) + 1
        self._run(bound)
        logits: Logits = bound.logits[:, 0]
        return logits

    def measure(self) -> Pace | None:
        """Find out what runs cost, and whether several rows in one run give, to the bit, what
        they give one by one; where they do not, guessing could change an answer.

        Reads a few tokens behind made-up keys and values; needs all slots empty.
        """
        past = min(PROBE_PAST, self.context - PROBE_TOKENS)
        if past < 1:
            return None
        noise = np.random.default_rng(0).integers(-99, 99, (past, self.row_bytes), np.int8)
        block = self._probe_block(noise, past)
        for slot in (0, self.scratch):
            self.load(slot, 0, block)
        tokens = [(7 * place + 1) % self.vocabulary for place in range(PROBE_TOKENS)]
        singly = []
        one = many = float("inf")
        for place, token in enumerate(tokens):
            began = time.perf_counter()
            singly.append(self.decode([token], [past + place])[0].copy())
            one = min(one, time.perf_counter() - began)
        for _ in range(2):
            began = time.perf_counter()
            together = self.append(self.scratch, tokens, past, range(PROBE_TOKENS))
            many = min(many, time.perf_counter() - began)
        same = bool((together == np.stack(singly)).all())
        self.release(0)
        if same:
            self.pace = Pace.of(one, many, PROBE_TOKENS)
        return self.pace

    def _probe_block(self, noise: Slab, past: int) -> Slab:
        s = self.shape
        parts = 2 * s.layers
        item = self.row_bytes // (parts * s.heads * s.head_size)
        shape = (parts, s.heads, past, s.head_size)
        plain = noise.reshape(-1)[: parts * s.heads * past * s.head_size].reshape(shape)
        return plain if item == 1 else (plain / np.float32(50)).astype(np.float32)

    def _run(self, bound: _Bound) -> None:
        try:
            self._session.run_with_iobinding(bound.io)
        except Exception as error:
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
                raise OutOfMemory(f"the model could not run {bound.ids.size} tokens") from error
            raise

    def _bind(self, slot: int, batch: int, count: int, rows: int) -> _Bound:
        key = (slot, batch, count, rows)
        bound = self._kept.get(key)
        if bound is not None:
            return bound
        size = batch * rows * self.shape.vocabulary
        kept = count == 1 or (batch == 1 and count <= KEPT_ROWS)
        logits = self._logits[:size] if kept else np.zeros(size, np.float32)
        bound = _Bound(
            io=self._session.io_binding(),
            ids=np.zeros((batch, count), np.int64),
            positions=np.zeros((batch, count), np.int64),
            last=np.zeros(batch, np.int32),
            total=np.zeros((), np.int32),
            rows=np.zeros((batch, rows), np.int64),
            logits=logits.reshape(batch, rows, self.shape.vocabulary),
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
        for name, slab in self._slabs.by_name.items():
            window = slab[slot : slot + batch]
            _point(bound.io.bind_input, f"past_{name}", window)
            _point(bound.io.bind_output, f"present_{name}", window)
        if kept:
            self._kept[key] = bound
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
