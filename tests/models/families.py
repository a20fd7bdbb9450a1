"""Tiny checkpoints of every architecture that is taken, made by transformers with random weights.

Needs the extra [export].
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.models import tiny

transformers: Any = importlib.import_module("transformers")  # its types are half told

WIDTH, LAYERS, HEADS, CONTEXT = 64, 4, 2, 96
WINDOW = 16


def _saved(model: Any, tokenizer: Any, folder: Path, *, safe: bool) -> Path:
    """Random weights are far apart here, so that a wrong graph cannot be near by chance."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.4 if "wte" in name else weights.shape[-1] ** -0.5)
                if "q_proj" in name:  # what GPT-Neo does not scale, training keeps small
                    weights /= (WIDTH / HEADS) ** 0.5
            elif name.endswith("bias"):
                weights.normal_(0, 0.1)
            else:
                weights.normal_(1, 0.1)
    model.save_pretrained(folder, safe_serialization=safe)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def gpt2(folder: Path, *, safe: bool = True, **changed: Any) -> Path:
    """A GPT-2; `changed` makes a distilgpt2 or another's Spanish one of it."""
    tokenizer = tiny.byte_level_tokenizer()
    config = transformers.GPT2Config(
        **{
            "vocab_size": tokenizer.get_vocab_size(), "n_positions": CONTEXT, "n_embd": WIDTH,
            "n_layer": LAYERS, "n_head": HEADS, "bos_token_id": 0, "eos_token_id": 0,
        } | changed
    )  # fmt: skip
    return _saved(transformers.GPT2LMHeadModel(config), tokenizer, folder, safe=safe)


def gpt_neo(folder: Path, *, safe: bool = True) -> Path:
    """A GPT-Neo whose local layers look back fewer tokens than the texts have."""
    tokenizer = tiny.byte_level_tokenizer()
    config = transformers.GPTNeoConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=CONTEXT, hidden_size=WIDTH,
        num_layers=LAYERS, num_heads=HEADS, window_size=WINDOW, bos_token_id=0, eos_token_id=0,
        attention_types=[[["global", "local"], LAYERS // 2]],
    )  # fmt: skip
    return _saved(transformers.GPTNeoForCausalLM(config), tokenizer, folder, safe=safe)


def _encoder(kind: str) -> Callable[..., Path]:
    def make(folder: Path, *, safe: bool = True) -> Path:
        tokenizer = tiny.word_piece_tokenizer()
        common = {
            "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": CONTEXT,
            "pad_token_id": 4 if "roberta" in kind else 0,  # no text has a [MASK]
        }  # fmt: skip
        sized = {
            "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": HEADS,
            "intermediate_size": 2 * WIDTH,
        }  # fmt: skip
        if kind == "distilbert":
            sized = {"dim": WIDTH, "n_layers": 2, "n_heads": HEADS, "hidden_dim": 2 * WIDTH}
        config = transformers.AutoConfig.for_model(kind, **common, **sized)
        model = transformers.AutoModel.from_config(config)
        return _saved(model, tokenizer, folder, safe=safe)

    return make


DECODERS: dict[str, Callable[..., Path]] = {
    "gpt2": gpt2,
    "distilgpt2": lambda folder, safe=True: gpt2(folder, safe=safe, n_layer=2),
    "spanish-gpt2": lambda folder, safe=True: gpt2(
        folder, safe=safe, activation_function="gelu", n_inner=2 * WIDTH
    ),
    "gpt-neo": gpt_neo,
}
ENCODERS = {kind: _encoder(kind) for kind in ("bert", "roberta", "xlm-roberta")}
OTHERS = {kind: _encoder(kind) for kind in ("distilbert", "mpnet", "electra")}
"""Encoders that we do not build ourselves."""


def spoil(checkpoint: Path) -> Path:
    """The same GPT-2, with one weight of every 32 so large that 4 bits keep nothing of the rest."""
    model = transformers.GPT2LMHeadModel.from_pretrained(checkpoint)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith("attn.c_attn.weight"):
                weights[::32] = 300.0
    model.save_pretrained(checkpoint)
    return checkpoint
