"""The GPT-2 network that training optimises, and the checkpoint folder it becomes.

Pre-norm blocks, learned positions, tanh GELU, tied head. `to_checkpoint` writes a Hugging
Face folder that `transformers` and `models.build_gpt2` both read. torch only; nothing at
run time imports this file.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from models import prompts


@dataclass(frozen=True, slots=True)
class Shape:
    """The architecture. `width` is a multiple of 32 (the quantiser's smallest block)."""

    vocabulary: int = 8192
    context: int = 512
    width: int = 256
    layers: int = 4
    heads: int = 4
    dropout: float = 0.0


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.heads, self.dropout = shape.heads, shape.dropout
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.c_attn, self.c_proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.c_fc, self.m_proj = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: Tensor) -> Tensor:  # [B, T, d] -> [B, T, d]
        b, t, d = x.shape
        split = self.c_attn(self.ln_1(x)).view(b, t, 3, self.heads, d // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each [B, H, T, d/H]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.dropout(
            self.c_proj(y.transpose(1, 2).reshape(b, t, d)), self.dropout, self.training
        )
        h = F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")
        return x + F.dropout(self.m_proj(h), self.dropout, self.training)


class GPT2(nn.Module):
    """GPT-2 with a tied head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocabulary, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.h = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width)
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                residual = math.sqrt(2 * shape.layers) if "proj" in name else 1.0
                nn.init.normal_(parameter, std=0.02 / residual)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats a token; ids and targets are [B, T]."""
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)  # [B, T, V]
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.reshape(-1))


def to_checkpoint(state: dict[str, Any], tokenizer: Path, out: Path) -> None:
    """Write a Hugging Face GPT-2 folder: config.json, model.safetensors, tokenizer.json."""
    shape = Shape(**state["shape"])
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for name, value in state["model"].items():
        array = value.float().numpy()
        if name.startswith("h."):
            # GPT-2's Conv1D keeps [in, out]; torch's Linear keeps [out, in].
            array = array.T if array.ndim == 2 else array
            for ours, theirs in (
                ("c_attn", "attn.c_attn"),
                ("c_proj", "attn.c_proj"),
                ("c_fc", "mlp.c_fc"),
                ("m_proj", "mlp.c_proj"),
            ):
                if f".{ours}." in name:
                    name = name.replace(f".{ours}.", f".{theirs}.")
                    break
        tensors[f"transformer.{name}"] = np.ascontiguousarray(array)
    end = Tokenizer.from_file(str(tokenizer)).token_to_id(prompts.END_OF_TEXT)
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": shape.vocabulary,
        "n_positions": shape.context,
        "n_ctx": shape.context,
        "n_embd": shape.width,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": end,
        "eos_token_id": end,
        "tie_word_embeddings": True,
        "resid_pdrop": shape.dropout,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (out / "tokenizer.json").write_bytes(tokenizer.read_bytes())
