"""Build a sentence encoder (BERT, RoBERTa, XLM-R) as one ONNX graph: tokens in, unit vectors out.

* From a checkpoint folder or wheel, with numpy and onnx only; torch is never needed.
* The graph pools (mean over the real tokens) and normalises (L2), so its output is the
  sentence vector itself: `embedding` [B, width].
* Inputs `input_ids` and `attention_mask`, int64 [B, S] with S <= CONTEXT; the mask is 0 on
  padding, which changes no vector.
* `bits` 8: every matrix and the word table in int8 blocks (MatMulNBits: cosine 0.9994 to the
  reference; DynamicQuantizeMatMul is 1.8x faster but 0.992). `bits` 32: the reference.

`python -m models.build_bert WHEEL_OR_FOLDER OUT` writes model.onnx and tokenizer.json.
"""

from pathlib import Path

import click
import numpy as np
from onnx import TensorProto

from models.checkpoint import Checkpoint
from models.command import run
from models.errors import ModelError
from models.graph import MICROSOFT, Blocks, Graph
from models.store import MODEL, TOKENIZER
from models.weights import Float

PREFIXES = {"bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta."}
"""Kinds of checkpoint, and what their tensors' names begin with in a whole model."""
CONTEXT = 256
"""Tokens all-MiniLM-L6-v2 was trained to read; the positions after them are not shipped."""
BLOCK = 64
"""Of the matrices. Not 128: there ORT's kernels for one row and for several add in another
order, rounding to int8 amplifies it (cosine 0.999), and a text's vector would depend on how many
texts run with it. At 64 and below the kernels agree to the bit (AVX-512 VNNI, onnxruntime 1.31)."""
TABLE_BLOCK = 128
"""Of the word table, which is only looked up."""


class BertBuilder:
    """One build; the methods follow the data through the network."""

    def __init__(self, checkpoint: Checkpoint, bits: int) -> None:
        config = checkpoint.config
        if config.get("model_type") not in PREFIXES or config.get("hidden_act") != "gelu":
            raise ModelError(
                f"{checkpoint.where} is a {config.get('model_type')} with "
                f"{config.get('hidden_act')}, not a BERT or RoBERTa with gelu",
                hint="`python -m models.export` takes others, by Optimum",
            )
        self.prefix = PREFIXES[config["model_type"]]
        # RoBERTa counts positions from the one after its padding token.
        self.first = 0 if config["model_type"] == "bert" else checkpoint.integer("pad_token_id") + 1
        self.checkpoint = checkpoint
        self.bits = bits
        self.width = checkpoint.integer("hidden_size")
        self.inner = checkpoint.integer("intermediate_size")
        self.heads = checkpoint.integer("num_attention_heads")
        self.layers = checkpoint.integer("num_hidden_layers")
        self.vocabulary = checkpoint.integer("vocab_size")
        self.positions = checkpoint.integer("max_position_embeddings")
        self.epsilon = float(config.get("layer_norm_eps", 1e-12))
        self.graph = Graph("bert")

    def build(self, path: Path) -> None:
        """Write the model file."""
        g = self.graph
        g.input("input_ids", TensorProto.INT64, ["B", "S"])
        g.input("attention_mask", TensorProto.INT64, ["B", "S"])
        mask32 = g.op("Cast", ["attention_mask"], "mask.int32", to=TensorProto.INT32)
        x = self._embeddings()
        for number in range(self.layers):
            x = self._layer(number, x, mask32)
        pool(g, x)
        g.output("embedding", TensorProto.FLOAT, ["B", self.width])
        g.save(
            path,
            {
                "chaski.kind": "bert",
                "chaski.width": self.width,
                "chaski.context": min(CONTEXT, self.positions - self.first),
                "chaski.bits": self.bits,
                "chaski.checkpoint_sha256": self.checkpoint.sha256,
            },
        )

    def _embeddings(self) -> str:
        g, d = self.graph, self.width
        words = self._tensor("embeddings.word_embeddings.weight", self.vocabulary, d)
        positions = self._tensor("embeddings.position_embeddings.weight", self.positions, d)
        kinds = self._tensor(
            "embeddings.token_type_embeddings.weight",
            self.checkpoint.integer("type_vocab_size"),
            d,
        )
        if self.bits == 32:
            x = g.op("Gather", [g.weight("words", words), "input_ids"], "words.rows")
        else:
            x = g.rows("words", g.blocks("words", Blocks.of(words, 8, TABLE_BLOCK)), "input_ids")
        # Only one segment is ever used: its vector goes into the positions.
        table = self._half("positions", positions[self.first :][:CONTEXT] + kinds[0])
        shape = g.op("Shape", ["input_ids"], "length", start=1)
        zero = g.weight("zero", np.array([0], np.int64))
        x = g.add(x, g.op("Slice", [table, zero, shape], "positions.rows"), "embedded")
        return self._norm("embeddings.LayerNorm", x)

    def _half(self, name: str, table: Float) -> str:
        """A table that quantised builds keep as float16."""
        if self.bits == 32:
            return self.graph.weight(name, table)
        half = self.graph.weight(f"{name}.half", table.astype(np.float16))
        return self.graph.op("Cast", [half], name, to=TensorProto.FLOAT)

    def _layer(self, number: int, x: str, mask: str) -> str:
        g, d = self.graph, self.width
        p = f"encoder.layer.{number}."
        parts = ("query", "key", "value")
        matrix = np.concatenate(
            [self._tensor(f"{p}attention.self.{n}.weight", d, d) for n in parts]
        )
        bias = np.concatenate([self._tensor(f"{p}attention.self.{n}.bias", d) for n in parts])
        qkv = g.linear(x, f"l{number}.qkv", matrix, bias, bits=self.bits, block=BLOCK)
        names = [f"l{number}.{n}" for n in parts]
        g.ops("Split", [qkv], names, axis=-1, num_outputs=3)
        attended = g.op(
            "MultiHeadAttention",
            [*names, "", mask],
            f"l{number}.attended",
            domain=MICROSOFT,
            num_heads=self.heads,
        )
        y = self._dense(f"{p}attention.output.dense", attended, d, d)
        x = self._norm(f"{p}attention.output.LayerNorm", y, x)
        name = f"{p}intermediate.dense"
        matrix = self._tensor(f"{name}.weight", self.inner, d)
        y = g.linear(x, name, matrix, None, bits=self.bits, block=BLOCK)
        inputs = [y, g.weight(f"{name}.bias", self._tensor(f"{name}.bias", self.inner))]
        y = g.op("BiasGelu", inputs, f"{name}.gelu", domain=MICROSOFT)
        y = self._dense(f"{p}output.dense", y, d, self.inner)
        return self._norm(f"{p}output.LayerNorm", y, x)

    def _dense(self, name: str, x: str, n: int, k: int) -> str:
        return self.graph.linear(
            x,
            name,
            self._tensor(f"{name}.weight", n, k),
            self._tensor(f"{name}.bias", n),
            bits=self.bits,
            block=BLOCK,
        )

    def _norm(self, name: str, x: str, skip: str = "") -> str:
        g = self.graph
        gain = g.weight(f"{name}.g", self._tensor(f"{name}.weight", self.width))
        shift = g.weight(f"{name}.b", self._tensor(f"{name}.bias", self.width))
        if not skip:
            inputs = [x, gain, shift]
            return g.op("LayerNormalization", inputs, f"{name}.y", epsilon=self.epsilon, axis=-1)
        return g.op(
            "SkipLayerNormalization",
            [x, skip, gain, shift],
            f"{name}.y",
            domain=MICROSOFT,
            epsilon=self.epsilon,
        )

    def _tensor(self, name: str, *shape: int) -> Float:
        prefix = "" if name in self.checkpoint.names else self.prefix
        return self.checkpoint.tensor(prefix + name, shape)


