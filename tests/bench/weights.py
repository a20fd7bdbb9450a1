"""Weights: a decoder of the true shape of GPT-2 124M, with random weights and a byte tokenizer.

What it writes means nothing; what it costs is what GPT-2 costs. Built once into a folder.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from models import build_gpt2
from models.calibrate import calibrate
from models.store import MODEL, TOKENIZER, ModelFolder, ModelStore, write_lock
from models.tokenizer import END_OF_TEXT, byte_alphabet
from tests.models import tiny

WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY = 768, 12, 12, 1024, 50257
NAME = "gpt2-124m-random"


def gpt2(folder: Path, *, thrifty: bool) -> ModelFolder:
    """The int8 model, built under `folder`; `thrifty`: with int8 keys and values."""
    checkpoint, plain, small = (folder / name for name in ("checkpoint", NAME, f"{NAME}-kv8"))
    if not plain.exists():
        _checkpoint(checkpoint)
        build_gpt2.build(checkpoint, plain)
        ids = [int(i) for i in np.random.default_rng(2).integers(1, 256, 200)]
        calibrate(plain / MODEL, [ids], small / MODEL)
        (small / TOKENIZER).write_bytes((plain / TOKENIZER).read_bytes())
        for made in (plain, small):
            tiny.write_card(made, "decoder")
        (checkpoint / "model.safetensors").unlink()
        for path in checkpoint.iterdir():
            path.unlink()
        checkpoint.rmdir()
        write_lock(folder)
    return ModelStore(folder).open(small.name if thrifty else plain.name)


def _checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32) * np.float32(0.02)

    d = WIDTH
    tensors = {"wte.weight": normal(VOCABULARY, d), "wpe.weight": normal(CONTEXT, d)}
    norms = ["ln_f"]
    for layer in range(LAYERS):
        norms += [f"h.{layer}.ln_1", f"h.{layer}.ln_2"]
        for name, k, n in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ):
            tensors[f"h.{layer}.{name}.weight"] = normal(k, n)
            tensors[f"h.{layer}.{name}.bias"] = np.zeros(n, np.float32)
    for norm in norms:
        tensors[f"{norm}.weight"] = np.ones(d, np.float32)
        tensors[f"{norm}.bias"] = np.zeros(d, np.float32)
    tiny.write_safetensors(folder / "model.safetensors", tensors)
    config = {
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": VOCABULARY,
        "n_positions": CONTEXT,
        "n_embd": d,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "layer_norm_epsilon": 1e-5,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    _bytes_only().save(str(folder / "tokenizer.json"))


def _bytes_only() -> tokenizers.Tokenizer:
    """One token a byte: a text has one spelling, so that a quote is spelt like its passage."""
    vocabulary = {END_OF_TEXT: 0} | {c: n for n, c in enumerate(byte_alphabet(), 1)}
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.add_special_tokens([END_OF_TEXT])
    return inner
