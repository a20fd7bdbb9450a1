"""How near our graphs are to the frameworks they replace. Builder's machine only: [export].

* `optimum` exports a checkpoint with Optimum, the general route. Our builders replace it for
  GPT-2 and BERT (half the time and memory a token); it stays as the second reference.
* `parity` runs our graph and a reference on the same tokens and compares logits or vectors.
* torch, transformers and optimum are imported inside functions: importing this module needs
  none of them.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import numpy.typing as npt

from models.command import run
from models.encoder import Encoder
from models.engine.runner import Runner
from models.errors import ModelError
from models.store import MODEL, TOKENIZER
from models.tokenizer import Tokenizer, pad

TASKS = {"gpt2": "text-generation-with-past", "bert": "feature-extraction"}
CHUNK = 64  # tokens read at once, as the engine does

Float = npt.NDArray[np.float64]
Reference = Literal["torch", "optimum"]


@dataclass(frozen=True, slots=True)
class Parity:
    """One comparison over `rows` logits rows or vectors."""

    reference: str
    rows: int
    cosine_mean: float
    cosine_min: float
    largest_difference: float
    divergence: float | None = None
    """Decoder: mean KL(reference || ours) in nats."""
    argmax: float | None = None
    """Decoder: share of rows with the same likeliest token."""
    nats: tuple[float, float] | None = None
    """Decoder: mean nats a token of the text, reference and ours."""


def optimum_export(checkpoint: Path, out: Path) -> Path:
    """Export `checkpoint` with Optimum into folder `out`; the path of its model.onnx.

    Raises:
        ModelError: its network is neither GPT-2 nor BERT.
    """
    from optimum.exporters.onnx import main_export

    kind = _kind(checkpoint)
    main_export(str(checkpoint), output=out, task=TASKS[kind], device="cpu", do_validation=False)
    return out / "model.onnx"


def decoder_parity(
    checkpoint: Path, folder: Path, texts: Sequence[str], reference: Reference = "torch"
) -> Parity:
    """Compare the GPT-2 graph in `folder` with its checkpoint on every position of `texts`."""
    tokenizer = Tokenizer.open(folder / TOKENIZER)
    runner = Runner.open(folder / MODEL, threads=2, slots=1)
    head = [] if tokenizer.end is None else [tokenizer.end]
    rows = [[*head, *tokenizer.encode(text)][: runner.context] for text in texts]
    theirs = _causal(checkpoint, reference)
    pairs = [(theirs(ids), _logits(runner, ids)) for ids in rows]
    expected, ours = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    logs, our_logs = _log_softmax(expected), _log_softmax(ours)
    follows = np.concatenate([[*ids[1:], -1] for ids in rows])
    known = np.flatnonzero(follows >= 0)
    nats = [float(-x[known, follows[known]].mean()) for x in (logs, our_logs)]
    return dataclasses.replace(
        _compare(reference, expected, ours),
        divergence=float((np.exp(logs) * (logs - our_logs)).sum(-1).mean()),
        argmax=float((expected.argmax(-1) == ours.argmax(-1)).mean()),
        nats=(nats[0], nats[1]),
    )


def encoder_parity(
    checkpoint: Path, folder: Path, texts: Sequence[str], reference: Reference = "torch"
) -> Parity:
    """Compare the sentence vectors of the BERT graph in `folder` with its checkpoint's."""
    encoder = Encoder.unverified(folder / MODEL, folder / TOKENIZER, threads=2)
    rows = Tokenizer.open(folder / TOKENIZER, encoder.context).encode_batch(texts)
    expected = _sentences(checkpoint, reference)(*pad(rows))
    return _compare(reference, expected, encoder.encode(texts).astype(np.float64))


def _kind(checkpoint: Path) -> str:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    kind = str(config.get("model_type"))
    if kind not in TASKS:
        raise ModelError(f"{checkpoint} is a {kind}", hint=f"known: {', '.join(TASKS)}")
    return kind


def _causal(checkpoint: Path, reference: Reference) -> Any:
    """tokens -> logits [T, vocabulary] of the reference."""
    import torch
    from optimum.onnxruntime import ORTModelForCausalLM
    from transformers import AutoModelForCausalLM

    loader = AutoModelForCausalLM if reference == "torch" else ORTModelForCausalLM
    model = loader.from_pretrained(checkpoint)

    def logits(ids: Sequence[int]) -> Float:
        batch = torch.tensor([list(ids)])
        with torch.no_grad():
            answer = model(input_ids=batch, attention_mask=torch.ones_like(batch))
        return np.asarray(answer.logits[0].numpy(), np.float64)

    return logits


def _sentences(checkpoint: Path, reference: Reference) -> Any:
    """ids, mask -> unit vectors of the reference, pooled as all-MiniLM-L6-v2 does."""
    import torch
    from optimum.onnxruntime import ORTModelForFeatureExtraction
    from transformers import AutoModel

    loader = AutoModel if reference == "torch" else ORTModelForFeatureExtraction
    model = loader.from_pretrained(checkpoint)

    def vectors(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Float:
        tensors = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        tensors["token_type_ids"] = torch.zeros_like(tensors["input_ids"])
        with torch.no_grad():
            states = model(**tensors).last_hidden_state.numpy().astype(np.float64)
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=-1, keepdims=True), np.float64)

    return vectors


def _logits(runner: Runner, ids: Sequence[int]) -> Float:
    parts = [
        runner.append(runner.scratch, ids[at : at + CHUNK], at, range(len(ids[at : at + CHUNK])))
        for at in range(0, len(ids), CHUNK)
    ]
    return np.concatenate(parts).astype(np.float64)


def _log_softmax(x: Float) -> Float:
    shifted = x - x.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float64)


def _compare(reference: str, expected: Float, ours: Float) -> Parity:
    cosine = (expected * ours).sum(-1)
    cosine /= np.linalg.norm(expected, axis=-1) * np.linalg.norm(ours, axis=-1)
    return Parity(
        reference=reference,
        rows=len(expected),
        cosine_mean=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        largest_difference=float(np.abs(expected - ours).max()),
    )


CHECKPOINT = click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))


@click.group()
def main() -> None:
    """Optimum's export, and parity of our graphs. Needs the extra [export]."""


@main.command()
@CHECKPOINT
@click.argument("out", type=click.Path(path_type=Path))
def optimum(checkpoint: Path, out: Path) -> None:
    """Export CHECKPOINT with Optimum into the folder OUT."""
    click.echo(f"{optimum_export(checkpoint, out)}")


@main.command()
@CHECKPOINT
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.argument("text", type=click.File("r", encoding="utf-8"))
@click.option(
    "--reference",
    type=click.Choice(["torch", "optimum"]),
    default="torch",
    show_default=True,
    help="for optimum, CHECKPOINT is the folder of its export",
)
def parity(checkpoint: Path, folder: Path, text: Any, reference: Reference) -> None:
    """Compare the graph in FOLDER with CHECKPOINT on the paragraphs of TEXT, as JSON."""
    texts = [paragraph for paragraph in text.read().split("\n\n") if paragraph.strip()]
    compare = decoder_parity if _kind(checkpoint) == "gpt2" else encoder_parity
    report = compare(checkpoint, folder, texts, reference)
    click.echo(json.dumps(dataclasses.asdict(report), indent=2))


if __name__ == "__main__":
    run(main)
