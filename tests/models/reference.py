"""GPT-2 and BERT in plain numpy, straight from the papers: what our graphs must equal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.checkpoint import Checkpoint

Array = npt.NDArray[np.float64]


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float64)


def erf(x: Array) -> Array:
    """Abramowitz and Stegun 7.1.26; wrong by 1.5e-7 at most."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    y = 1 - sum(a * t ** (i + 1) for i, a in enumerate(series)) * np.exp(-x * x)
    return np.asarray(np.sign(x) * y, np.float64)


class Weights:
    """Tensors of a checkpoint in float64, and the operations that both networks share."""

    def __init__(self, folder: Path, prefix: str, epsilon: float) -> None:
        self.checkpoint = Checkpoint.open(folder)
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.prefix = prefix
        self.epsilon = epsilon

    def __call__(self, name: str) -> Array:
        full = self.prefix + name
        shape = self.checkpoint.shape(full)
        return self.checkpoint.tensor(full, shape).astype(np.float64)

    def norm(self, name: str, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return np.asarray(scaled * self(f"{name}.weight") + self(f"{name}.bias"), np.float64)


def attend(q: Array, k: Array, v: Array, heads: int, causal: bool) -> Array:
    """q, k, v [T, d] -> [T, d]."""
    t, d = q.shape

    def split(x: Array) -> Array:
        return x.reshape(t, heads, d // heads).transpose(1, 0, 2)

    scores = split(q) @ split(k).transpose(0, 2, 1) / np.sqrt(d // heads)
    if causal:
        scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
    return (softmax(scores) @ split(v)).transpose(1, 0, 2).reshape(t, d)


def gpt2(folder: Path, ids: list[int]) -> Array:
    """Logits [T, vocabulary] of every position."""
    w = Weights(folder, "transformer.", 1e-5)
    x = w("wte.weight")[ids] + w("wpe.weight")[: len(ids)]
    for i in range(w.config["n_layer"]):
        p = f"h.{i}."
        h = w.norm(f"{p}ln_1", x) @ w(f"{p}attn.c_attn.weight") + w(f"{p}attn.c_attn.bias")
        q, k, v = np.split(h, 3, axis=-1)
        a = attend(q, k, v, w.config["n_head"], causal=True)
        x = x + a @ w(f"{p}attn.c_proj.weight") + w(f"{p}attn.c_proj.bias")
        h = w.norm(f"{p}ln_2", x) @ w(f"{p}mlp.c_fc.weight") + w(f"{p}mlp.c_fc.bias")
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + h @ w(f"{p}mlp.c_proj.weight") + w(f"{p}mlp.c_proj.bias")
    return np.asarray(w.norm("ln_f", x) @ w("wte.weight").T, np.float64)


def bert(folder: Path, ids: list[int]) -> Array:
    """The unit vector of one text, its markers included in `ids`."""
    w = Weights(folder, "", 1e-12)
    x = w("embeddings.word_embeddings.weight")[ids]
    x = x + w("embeddings.position_embeddings.weight")[: len(ids)]
    x = w.norm("embeddings.LayerNorm", x + w("embeddings.token_type_embeddings.weight")[0])

    def dense(name: str, h: Array) -> Array:
        return np.asarray(h @ w(f"{name}.weight").T + w(f"{name}.bias"), np.float64)

    for i in range(w.config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (dense(f"{p}attention.self.{n}", x) for n in ("query", "key", "value"))
        a = attend(q, k, v, w.config["num_attention_heads"], causal=False)
        x = w.norm(f"{p}attention.output.LayerNorm", x + dense(f"{p}attention.output.dense", a))
        h = dense(f"{p}intermediate.dense", x)
        h = 0.5 * h * (1 + erf(h / np.sqrt(2)))
        x = w.norm(f"{p}output.LayerNorm", x + dense(f"{p}output.dense", h))
    mean = x.mean(0)
    return np.asarray(mean / np.linalg.norm(mean), np.float64)
