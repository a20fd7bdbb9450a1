"""Writing an ONNX graph by hand: names, weights, and quantised matrix products.

* Two kinds of weights: float32 (`bits` 32, the reference) and blocks of 8 or 4 bits with one
  float32 scale each, symmetric around the middle code (com.microsoft MatMulNBits).
* A table that is looked up by row may be shared with a matrix product (GPT-2's tied head):
  both read the same initializer, so it is in the file and in memory once.
* The bytes depend on the weights alone: two builds are equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.errors import ModelError

MICROSOFT = "com.microsoft"
OPSET = 21
IR_VERSION = 10
BLOCKS = (128, 64, 32)
ACCURACY_LEVEL = 4  # int8 activations, one scale per block and row

Float = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Blocks:
    """A matrix [n, k] as codes [n, k/block, block*bits/8] and scales [n, k/block]."""

    codes: Bytes
    scales: Float
    bits: int
    block: int

    @classmethod
    def of(cls, matrix: Float, bits: int, largest_block: int) -> "Blocks":
        """Quantise `matrix` [n, k], symmetric, in blocks of at most `largest_block` along k.

        Raises:
            ModelError: k is no multiple of 32, or `bits` is neither 4 nor 8.
        """
        n, k = matrix.shape
        block = next((b for b in BLOCKS if b <= largest_block and k % b == 0), None)
        if block is None or bits not in (4, 8):
            raise ModelError(f"cannot quantise a width of {k} to {bits} bits: no block fits")
        x = np.ascontiguousarray(matrix, np.float32).reshape(n, k // block, block)
        middle = 1 << (bits - 1)
        if bits == 8:
            scales = np.abs(x).max(-1) / 127
        else:  # the extreme value of a block becomes -8 exactly: all 16 codes are used
            at = np.abs(x).argmax(-1)[..., None]
            scales = np.take_along_axis(x, at, -1)[..., 0] / -8
        steps = scales[..., None]
        ratios = np.divide(x, steps, out=np.zeros_like(x), where=steps != 0)
        codes = np.clip(np.rint(ratios) + middle, 0, 2 * middle - 1)
        packed = codes.astype(np.uint8)
        if bits == 4:
            packed = packed[..., 0::2] | (packed[..., 1::2] << 4)
        return cls(packed, scales.astype(np.float32), bits, block)

    def matrix(self) -> Float:
        """The float32 matrix [n, k] that the codes stand for."""
        codes = self.codes
        if self.bits == 4:
            codes = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:-1], -1)
        centred = codes.astype(np.float32) - (1 << (self.bits - 1))
        return (centred * self.scales[..., None]).reshape(len(codes), -1)


class Graph:
    """An ONNX graph under construction. Values are names."""

    def __init__(self, name: str, opset: int = OPSET) -> None:
        self.name = name
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """Declare an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, kind: int, shape: Sequence[int | str]) -> None:
        """Declare value `name` as an output of the graph."""
        self._outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def weight(self, name: str, array: npt.NDArray[Any]) -> str:
        """A constant."""
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def op(
        self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any
    ) -> str:
        """One node with one output."""
        self.ops(kind, inputs, [output], domain=domain, **attributes)
        return output

    def ops(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> None:
        """One node; an empty output name is an output that is not wanted."""
        label = next(o for o in outputs if o)
        self._nodes.append(
            helper.make_node(kind, inputs, outputs, name=label, domain=domain, **attributes)
        )

    def keep(self, node: onnx.NodeProto) -> None:
        """A node of another graph, as it is."""
        self._nodes.append(node)

    def linear(
        self,
        x: str,
        name: str,
        matrix: Float,
        bias: Float | None,
        *,
        bits: int,
        block: int,
    ) -> str:
        """`x` [..., k] times `matrix` [n, k] transposed, plus `bias` [n] -> [..., n]."""
        if bits == 32:
            y = self.op("MatMul", [x, self.weight(f"{name}.w", matrix.T)], f"{name}.product")
            return y if bias is None else self.add(y, self.weight(f"{name}.b", bias), f"{name}.y")
        return self.product(x, name, self.blocks(name, Blocks.of(matrix, bits, block)), bias)

    def blocks(self, name: str, blocks: Blocks) -> Blocks:
        """Put quantised weights into the file, as `name`.w and `name`.s."""
        self.weight(f"{name}.w", blocks.codes)
        self.weight(f"{name}.s", blocks.scales)
        return blocks

    def product(
        self, x: str, name: str, blocks: Blocks, bias: Float | None, output: str = ""
    ) -> str:
        """`x` times the quantised weights that `blocks` put under `name`."""
        inputs = [x, f"{name}.w", f"{name}.s"]
        if bias is not None:
            inputs += ["", "", self.weight(f"{name}.b", bias)]
        return self.op(
            "MatMulNBits",
            inputs,
            output or f"{name}.y",
            domain=MICROSOFT,
            K=blocks.scales.shape[1] * blocks.block,
            N=blocks.codes.shape[0],
            bits=blocks.bits,
            block_size=blocks.block,
            accuracy_level=ACCURACY_LEVEL,
        )

    def rows(self, name: str, blocks: Blocks, ids: str) -> str:
        """Rows `ids` [B, S] of the 8-bit table under `name`, as float32 [B, S, k].

        A plain Gather of codes and scales: GatherBlockQuantized would need the table in
        another shape than the product, and ORT then keeps a second copy of it.
        """
        codes = self.op("Gather", [f"{name}.w", ids], f"{name}.codes")  # [B, S, k/block, block]
        codes = self.op("Cast", [codes], f"{name}.float", to=TensorProto.FLOAT)
        middle = self.weight(f"{name}.middle", np.array(128, np.float32))
        codes = self.op("Sub", [codes, middle], f"{name}.centred")
        scales = self.op("Gather", [f"{name}.s", ids], f"{name}.scales")
        last = self.weight(f"{name}.last", np.array([-1], np.int64))
        scales = self.op("Unsqueeze", [scales, last], f"{name}.column")
        values = self.op("Mul", [codes, scales], f"{name}.blocks")
        width = blocks.scales.shape[1] * blocks.block
        shape = self.weight(f"{name}.shape", np.array([0, 0, width], np.int64))
        return self.op("Reshape", [values, shape], f"{name}.rows")

    def add(self, a: str, b: str, output: str) -> str:
        """Element-wise sum."""
        return self.op("Add", [a, b], output)

    def save(self, path: Path, facts: Mapping[str, int | str]) -> None:
        """Check the graph and write it as one file, with `facts` as its metadata."""
        model = helper.make_model(
            helper.make_graph(
                self._nodes, self.name, self._inputs, self._outputs, list(self._weights.values())
            ),
            opset_imports=[helper.make_opsetid("", self._opset), helper.make_opsetid(MICROSOFT, 1)],
            ir_version=IR_VERSION,
            producer_name="chaski",
        )
        helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        temporary.replace(path)
