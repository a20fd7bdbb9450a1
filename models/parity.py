"""Parity: how near our graphs are to the frameworks they replace. Extra [export] only.

* Our graph and the reference (transformers on torch, or Optimum's export) run on the same
  tokens; logits or vectors are compared.
* `LIMITS` says what is near enough for each quantisation; `check` refuses the rest by name.
* torch, transformers and optimum are imported inside functions: importing this module needs
  none of them.
"""

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder
from models.engine.runner import Runner
from models.errors import ModelError
from models.store import MODEL, TOKENIZER
from models.tokenizer import Tokenizer, pad

CHUNK = 64  # tokens read at once, as the engine does

Float = npt.NDArray[np.float64]
Reference = Literal["torch", "optimum"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The farthest that is near enough."""

    cosine_min: float
    divergence: float
    """Nats."""
    perplexity: float
    """By which factor it may differ."""


LIMITS = {
    32: Limits(cosine_min=0.9999, divergence=1e-4, perplexity=1.001),
    8: Limits(cosine_min=0.98, divergence=0.05, perplexity=1.02),
    4: Limits(cosine_min=0.80, divergence=0.5, perplexity=1.25),
}


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

    @property
    def perplexity(self) -> float | None:
        """Decoder: our perplexity over the reference's."""
        return None if self.nats is None else float(np.exp(self.nats[1] - self.nats[0]))

    def check(self, bits: int) -> None:
        """Raises ModelError: farther than `LIMITS` of `bits` allow."""
        limits = LIMITS[bits]
        drifts = {
            f"cosine {self.cosine_min:.4f} < {limits.cosine_min}": not (
                self.cosine_min >= limits.cosine_min
            ),
            f"KL {self.divergence} > {limits.divergence} nats": self.divergence is not None
            and not self.divergence <= limits.divergence,
            f"perplexity x {self.perplexity}, more than {limits.perplexity}": (
                self.perplexity is not None and not self.perplexity <= limits.perplexity
            ),
        }
        if found := [words for words, drifted in drifts.items() if drifted]:
            raise ModelError(
                f"the graph of {bits} bits drifts from {self.reference}: {'; '.join(found)}",
                hint="build with more bits, or smaller blocks",
            )


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
        if (
            reference == "optimum"
            or "token_type_ids" in inspect.signature(model.forward).parameters
        ):
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
