"""Keys and values in int8: from a decoder with float32 ones, and a text to see their range.

* One scale a layer, head and channel: the largest value seen in the text / 127. What is larger
  later is cut, so the text should be like what the model will read.
* The weights stay as they are; only the type of the slabs and the attention nodes change.
* Two calibrations with one text are the same bytes.
* `compare` tells what it costs, on text that was not calibrated with.

`python -m models.calibrate FOLDER TEXT OUT` writes OUT/model.onnx and OUT/tokenizer.json from
the first nine tenths of the file TEXT, and prints the comparison on the last tenth.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.command import run
from models.engine.runner import Runner
from models.errors import ModelError
from models.store import MODEL, TOKENIZER
from models.tokenizer import TEXT_LIMIT, Tokenizer

Float = npt.NDArray[np.float32]
ATTENTION = "GroupQueryAttention"
SCALE_INPUT = 12
"""Place of the keys' scales among the inputs of the attention node; the values' come next."""
LEAST = 1e-6
WINDOWS = 64
"""Stretches of text, each as long as the context, that are read at most."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """int8 against float32 keys and values, over all tokens of a text."""

    tokens: int
    kl_nats: float
    """Mean divergence of the next token's distribution."""
    perplexity_ratio: float
    same_likeliest: float
    """Share of places where the likeliest token is the same."""


def calibrate(model: Path, windows: Sequence[Sequence[int]], out: Path) -> None:
    """Write `model` with int8 keys and values to `out`, calibrated with token windows.

    Raises:
        ModelError: it is no decoder of models.build_gpt2, or has int8 keys and values already.
    """
    graph = onnx.load(str(model))
    nodes = [node for node in graph.graph.node if node.op_type == ATTENTION]
    if any(len(node.input) > SCALE_INPUT for node in nodes):
        raise ModelError(f"{model} has int8 keys and values already")
    scales = ranges(Runner.open(model, threads=1, slots=1), windows) / 127
    for layer, node in enumerate(nodes):
        node.input.extend([""] * (SCALE_INPUT - len(node.input)))
        for part, values in zip("kv", scales[2 * layer : 2 * layer + 2], strict=True):
            name = f"h.{layer}.{part}_scale"
            # [1, heads, 1, head size], as a row of the slab
            graph.graph.initializer.append(numpy_helper.from_array(values[None, :, None], name))
            node.input.append(name)
            node.attribute.append(helper.make_attribute(f"{part}_quant_type", "PER_CHANNEL"))
        node.attribute.append(helper.make_attribute("kv_cache_bit_width", 8))
    for value in (*graph.graph.input, *graph.graph.output):
        if value.name.startswith(("past_", "present_")):
            value.type.tensor_type.elem_type = TensorProto.INT8
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(graph.SerializeToString(deterministic=True))


def ranges(runner: Runner, windows: Sequence[Sequence[int]]) -> Float:
    """Largest absolute keys and values: [2 x layers, heads, head size]."""
    largest: Float | None = None
    for window in windows:
        runner.append(0, window, 0)
        seen = np.abs(runner.copy(0, 0, len(window))).max(2).astype(np.float32)
        largest = seen if largest is None else np.maximum(largest, seen)
    if largest is None:
        raise ModelError("there is no text to calibrate with")
    return np.maximum(largest, LEAST)


def compare(before: Path, after: Path, windows: Sequence[Sequence[int]]) -> Comparison:
    """What `after` does other than `before` on token windows."""
    runners = [Runner.open(path, threads=1, slots=1) for path in (before, after)]
    divergence, nats, same = [], [], []
    for window in windows:
        a, b = (_log_softmax(r.append(0, window, 0, range(len(window)))) for r in runners)
        divergence.append((np.exp(a) * (a - b)).sum(-1))
        places = np.arange(len(window) - 1)
        nats.append((a - b)[places, list(window[1:])])
        same.append(a.argmax(-1) == b.argmax(-1))
    return Comparison(
        tokens=sum(map(len, windows)),
        kl_nats=float(np.concatenate(divergence).mean()),
        perplexity_ratio=float(np.exp(np.concatenate(nats).mean())),
        same_likeliest=float(np.concatenate(same).mean()),
    )


def token_windows(tokenizer: Tokenizer, text: str, context: int) -> list[list[int]]:
    """`text` in stretches of `context` tokens, each after an end-of-text token."""

    def cut() -> Iterator[list[int]]:
        tokens = tokenizer.encode(text[:TEXT_LIMIT])
        start = [] if tokenizer.end is None else [tokenizer.end]
        step = context - len(start)
        for at in range(0, len(tokens) - 1, step):
            yield [*start, *tokens[at : at + step]]

    windows = list(cut())
    every = max(1, len(windows) // WINDOWS)
    return windows[::every][:WINDOWS]


def _log_softmax(logits: Float) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    logs: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return logs


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(folder: Path, text: Path, out: Path) -> None:
    """Give the decoder in FOLDER int8 keys and values, calibrated with TEXT; write it to OUT."""
    tokenizer = Tokenizer.open(folder / TOKENIZER)
    words = text.read_text(encoding="utf-8")
    context = Runner.open(folder / MODEL, threads=1, slots=1).context
    split = len(words) * 9 // 10
    read, unread = (token_windows(tokenizer, t, context) for t in (words[:split], words[split:]))
    calibrate(folder / MODEL, read, out / MODEL)
    shutil.copyfile(folder / TOKENIZER, out / TOKENIZER)
    found = compare(folder / MODEL, out / MODEL, unread)
    click.echo(
        f"{out / MODEL}: KL {found.kl_nats:.2e} nats, perplexity x {found.perplexity_ratio:.4f}, "
        f"same likeliest token {found.same_likeliest:.1%} ({found.tokens} tokens)"
    )


if __name__ == "__main__":
    run(main)
