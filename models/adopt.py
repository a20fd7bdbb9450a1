"""Adopt: an encoder that we do not build ourselves, by way of Optimum's export.

* The export gives `last_hidden_state`; mean over the real tokens and length one are added, as
  `build_bert` does, so that `Encoder` opens it like one of ours.
* `bits` 8: products with constant matrices and look-ups in tables become int8 in blocks; what
  does not fit a block stays float32. `bits` 32: as it came.
* Needs the extra [export].
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from models.build_bert import BLOCK, CONTEXT, TABLE_BLOCK, pool
from models.errors import ModelError
from models.graph import BLOCKS, Blocks, Graph

INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
OUTPUT = "last_hidden_state"
TASK = "feature-extraction"
MIN_ROWS = 1024
"""A smaller table is not worth the four operations of looking it up in int8."""


def optimum_export(checkpoint: Path, out: Path, task: str) -> Path:
    """Export `checkpoint` with Optimum into folder `out`; the path of its model.onnx.

    Raises:
        ModelError: Optimum does not know its network.
    """
    from optimum.exporters.onnx import main_export

    try:
        main_export(str(checkpoint), output=out, task=task, device="cpu", do_validation=False)
    except (ValueError, KeyError, OSError) as error:
        raise ModelError(
            f"Optimum cannot export {checkpoint}: {error}",
            hint="see the architectures that Optimum's ONNX exporter lists",
        ) from error
    return out / "model.onnx"


def adopt(exported: Path, out: Path, bits: int, context: int, sha256: str) -> None:
    """Makes of Optimum's graph at `exported` the sentence encoder at `out`.

    Raises:
        ModelError: it is no encoder of tokens, or `bits` is neither 8 nor 32.
    """
    if bits not in (8, 32):
        raise ModelError(f"cannot adopt an encoder in {bits} bits", hint="8 or 32")
    model = onnx.load(exported)
    inputs = {value.name for value in model.graph.input}
    found = {value.name: value for value in model.graph.output}
    if OUTPUT not in found or not inputs <= INPUTS:
        raise ModelError(f"{exported} takes {sorted(inputs)} and gives {sorted(found)}: no encoder")
    width = found[OUTPUT].type.tensor_type.shape.dim[2].dim_value
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    graph = Graph("adopted", opset)
    graph.input("input_ids", TensorProto.INT64, ["B", "S"])
    graph.input("attention_mask", TensorProto.INT64, ["B", "S"])
    graph.op("Sub", ["input_ids", "input_ids"], "token_type_ids")  # only one segment is used
    _take(model.graph, graph, bits)
    pool(graph, OUTPUT)
    graph.output("embedding", TensorProto.FLOAT, ["B", width])
    graph.save(
        out,
        {
            "chaski.kind": "bert",
            "chaski.width": width,
            "chaski.context": min(CONTEXT, context),
            "chaski.bits": bits,
            "chaski.checkpoint_sha256": sha256,
        },
    )


def _take(source: onnx.GraphProto, graph: Graph, bits: int) -> None:
    """The nodes of `source` in their order, products and look-ups in `bits`."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.initializer}
    for node in source.node:
        matrix = weights.get(node.input[1]) if len(node.input) > 1 else None
        table = weights.get(node.input[0]) if node.input else None
        if bits == 8 and node.op_type == "MatMul" and _fits(matrix, 0):
            name = f"q.{node.output[0]}"
            blocks = graph.blocks(name, Blocks.of(matrix.T, 8, BLOCK))  # type: ignore[union-attr]
            graph.product(node.input[0], name, blocks, None, node.output[0])
        elif bits == 8 and node.op_type == "Gather" and _fits(table, 1) and len(table) >= MIN_ROWS:  # type: ignore[arg-type]
            name = f"q.{node.output[0]}"
            blocks = graph.blocks(name, Blocks.of(table, 8, TABLE_BLOCK))  # type: ignore[arg-type]
            graph.op("Identity", [graph.rows(name, blocks, node.input[1])], node.output[0])
        else:
            for name in node.input:
                if name in weights:
                    graph.weight(name, weights[name])
            graph.keep(node)


def _fits(array: "np.ndarray[Any, Any] | None", axis: int) -> bool:
    """True for a float matrix whose extent along `axis` some block divides."""
    return (
        array is not None
        and array.ndim == 2
        and array.dtype == np.float32
        and array.shape[axis] % min(BLOCKS) == 0
    )
