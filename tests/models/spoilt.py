"""Ways in which a model folder may be no good, each with what its self-test must say.

Every spoilt folder is one that a careless hub could sign: its self-test names its version.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.selftest import SelfTest, to_bytes
from models.store import MODEL, SELFTEST, TOKENIZER, measured, version
from tests.models import tiny

Spoil = Callable[[Path], None]


def weights(change: Callable[[Any], Any]) -> Spoil:
    """Spoils every float tensor of some size."""

    def spoil(folder: Path) -> None:
        model = onnx.load(folder / MODEL)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.size > 1:
                tensor.CopyFrom(numpy_helper.from_array(change(array.copy()), tensor.name))
        onnx.save(model, folder / MODEL)

    return spoil


def truncated(folder: Path) -> None:
    data = (folder / MODEL).read_bytes()
    (folder / MODEL).write_bytes(data[: len(data) * 2 // 3])


def foreign_tokenizer(folder: Path) -> None:
    tiny.byte_level_tokenizer(260).save(str(folder / TOKENIZER))


def shuffled_tokenizer(folder: Path) -> None:
    """As many tokens, others by the same numbers."""
    told = msgspec.json.decode((folder / TOKENIZER).read_bytes())
    words = told["model"]["vocab"]
    numbers = list(words.values())
    last = len(numbers) - 1
    told["model"]["vocab"] = {
        word: number if number == 0 else 1 + last - number for word, number in words.items()
    }
    (folder / TOKENIZER).write_bytes(msgspec.json.encode(told))


def with_nodes(make: Callable[[], list[onnx.NodeProto]]) -> Spoil:
    """Adds nodes whose last output, a number, is added to the logits."""

    def spoil(folder: Path) -> None:
        model = onnx.load(folder / MODEL)
        for node in model.graph.node:
            for place, name in enumerate(node.output):
                if name == "logits":
                    node.output[place] = "said"
        made = make()
        model.graph.node.extend(made)
        model.graph.node.append(helper.make_node("Add", ["said", made[-1].output[0]], ["logits"]))
        onnx.save(model, folder / MODEL)

    return spoil


def _constant(name: str, value: Any) -> onnx.NodeProto:
    tensor = numpy_helper.from_array(np.asarray(value))
    return helper.make_node("Constant", [], [name], value=tensor)


def endless() -> list[onnx.NodeProto]:
    """A loop of more rounds than there is time."""
    number = TensorProto.FLOAT
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["on_next"]),
            helper.make_node("Identity", ["x"], ["x_next"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", number, []),
        ],
        [
            helper.make_tensor_value_info("on_next", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x_next", number, []),
        ],
    )
    return [
        _constant("rounds", np.int64(2**60)),
        _constant("go", np.bool_(True)),
        _constant("nought", np.float32(0)),
        helper.make_node("Loop", ["rounds", "go", "nought"], ["late"], body=body),
    ]


def greedy() -> list[onnx.NodeProto]:
    """A tensor of 1 TB, of which nothing comes."""
    return [
        _constant("much", np.array([2**38], np.int64)),
        helper.make_node("ConstantOfShape", ["much"], ["vast"]),
        helper.make_node("ReduceMax", ["vast"], ["most"], keepdims=0),
    ]


WAYS: dict[str, tuple[Spoil, str]] = {
    "nan": (weights(lambda a: np.full_like(a, np.nan)), "answer"),
    "zeroed": (weights(np.zeros_like), "answer"),
    "scaled": (weights(lambda a: a * np.float32(1.5)), "answer"),
    "truncated": (truncated, "invalid"),
    "foreign tokenizer": (foreign_tokenizer, "invalid"),
    "shuffled tokenizer": (shuffled_tokenizer, "answer"),
    "endless": (with_nodes(endless), "slow"),
    "greedy": (with_nodes(greedy), "memory"),
}


def spoil(folder: Path, way: str) -> str:
    """Spoils `folder` and lets its self-test name what came of it; what must be found."""
    change, why = WAYS[way]
    change(folder)
    claim(folder)
    return why


def claim(folder: Path) -> None:
    """The self-test says that it was measured on these very files."""
    held = msgspec.json.decode((folder / SELFTEST).read_bytes(), type=SelfTest)
    named = msgspec.structs.replace(held, version=version(measured(folder)))
    (folder / SELFTEST).write_bytes(to_bytes(named))


def zero_one(folder: Path, part: str) -> bool:
    """Empties the first large tensor that feeds a node whose name or input speaks of `part`."""
    model = onnx.load(folder / MODEL)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if part in tensor.name and array.size > 100:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(array), tensor.name))
            onnx.save(model, folder / MODEL)
            return True
    return False