def pool(g: Graph, x: str) -> None:
    """`embedding`: the mean of `x` over the tokens that the mask keeps, then length one."""
    last = g.weight("last", np.array([-1], np.int64))
    row = g.weight("row", np.array([1], np.int64))
    tiny = g.weight("tiny", np.array(1e-9, np.float32))
    mask = g.op("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    column = g.op("Unsqueeze", [mask, last], "mask.column")  # [B, S, 1]
    kept = g.op("Mul", [x, column], "kept")
    total = g.op("ReduceSum", [kept, row], "total", keepdims=0)  # [B, width]
    count = g.op("ReduceSum", [mask, row], "count", keepdims=1)  # [B, 1]
    count = g.op("Max", [count, tiny], "count.positive")
    mean = g.op("Div", [total, count], "mean")
    length = g.op("ReduceL2", [mean, last], "length.l2", keepdims=1)
    length = g.op("Max", [length, tiny], "length.positive")
    g.op("Div", [mean, length], "embedding")


def build(checkpoint_or_wheel: Path, out: Path, bits: int = 8) -> str:
    """Write model.onnx and tokenizer.json into folder `out`; returns the weights' SHA-256.

    Raises:
        ModelError: the checkpoint is damaged or no BERT.
    """
    checkpoint = Checkpoint.open(checkpoint_or_wheel)
    BertBuilder(checkpoint, bits).build(out / MODEL)
    (out / TOKENIZER).write_bytes(checkpoint.tokenizer)
    return checkpoint.sha256


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--bits", type=click.Choice(["8", "32"]), default="8", show_default=True)
def main(checkpoint: Path, out: Path, bits: str) -> None:
    """Build the encoder in CHECKPOINT (a folder or a wheel) into the folder OUT."""
    digest = build(checkpoint, out, int(bits))
    click.echo(f"{out / MODEL}: {(out / MODEL).stat().st_size} bytes, checkpoint {digest}")


if __name__ == "__main__":
    run(main)
