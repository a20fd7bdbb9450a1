"""Build a decoder (GPT-2, GPT-Neo: `networks.py`) as one ONNX graph for continuous batching.

* From a checkpoint folder, with numpy and onnx only; torch is never needed.
* The head is tied: the int8 word table is both looked up and multiplied with.
* Keys and values live in the caller's slabs [B, heads, context, head size]: each `past` and
  its `present` may be bound to the same memory, attention then writes in place. Sequences of
  different length share a batch: `last[b]` is the position of the last token of row b.
* Logits are made only for the rows asked for: `rows` [B, R] are places in S.
* `bits` 8 or 4: the layers' matrices in blocks, the table always 8. `bits` 32: the reference.

| input | type, shape | what |
|---|---|---|
| input_ids | int64 [B, S] | new tokens; S = 1 while several sequences decode together |
| positions | int64 [B, S] | their positions |
| last | int32 [B] | position of each row's last new token |
| total | int32 [] | tokens of the longest row, new ones included |
| rows | int64 [B, R] | which of the S new tokens want logits |
| past_k.N, past_v.N | float32 [B, heads, context, head size] | slab of layer N |

Outputs: `logits` float32 [B, R, vocabulary], `present_k.N`, `present_v.N`.

`python -m models.build_gpt2 CHECKPOINT OUT` writes model.onnx and tokenizer.json.
"""

from pathlib import Path

import click
import numpy as np
from onnx import TensorProto

from models.checkpoint import Checkpoint
from models.command import run
from models.errors import ModelError
from models.graph import BLOCKS, MICROSOFT, Blocks, Graph
from models.networks import Linear, network
from models.store import MODEL, TOKENIZER

BLOCK = 64
"""At 64 and below ORT's kernels for one row and for many agree to the bit (see build_bert), so
an answer does not depend on who else is asking. 128 is 3 % smaller."""


