"""Decoders: one random GPT-2, written in the form of every engine that is measured.

* The weights are random and of the true shape: speed and memory do not look at values, and the
  divergences are comparable with each other only.
* A form whose tools are not installed is left out: optimum (extra [export]), gguf and
  llama_cpp, ctranslate2.
"""

import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import build_gpt2
from models.adopt import optimum_export
from models.checkpoint import Checkpoint
from models.tokenizer import END_OF_TEXT
from tests.models.tiny import write_safetensors


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a GPT-2."""

    width: int
    layers: int
    heads: int
    context: int
    vocabulary: int


GPT2 = Shape(768, 12, 12, 1024, 50_257)
SHIPPED = Shape(256, 4, 4, 512, 8192)
QUICK = Shape(128, 2, 2, 512, 2048)


def checkpoint(folder: Path, shape: Shape, seed: int = 0) -> Path:
    """A Hugging Face folder with random weights of `shape`."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    d = shape.width

    def normal(*size: int) -> Any:
        return (random.standard_normal(size) * 0.02).astype(np.float32)

    tensors = {"wte.weight": normal(shape.vocabulary, d), "wpe.weight": normal(shape.context, d)}
    for layer in range(shape.layers):
        p = f"h.{layer}."
        for norm in ("ln_1", "ln_2"):
            tensors[f"{p}{norm}.weight"] = 1 + normal(d)
            tensors[f"{p}{norm}.bias"] = normal(d)
        for name, k, n in (
            ("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d), ("mlp.c_proj", 4 * d, d),
        ):  # fmt: skip
            tensors[f"{p}{name}.weight"] = normal(k, n)
            tensors[f"{p}{name}.bias"] = normal(n)
    tensors["ln_f.weight"] = 1 + normal(d)
    tensors["ln_f.bias"] = normal(d)
    named = {f"transformer.{name}": tensor for name, tensor in tensors.items()}
    write_safetensors(folder / "model.safetensors", named)
    config = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new", "vocab_size": shape.vocabulary,
        "n_positions": shape.context, "n_embd": d, "n_layer": shape.layers,
        "n_head": shape.heads, "layer_norm_epsilon": 1e-5, "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = {END_OF_TEXT: 0} | {f"t{number}": number for number in range(1, shape.vocabulary)}
    words = {"type": "WordLevel", "vocab": names, "unk_token": END_OF_TEXT}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": words}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def installed(*names: str) -> bool:
    """Whether all these libraries can be imported."""
    return all(importlib.util.find_spec(name) is not None for name in names)


def forms(source: Path, folder: Path, *, peers: bool) -> dict[str, Path]:
    """`source` as each engine wants it, by the engine's name."""
    made = {}
    for name, bits in (("ours-int8", 8), ("ours-4bit", 4)):
        build_gpt2.build(source, folder / name, bits)
        made[name] = folder / name / "model.onnx"
    if peers:
        for wanted, make in PEERS:
            if installed(*wanted):
                made |= make(source, folder)
    return made


def _optimum(source: Path, folder: Path) -> dict[str, Path]:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = optimum_export(source, folder / "optimum", "text-generation-with-past")
    small = folder / "optimum-int8.onnx"
    quantize_dynamic(path, small, weight_type=QuantType.QInt8, per_channel=True)
    return {"optimum-int8": small}


def _ctranslate2(source: Path, folder: Path) -> dict[str, Path]:
    """Its converter asks the tokenizer for every token's name."""
    import ctranslate2

    transformers: Any = importlib.import_module("transformers")  # its types are half told
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(source / "tokenizer.json"),
        bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, unk_token=END_OF_TEXT,
    )  # fmt: skip
    tokenizer.save_pretrained(source)
    converter = ctranslate2.converters.TransformersConverter(str(source))
    converter.convert(str(folder / "ctranslate2"), quantization="int8")
    return {"ctranslate2-int8": folder / "ctranslate2"}


def _llama(source: Path, folder: Path) -> dict[str, Path]:
    """A GGUF in float32 by its own library, then llama.cpp's own quantiser."""
    import llama_cpp

    whole = folder / "f32.gguf"
    _gguf(Checkpoint.open(source), whole)
    made = {}
    for name, kind in (
        ("llama.cpp-q8_0", llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0),
        ("llama.cpp-q4_0", llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0),
    ):
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype = kind
        parameters.nthread = 2
        made[name] = folder / f"{name}.gguf"
        code = llama_cpp.llama_model_quantize(
            str(whole).encode(), str(made[name]).encode(), parameters
        )
        if code:
            raise RuntimeError(f"llama.cpp could not quantise {whole}: {code}")
    return made


def _gguf(source: Checkpoint, path: Path) -> None:
    import gguf

    config = source.config
    d, vocabulary = config["n_embd"], config["vocab_size"]
    writer = gguf.GGUFWriter(str(path), "gpt2")
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(d)
    writer.add_feed_forward_length(4 * d)
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{number}" for number in range(vocabulary)])
    writer.add_token_types([1] * vocabulary)
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)

    def put(name: str, tensor: str, *, turned: bool = False) -> None:
        array = source.tensor(f"transformer.{tensor}", source.shape(f"transformer.{tensor}"))
        writer.add_tensor(name, np.ascontiguousarray(array.T if turned else array))

    put("token_embd.weight", "wte.weight")
    put("position_embd.weight", "wpe.weight")
    put("output_norm.weight", "ln_f.weight")
    put("output_norm.bias", "ln_f.bias")
    for layer in range(config["n_layer"]):
        p, q = f"h.{layer}.", f"blk.{layer}."
        for ours, theirs, turned in (
            ("ln_1", "attn_norm", False), ("ln_2", "ffn_norm", False),
            ("attn.c_attn", "attn_qkv", True), ("attn.c_proj", "attn_output", True),
            ("mlp.c_fc", "ffn_up", True), ("mlp.c_proj", "ffn_down", True),
        ):  # fmt: skip
            put(f"{q}{theirs}.weight", f"{p}{ours}.weight", turned=turned)
            put(f"{q}{theirs}.bias", f"{p}{ours}.bias")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


PEERS: tuple[tuple[tuple[str, ...], Callable[[Path, Path], dict[str, Path]]], ...] = (
    (("optimum", "torch"), _optimum),
    (("gguf", "llama_cpp"), _llama),
    (("ctranslate2", "transformers", "torch"), _ctranslate2),
)
