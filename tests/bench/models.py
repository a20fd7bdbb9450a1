"""Models: a synthetic one of 100 int8 tensors (9.73 MB), and three ways of training it on.

The cases of the facts this project started from (seed 5), written as safetensors.
"""

import json

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.int8]
TENSORS = 100
SEED = 5


def cases(scale: float = 1.0) -> dict[str, tuple[bytes, bytes]]:
    """The model before and after, by name of the case; tensors `scale` as large."""
    chance = np.random.default_rng(SEED)
    sizes = chance.integers(int(60_000 * scale), int(140_000 * scale), TENSORS)
    old = [_rounded(chance.normal(0, chance.uniform(12, 30), size)) for size in sizes]
    some = set(chance.choice(TENSORS, TENSORS // 10, replace=False).tolist())
    ways = {
        "retrained": [
            _rounded(chance.normal(0, 20, len(t))) if n in some else t for n, t in enumerate(old)
        ],
        "finetuned": [_nudged(chance, t, 0.3) if n in some else t for n, t in enumerate(old)],
        "sparse": [_nudged(chance, t, 0.02) for t in old],
    }
    return {name: (safetensors(old, "1"), safetensors(new, "2")) for name, new in ways.items()}


def _rounded(values: NDArray[np.float64]) -> Weights:
    return np.clip(np.round(values), -127, 127).astype(np.int8)


def _nudged(chance: np.random.Generator, tensor: Weights, share: float) -> Weights:
    """`share` of the entries one up or down."""
    moved = chance.random(len(tensor)) < share
    step = chance.choice([-1, 1], len(tensor))
    return np.where(moved, np.clip(tensor.astype(int) + step, -127, 127), tensor).astype(np.int8)


def safetensors(tensors: list[Weights], version: str) -> bytes:
    """The tensors as a safetensors file."""
    header: dict[str, object] = {"__metadata__": {"version": version}}
    at = 0
    for number, tensor in enumerate(tensors):
        places = [at, at + len(tensor)]
        header[f"layer.{number}.weight"] = {
            "dtype": "I8", "shape": [len(tensor)], "data_offsets": places,
        }  # fmt: skip
        at += len(tensor)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(t.tobytes() for t in tensors)