class Gpt2Builder:
    """One build; the methods follow the data through the network."""

    def __init__(self, checkpoint: Checkpoint, bits: int, block: int) -> None:
        """Raises ModelError: no decoder that is built here, or no such quantisation."""
        if bits not in (4, 8, 32) or block not in BLOCKS:
            raise ModelError(f"cannot build {bits} bits in blocks of {block}")
        self.checkpoint = checkpoint
        self.network = network(checkpoint)
        self.bits = bits
        self.block = block
        self.width = self.network.width
        self.layers = self.network.layers
        self.graph = Graph("gpt2")

    def build(self, path: Path) -> None:
        """Write the model file."""
        g = self.graph
        for name in ("input_ids", "positions"):
            g.input(name, TensorProto.INT64, ["B", "S"])
        g.input("last", TensorProto.INT32, ["B"])
        g.input("total", TensorProto.INT32, [])
        g.input("rows", TensorProto.INT64, ["B", "R"])
        g.output("logits", TensorProto.FLOAT, ["B", "R", self.network.vocabulary])
        table, stream = self._embeddings()
        x = self._first_norm(stream)
        for number in range(self.layers):
            x, stream = self._layer(number, x, stream)
        self._head(table, x)
        g.save(
            path,
            {
                "chaski.kind": "gpt2",
                "chaski.layers": self.layers,
                "chaski.heads": self.network.heads,
                "chaski.head_size": self.network.head_size,
                "chaski.context": self.network.context,
                "chaski.vocabulary": self.network.vocabulary,
                "chaski.bits": self.bits,
                "chaski.checkpoint_sha256": self.checkpoint.sha256,
            },
        )

    def _embeddings(self) -> tuple[Blocks | None, str]:
        g = self.graph
        words = self.network.table()
        if self.bits == 32:
            table = None
            x = g.op("Gather", [g.weight("wte", words), "input_ids"], "wte.rows")
        else:
            table = g.blocks("wte", Blocks.of(words, 8, self.block))
            x = g.rows("wte", table, "input_ids")
        places = g.weight("wpe", self.network.places())
        return table, g.add(x, g.op("Gather", [places, "positions"], "wpe.rows"), "embedded")

    def _layer(self, number: int, x: str, stream: str) -> tuple[str, str]:
        """`x` is the normed, `stream` the plain residual; the same of the next layer."""
        g, net, p = self.graph, self.network, f"h.{number}."
        qkv = self._linear(f"{p}attn.c_attn", x, net.qkv(number))
        y = self._linear(f"{p}attn.c_proj", self._attention(number, qkv), net.attention_out(number))
        x, stream = self._norm(f"{p}ln_2", stream, y)
        matrix, bias = net.mlp_in(number)
        y = self._linear(f"{p}mlp.c_fc", x, (matrix, None))
        assert bias is not None
        gelu = "FastGelu" if net.activation == "tanh" else "BiasGelu"
        inputs = [y, g.weight(f"{p}mlp.c_fc.bias", bias)]
        y = g.op(gelu, inputs, f"{p}mlp.gelu", domain=MICROSOFT)
        y = self._linear(f"{p}mlp.c_proj", y, net.mlp_out(number))
        following = f"h.{number + 1}.ln_1" if number + 1 < self.layers else "ln_f"
        return self._norm(following, stream, y)

    def _attention(self, number: int, qkv: str) -> str:
        g, net = self.graph, self.network
        shape: list[int | str] = ["B", net.heads, "C", net.head_size]
        caches = [f"past_k.{number}", f"past_v.{number}"]
        presents = [f"present_k.{number}", f"present_v.{number}"]
        for past, present in zip(caches, presents, strict=True):
            g.input(past, TensorProto.FLOAT, shape)
            g.output(present, TensorProto.FLOAT, shape)
        more: dict[str, float] = {"scale": net.scale} if net.scale else {}
        window = net.window(number)
        if window is not None and window < net.context:
            more["local_window_size"] = window
        attended = f"h.{number}.attended"
        g.ops(
            "GroupQueryAttention",
            [qkv, "", "", *caches, "last", "total"],
            [attended, *presents],
            domain=MICROSOFT,
            num_heads=net.heads,
            kv_num_heads=net.heads,
            **more,
        )
        return attended

    def _head(self, table: Blocks | None, x: str) -> None:
        g = self.graph
        last = g.weight("last.axis", np.array([-1], np.int64))
        rows = g.op("Unsqueeze", ["rows", last], "rows.index")
        x = g.op("GatherND", [x, rows], "rows.x", batch_dims=1)  # [B, R, width]
        if table is not None:
            g.product(x, "wte", table, None, "logits")
            return
        flat = g.weight("flat", np.array([-1, self.width], np.int64))
        y = g.op("Gemm", [g.op("Reshape", [x, flat], "rows.flat"), "wte"], "product", transB=1)
        counts = g.op("Shape", ["rows"], "rows.shape")
        vocabulary = g.weight("vocabulary", np.array([self.network.vocabulary], np.int64))
        shape = g.op("Concat", [counts, vocabulary], "logits.shape", axis=0)
        g.op("Reshape", [y, shape], "logits")

    def _linear(self, name: str, x: str, linear: Linear) -> str:
        matrix, bias = linear
        return self.graph.linear(x, name, matrix, bias, bits=self.bits, block=self.block)

    def _first_norm(self, stream: str) -> str:
        inputs = [stream, *self._norm_weights("h.0.ln_1")]
        return self.graph.op(
            "LayerNormalization", inputs, "h.0.ln_1.y", epsilon=self.network.epsilon, axis=-1
        )

    def _norm(self, name: str, stream: str, y: str) -> tuple[str, str]:
        """The norm of stream + y, and the sum itself."""
        self.graph.ops(
            "SkipLayerNormalization",
            [stream, y, *self._norm_weights(name)],
            [f"{name}.y", "", "", f"{name}.sum"],
            domain=MICROSOFT,
            epsilon=self.network.epsilon,
        )
        return f"{name}.y", f"{name}.sum"

    def _norm_weights(self, name: str) -> list[str]:
        parts = (f"{name}.weight", f"{name}.bias")
        return [self.graph.weight(part, self.network.tensor(part, self.width)) for part in parts]


def build(checkpoint: Path, out: Path, bits: int = 8, block: int = BLOCK) -> str:
    """Write model.onnx and tokenizer.json into folder `out`; returns the weights' SHA-256.

    `block` is the largest block; a matrix whose width it does not divide takes a smaller one.

    Raises:
        ModelError: the checkpoint is damaged, no such decoder, or does not fit the quantiser.
    """
    opened = Checkpoint.open(checkpoint)
    Gpt2Builder(opened, bits, block).build(out / MODEL)
    (out / TOKENIZER).write_bytes(opened.tokenizer)
    return opened.sha256


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--bits", type=click.Choice(["4", "8", "32"]), default="8", show_default=True)
@click.option("--block", default=BLOCK, show_default=True)
def main(checkpoint: Path, out: Path, bits: str, block: int) -> None:
    """Build the GPT-2 or GPT-Neo in the folder CHECKPOINT into the folder OUT."""
    digest = build(checkpoint, out, int(bits), block)
    click.echo(f"{out / MODEL}: {(out / MODEL).stat().st_size} bytes, checkpoint {digest}")


if __name__ == "__main__":
    run(main)
