"""Layout: where the tensors lie in a model file. Only the hub looks; a node never parses one.

* safetensors: the header says everything. ONNX: the initialisers of the graph that are inline.
* Whatever is not exactly as the format says is "no layout", never an error: the file then
  travels otherwise. Nothing is read beyond the names, types and places of tensors.
* Bounded: tensors in a file, bytes of a header, nesting (none).
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from sync.codec import Sliceable
from sync.errors import ContentError

MAX_TENSORS = 20_000
MAX_HEADER_BYTES = 8 * 1024 * 1024

_GRAPH, _INITIALIZER, _TYPE, _NAME, _RAW = 7, 5, 2, 8, 9
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
# TensorProto.DataType -> bytes of an element; what is not here is taken byte for byte.
_ONNX_WIDTH = {1: 4, 4: 2, 5: 2, 6: 4, 10: 2, 12: 4, 16: 2}
_SAFE_WIDTH = {"F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}


class Tensor(NamedTuple):
    """Bytes `start` to `stop` of a file, elements of `width` bytes (1, 2 or 4)."""

    name: str
    start: int
    stop: int
    width: int


def layout(data: Sliceable) -> tuple[Tensor, ...]:
    """The tensors in `data`, by place, none over another; empty when it is no model file."""
    for find in (_safetensors, _onnx):
        try:
            found = sorted(find(data), key=lambda tensor: tensor.start)
        except (ContentError, ValueError, TypeError, KeyError, RecursionError):
            continue
        ends = [0, *(tensor.stop for tensor in found)]
        if found and all(t.start >= end for t, end in zip(found, ends, strict=False)):
            return tuple(found)
    return ()


def _safetensors(data: Sliceable) -> Iterator[Tensor]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > min(MAX_HEADER_BYTES, len(data) - 8) or data[8:9] != b"{":
        raise ContentError("no safetensors file")
    header = json.loads(data[8 : 8 + length])
    if len(header) > MAX_TENSORS:
        raise ContentError("too many tensors")
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        start, stop = (8 + length + int(place) for place in tensor["data_offsets"])
        if not 8 + length <= start <= stop <= len(data):
            raise ContentError("a tensor outside its file")
        yield _tensor(name, start, stop, _SAFE_WIDTH.get(str(tensor["dtype"]), 1))


def _onnx(data: Sliceable) -> Iterator[Tensor]:
    count = 0
    for field, start, stop in _fields(data, 0, len(data)):
        if field != _GRAPH:
            continue
        for part, begin, end in _fields(data, start, stop):
            if part == _INITIALIZER:
                count += 1
                if count > MAX_TENSORS:
                    raise ContentError("too many tensors")
                yield from _initializer(data, begin, end)


def _initializer(data: Sliceable, start: int, stop: int) -> Iterator[Tensor]:
    """The tensor, when its bytes are inline and raw."""
    name, width, raw = "", 1, None
    for field, begin, end in _fields(data, start, stop):
        if field == _NAME:
            name = data[begin:end].decode("utf-8", "replace")
        elif field == _TYPE:
            width = _ONNX_WIDTH.get(begin, 1)
        elif field == _RAW:
            raw = begin, end
    if raw:
        yield _tensor(name, *raw, width)


def _fields(data: Sliceable, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Field number, first byte and the one after the last; of a varint, its value twice."""
    at = start
    while at < stop:
        key, at = _number(data, at, stop)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _number(data, at, stop)
            yield field, value, value
            continue
        if kind == _BYTES:
            size, at = _number(data, at, stop)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ContentError("no protobuf")
        if at + size > stop:
            raise ContentError("a field outside its message")
        yield field, at, at + size
        at += size


def _number(data: Sliceable, at: int, stop: int) -> tuple[int, int]:
    """A protobuf varint at `at`, and where it ends. (Ours has stricter rules.)"""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ContentError("no protobuf")


def _tensor(name: str, start: int, stop: int, width: int) -> Tensor:
    return Tensor(name, start, stop, width if (stop - start) % width == 0 else 1)
