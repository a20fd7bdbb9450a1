"""One engine in a process of its own: how fast, how large, how near. Prints one line of JSON.

`python -m tests.bench.engine_worker NAME PATH THREADS MOST [TOKENS.npy]`: decodes MOST at once
at most; with TOKENS [rows, n] it tells instead the logits of each row's positions, teacher-forced,
as a file beside it.
"""

import ctypes
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

PROMPT, STEPS, PREFILL = 64, 64, 256
Logits = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]


class Driven(Protocol):
    """An engine as it is driven here: rows of equal length, greedy outside."""

    vocabulary: int

    def read(self, tokens: Tokens) -> Logits:
        """Begins anew with `tokens` [B, S]; the logits of each row's last."""
        ...

    def step(self, tokens: Tokens, position: int) -> Logits:
        """One token more for each row."""
        ...


class Ours:
    """Our Runner, its threads spinning within a run as a node has it while it answers."""

    def __init__(self, path: Path, threads: int, most: int) -> None:
        from models.engine.runner import Runner

        self._runner = Runner.open(path, threads=threads, slots=most, spin=True)
        self.vocabulary = self._runner.shape.vocabulary

    def read(self, tokens: Tokens) -> Logits:
        rows = [self._runner.append(slot, row, 0).copy() for slot, row in enumerate(tokens)]
        return np.concatenate(rows)

    def step(self, tokens: Tokens, position: int) -> Logits:
        return self._runner.decode(tokens.tolist(), [position] * len(tokens))


