"""One training run: schedule, optimisers, checkpoints, held-out loss.

* The schedule runs on `progress` = the larger of tokens/`tokens` and minutes/`minutes`, so a
  busy machine ends on time and a quiet one ends on size.
* A checkpoint every few minutes; a killed run resumes from it with the same command.
"""

import json
import math
import random
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from models.training.gpt2 import GPT2, Shape
from models.training.mixture import STAGES, Mixture, Stage

HOLD, FLOOR, WARMUP_STEPS = 0.4, 0.02, 60
console = Console()


def learning_rate(progress: float, step: int) -> float:
    """Factor on each optimiser's rate: short warm-up, hold, linear to FLOOR."""
    decay = 1.0 if progress < HOLD else 1 - (progress - HOLD) / (1 - HOLD) * (1 - FLOOR)
    return min(1.0, (step + 1) / WARMUP_STEPS) * max(FLOOR, decay)


def optimisers(model: GPT2, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, norms and biases."""
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("h.")]
    others = [p for n, p in model.named_parameters() if not (p.dim() == 2 and n.startswith("h."))]
    muon = torch.optim.Muon(
        matrices,
        lr=muon_rate,
        momentum=0.95,
        weight_decay=0.05,
        ns_steps=5,
        adjust_lr_fn="original",
    )
    adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    return [muon, adam]


@torch.no_grad()
def heldout_loss(
    model: GPT2, mixture: Mixture, context: int, limit: int | None = None
) -> dict[str, dict[str, float]]:
    """Per source: nats a token and bits a byte on non-overlapping windows of held-out text."""
    model.eval()
    report = {}
    for source in mixture.sources:
        if not source.heldout:
            continue
        ids = np.concatenate([mixture.encode(t) for t in source.heldout]).astype(np.int64)
        size = sum(len(t.encode()) + 1 for t in source.heldout)
        windows = (len(ids) - 1) // context
        windows = min(windows, limit) if limit else windows
        total = 0.0
        for i in range(windows):
            piece = torch.from_numpy(ids[i * context : (i + 1) * context + 1])
            total += model(piece[None, :-1], piece[None, 1:]).item()
        if windows:
            nats = total / windows
            report[source.name] = {
                "nats": nats,
                "bits_per_byte": nats / math.log(2) * len(ids) / size,
            }
    model.train()
    return report


class Run:
    """One resumable training run in a work folder."""

    def __init__(
        self, work: Path, shape: Shape, seed: int, muon_rate: float, adam_rate: float
    ) -> None:
        torch.manual_seed(seed)
        self.work = work
        self.model = GPT2(shape)
        self.optimisers = optimisers(self.model, muon_rate, adam_rate)
        self.rates = [[g["lr"] for g in o.param_groups] for o in self.optimisers]
        self.step = self.seen = 0
        self.elapsed = 0.0
        self.log: list[dict[str, Any]] = []

    def save(self, name: str = "checkpoint.pt") -> None:
        """Replace the checkpoint; a kill between two saves costs the steps since the last."""
        state = {
            "shape": asdict(self.model.shape),
            "model": self.model.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
            "step": self.step,
            "seen": self.seen,
            "elapsed": self.elapsed,
            "log": self.log,
        }
        temporary = self.work / "checkpoint.tmp"
        torch.save(state, temporary)
        temporary.replace(self.work / name)

    def resume(self) -> bool:
        """Load the last checkpoint if there is one."""
        path = self.work / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seen = state["step"], state["seen"]
        self.elapsed, self.log = state["elapsed"], state["log"]
        return True

    def train(self, mixture: Mixture, tokens: int, minutes: float, compile_model: bool) -> None:
        """Train until `tokens` are seen or `minutes` are spent, whichever comes first."""
        forward = (
            cast(nn.Module, torch.compile(self.model, dynamic=False))
            if compile_model
            else self.model
        )
        stream, position, epoch, stage = np.empty(0, np.uint16), 0, 0, STAGES[0]
        started, before = time.monotonic(), self.elapsed
        smooth: float | None = None
        saved = time.monotonic()
        while True:
            self.elapsed = before + time.monotonic() - started
            progress = max(self.seen / tokens, self.elapsed / 60 / minutes)
            if progress >= 1:
                break
            current = next(s for s in STAGES if progress < s.until)
            need = current.batch * current.context + 1
            if current is not stage and len(stream):
                self.save(f"before-{current.name}.pt")
            if current is not stage or position + need > len(stream):
                stage = current
                stream = mixture.epoch(stage.name, epoch, at_least=need + stage.context)
                position, epoch = random.Random(self.step).randrange(stage.context), epoch + 1
            piece = torch.from_numpy(stream[position : position + need].astype(np.int64))
            position += need - 1
            loss = self._step(forward, piece, stage, learning_rate(progress, self.step))
            smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
            if self.step % 100 == 0:
                self._report(mixture, stage, progress, smooth)
            if time.monotonic() - saved > 180:
                self.save()
                saved = time.monotonic()
        self.save()

    def _step(self, forward: nn.Module, piece: Tensor, stage: Stage, rate: float) -> float:
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, full in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = full * rate
            optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = forward(
                piece[:-1].view(stage.batch, stage.context),
                piece[1:].view(stage.batch, stage.context),
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        self.seen += stage.batch * stage.context
        return float(loss.item())

    def _report(self, mixture: Mixture, stage: Stage, progress: float, loss: float) -> None:
        row: dict[str, Any] = {
            "step": self.step,
            "seen": self.seen,
            "seconds": round(self.elapsed),
            "stage": stage.name,
            "loss": round(loss, 4),
        }
        if self.step % 800 == 0:
            heldout = heldout_loss(self.model, mixture, stage.context, limit=16)
            row["heldout"] = {name: round(v["bits_per_byte"], 4) for name, v in heldout.items()}
        self.log.append(row)
        (self.work / "log.json").write_text(json.dumps(self.log), encoding="utf-8")
        console.print(f"{progress:6.1%} {row}", highlight=False)
