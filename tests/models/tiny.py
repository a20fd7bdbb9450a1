"""Tiny checkpoints with random weights and real tokenizers, as Hugging Face writes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tokenizers

from models.tokenizer import END_OF_TEXT

Array = npt.NDArray[np.float32]

TEXT = (
    "El agua del lago Titicaca se evapora, sube y forma nubes. La lluvia cae en la chacra.",
    "¿Cuánto es 3/4 más 1/8? Ñandú, quipu, papa y niño: la campana sonó a las ocho.",
    "The potato was first grown in the Andes.",
)


def has_measured_kernels() -> bool:
    """Whether this CPU is of the kind on which int8 rows were seen to be equal to the bit."""
    path = Path("/proc/cpuinfo")
    return path.exists() and "avx512_vnni" in path.read_text(encoding="utf-8")


exact_kernels = pytest.mark.skipif(
    not has_measured_kernels(),
    reason="int8 kernels were compared on x86 with AVX-512 VNNI only (models/README.md)",
)


def ids(count: int, seed: int = 5) -> list[int]:
    """Tokens of nothing in particular."""
    return [int(i) for i in np.random.default_rng(seed).integers(1, 280, count)]


def write_safetensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """The format in ten lines: header length, header, raw tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    names = {np.dtype("<f4"): "F32", np.dtype("<f2"): "F16", np.dtype("<u2"): "BF16"}
    body = b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def byte_level_tokenizer(vocabulary: int = 300) -> tokenizers.Tokenizer:
    """A byte-level BPE with a few merges; token 0 ends a text."""
    bpe = tokenizers.ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        TEXT, vocab_size=vocabulary, min_frequency=1, special_tokens=[END_OF_TEXT]
    )
    return tokenizers.Tokenizer.from_str(bpe.to_str())


def word_piece_tokenizer() -> tokenizers.Tokenizer:
    """A BERT tokenizer that knows the letters."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "agua", "lago"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?/"
    vocabulary = {w: i for i, w in enumerate([*words, *letters, *(f"##{c}" for c in letters)])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = tokenizers.normalizers.BertNormalizer()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return inner


def gpt2(
    folder: Path,
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 2,
    context: int = 96,
    seed: int = 1,
) -> Path:
    """A GPT-2 checkpoint whose logits are well apart."""
    folder.mkdir(parents=True)
    inner = byte_level_tokenizer()
    vocabulary = inner.get_vocab_size()
    inner.save(str(folder / "tokenizer.json"))
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    d = width
    tensors = {"wte.weight": normal(vocabulary, d, scale=0.4), "wpe.weight": normal(context, d)}
    for i in range(layers):
        p = f"h.{i}."
        for norm in ("ln_1", "ln_2"):
            tensors[f"{p}{norm}.weight"] = 1 + normal(d, scale=0.1)
            tensors[f"{p}{norm}.bias"] = normal(d, scale=0.1)
        for name, k, n in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ):
            tensors[f"{p}{name}.weight"] = normal(k, n, scale=k**-0.5)
            tensors[f"{p}{name}.bias"] = normal(n, scale=0.1)
    tensors["ln_f.weight"] = 1 + normal(d, scale=0.1)
    tensors["ln_f.bias"] = normal(d, scale=0.1)
    write_safetensors(
        folder / "model.safetensors", {f"transformer.{k}": v for k, v in tensors.items()}
    )
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new",
        "vocab_size": vocabulary,
        "n_positions": context,
        "n_embd": d,
        "n_layer": layers,
        "n_head": heads,
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def bert(folder: Path, *, width: int = 64, layers: int = 2, heads: int = 2) -> Path:
    """A BERT checkpoint."""
    folder.mkdir(parents=True)
    inner = word_piece_tokenizer()
    vocabulary = inner.get_vocab_size()
    inner.save(str(folder / "tokenizer.json"))
    random = np.random.default_rng(2)

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    d = width
    tensors = {
        "embeddings.word_embeddings.weight": normal(vocabulary, d),
        "embeddings.position_embeddings.weight": normal(64, d, scale=0.3),
        "embeddings.token_type_embeddings.weight": normal(2, d, scale=0.3),
    }
    norms = ["embeddings.LayerNorm"]
    for i in range(layers):
        p = f"encoder.layer.{i}."
        norms += [f"{p}attention.output.LayerNorm", f"{p}output.LayerNorm"]
        for name, n, k in (
            ("attention.self.query", d, d),
            ("attention.self.key", d, d),
            ("attention.self.value", d, d),
            ("attention.output.dense", d, d),
            ("intermediate.dense", 2 * d, d),
            ("output.dense", d, 2 * d),
        ):
            tensors[f"{p}{name}.weight"] = normal(n, k, scale=k**-0.5)
            tensors[f"{p}{name}.bias"] = normal(n, scale=0.1)
    for name in norms:
        tensors[f"{name}.weight"] = 1 + normal(d, scale=0.1)
        tensors[f"{name}.bias"] = normal(d, scale=0.1)
    write_safetensors(folder / "model.safetensors", tensors)
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": d,
        "intermediate_size": 2 * d,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "vocab_size": vocabulary,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


CARD = """
name = "{name}"
title = "A tiny model"
kind = "{kind}"
license = "CC0-1.0"
description = "Random weights."
languages = ["es"]
context = 64
parameters = 1
quantization = "none"
data = "None."
source = "tests/models/tiny.py"
intended_use = "Tests."
limitations = "It knows nothing."
"""


def write_card(folder: Path, kind: str) -> None:
    """A valid card for the model in `folder`."""
    text = CARD.format(name=folder.name, kind=kind)
    (folder / "card.toml").write_text(text, encoding="utf-8")


def train_on(checkpoint: Path, random: np.random.Generator, step: float) -> None:
    """Moves every matrix of `checkpoint` a little, as a fine-tuning would."""
    path = checkpoint / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, about in header.items():
        if name != "__metadata__":
            start, stop = about["data_offsets"]
            raw = np.frombuffer(data[8 + size + start : 8 + size + stop], "<f4")
            array: Array = raw.reshape(about["shape"]).copy()
            if array.ndim == 2:
                array += step * random.standard_normal(array.shape, np.float32)
            tensors[name] = array
    write_safetensors(path, tensors)