class Optimum:
    """An exported graph, its cache handed back and forth without copies to Python."""

    def __init__(self, path: Path, threads: int, most: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        inputs = {i.name: i for i in self._session.get_inputs()}
        self._past = [name for name in inputs if name.startswith("past")]
        self._names = set(inputs)
        self._outputs = [o.name for o in self._session.get_outputs()]
        shape = inputs[self._past[0]].shape
        self._heads, self._size = shape[1], shape[3]
        self.vocabulary = self._session.get_outputs()[0].shape[-1]
        self._held: list[Any] = []
        self._ort = onnxruntime

    def read(self, tokens: Tokens) -> Logits:
        empty = np.zeros((len(tokens), self._heads, 0, self._size), np.float32)
        self._held = [self._ort.OrtValue.ortvalue_from_numpy(empty)] * len(self._past)
        return self._run(tokens, 0)

    def step(self, tokens: Tokens, position: int) -> Logits:
        return self._run(tokens[:, None], position)

    def _run(self, tokens: Tokens, position: int) -> Logits:
        batch, count = tokens.shape
        io = self._session.io_binding()
        io.bind_cpu_input("input_ids", np.ascontiguousarray(tokens))
        if "attention_mask" in self._names:
            io.bind_cpu_input("attention_mask", np.ones((batch, position + count), np.int64))
        if "position_ids" in self._names:
            places = np.arange(position, position + count, dtype=np.int64)
            io.bind_cpu_input("position_ids", np.tile(places, (batch, 1)))
        for name, value in zip(self._past, self._held, strict=True):
            io.bind_ortvalue_input(name, value)
        for name in self._outputs:
            io.bind_output(name, "cpu")
        self._session.run_with_iobinding(io)
        logits, *self._held = io.get_outputs()
        last: Logits = logits.numpy()[:, -1]
        return last


class Llama:
    """llama.cpp by its C functions: one llama_decode a step, as its own examples do."""

    def __init__(self, path: Path, threads: int, most: int) -> None:
        import llama_cpp as c

        self._c = c
        self._quiet = c.llama_log_callback(lambda *_: None)
        c.llama_log_set(self._quiet, ctypes.c_void_p(None))
        c.llama_backend_init()
        asked = c.llama_model_default_params()
        asked.n_gpu_layers = 0
        model = c.llama_model_load_from_file(str(path).encode(), asked)
        self.vocabulary = int(c.llama_vocab_n_tokens(c.llama_model_get_vocab(model)))
        wanted = c.llama_context_default_params()
        wanted.n_ctx = wanted.n_batch = 512 * most
        wanted.n_ubatch, wanted.n_seq_max = 512, most
        wanted.n_threads = wanted.n_threads_batch = threads
        self._context = c.llama_init_from_model(model, wanted)
        self._batch = c.llama_batch_init(512 * most, 0, most)

    def read(self, tokens: Tokens) -> Logits:
        self._c.llama_memory_clear(self._c.llama_get_memory(self._context), True)
        return self._run(tokens, 0)

    def step(self, tokens: Tokens, position: int) -> Logits:
        return self._run(tokens[:, None], position)

    def _run(self, tokens: Tokens, position: int) -> Logits:
        batch, at, ends = self._batch, 0, []
        for row, one in enumerate(tokens):
            for place, token in enumerate(one):
                batch.token[at], batch.pos[at] = int(token), position + place
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = row
                batch.logits[at] = place == len(one) - 1
                at += 1
            ends.append(at - 1)
        batch.n_tokens = at
        if code := self._c.llama_decode(self._context, batch):
            raise RuntimeError(f"llama_decode: {code}")
        found = [self._c.llama_get_logits_ith(self._context, end) for end in ends]
        return np.stack([np.ctypeslib.as_array(one, (self.vocabulary,)) for one in found])


class CTranslate2:
    """Generates whole texts only: a step's time is that of many less that of one."""

    def __init__(self, path: Path, threads: int, most: int) -> None:
        import ctranslate2

        self._generator = ctranslate2.Generator(
            str(path), device="cpu", inter_threads=1, intra_threads=threads
        )
        self._names = json.loads((path / "vocabulary.json").read_text(encoding="utf-8"))
        self.vocabulary = len(self._names)

    def write(self, tokens: Tokens, count: int) -> None:
        """`count` tokens more for each row."""
        self._generator.generate_batch(
            [[self._names[token] for token in row] for row in tokens],
            max_length=count, min_length=count, sampling_topk=1, max_batch_size=0,
            include_prompt_in_result=False, end_token=[], return_end_token=True,
        )  # fmt: skip


KINDS: dict[str, Callable[[Path, int, int], Any]] = {
    "ours": Ours,
    "optimum": Optimum,
    "llama.cpp": Llama,
    "ctranslate2": CTranslate2,
}


def memory() -> dict[str, float]:
    """Megabytes of this process: all, and what no other could share."""
    found = {}
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            found[name] = int(rest.split()[0]) / 1024
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def decode(engine: Any, prompt: Tokens) -> float:
    """Tokens a second, all rows together."""
    if isinstance(engine, CTranslate2):
        one = timed(lambda: engine.write(prompt, 1))
        return STEPS * len(prompt) / (timed(lambda: engine.write(prompt, STEPS + 1)) - one)
    logits = engine.read(prompt)

    def steps() -> None:
        nonlocal logits
        for position in range(PROMPT, PROMPT + STEPS):
            logits = engine.step(logits.argmax(-1).astype(np.int64), position)

    return STEPS * len(prompt) / timed(steps)


def prefill(engine: Any, prompt: Tokens) -> float:
    """Milliseconds."""
    if isinstance(engine, CTranslate2):
        return 1000 * timed(lambda: engine.write(prompt, 1))
    return 1000 * timed(lambda: engine.read(prompt))


def forced(engine: Driven, tokens: Tokens) -> Logits:
    """Logits after each of the tokens from the second on, [rows, n - 1, vocabulary]."""
    rows = []
    for row in tokens:
        told = [engine.read(row[None, :1])[0].copy()]
        told += [engine.step(row[at : at + 1], at)[0].copy() for at in range(1, len(row) - 1)]
        rows.append(np.stack(told))
    return np.stack(rows)


def main(name: str, path: str, threads: str, most: str, tokens: str = "") -> None:
    """See the module."""
    kind = next(known for known in KINDS if name.startswith(known))
    before = memory()
    began = time.perf_counter()
    engine = KINDS[kind](Path(path), int(threads), int(most))
    load = 1000 * (time.perf_counter() - began)
    if tokens:
        np.save(f"{tokens}.{name}.npy", forced(engine, np.load(tokens)))
        return
    random = np.random.default_rng(1)
    decoded = {}
    for batch in (1, 2, 4, 8):
        if batch <= int(most):
            prompt = random.integers(1, engine.vocabulary, (batch, PROMPT))
            decode(engine, prompt[:, :PROMPT])
            decoded[batch] = decode(engine, prompt)
    long = random.integers(1, engine.vocabulary, (1, PREFILL))
    prefill(engine, long)
    result = {
        "load_ms": load, "decode": decoded, "prefill_ms": prefill(engine, long),
        "private_mb": memory()["RssAnon"], "total_mb": memory()["VmRSS"],
        "before_mb": before["RssAnon"],
    }  # fmt: skip
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
