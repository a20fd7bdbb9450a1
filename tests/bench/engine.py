"""The engine against its peers, on random weights of GPT-2's true shape and of the shipped one.

    python -m tests.bench.engine [--quick] [--peers] [--rounds 5] [--threads 2]

Every engine runs in a process of its own; in each round all of them run once, one after the
other, so that a noisy machine is noisy for all. Medians over the rounds; ratios are those of the
same round. Peers that are installed: optimum (extra [export]), llama_cpp with gguf, ctranslate2.
`kl` is the divergence from the float32 graph, in nats, on teacher-forced random tokens.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from models import build_gpt2
from tests.bench import decoders
from tests.bench.report import finish, options, say

MOST = 8
ROWS, TOKENS = 2, 48
BASES = {"ours-int8": ("llama.cpp-q8_0", "optimum-int8"), "ours-4bit": ("llama.cpp-q4_0",)}


def worker(name: str, path: Path, threads: int, *more: str) -> dict[str, Any]:
    """What one engine measured of itself."""
    command = [
        sys.executable, "-m", "tests.bench.engine_worker", name, str(path), str(threads),
        str(MOST), *more,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    return told


def divergences(
    made: dict[str, Path], source: Path, folder: Path, vocabulary: int
) -> dict[str, float]:
    """Mean KL(float32 || engine) in nats, of those that tell their logits."""
    build_gpt2.build(source, folder / "float32", 32)
    tokens = folder / "tokens.npy"
    np.save(tokens, np.random.default_rng(3).integers(1, vocabulary, (ROWS, TOKENS)))
    named = {"ours-float32": folder / "float32" / "model.onnx"} | made
    found = {}
    for name, path in named.items():
        if not name.startswith("ctranslate2"):
            worker(name, path, 2, str(tokens))
            found[name] = logs(np.load(f"{tokens}.{name}.npy")[..., :vocabulary])
    reference = found.pop("ours-float32")
    return {
        name: float((np.exp(reference) * (reference - one)).sum(-1).mean())
        for name, one in found.items()
    }


def logs(logits: Any) -> Any:
    """Log-probabilities."""
    x = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of one engine."""
    told: dict[str, Any] = {
        key: round(statistics.median(one[key] for one in rounds), 1)
        for key in ("load_ms", "prefill_ms", "private_mb", "total_mb")
    }
    batches = rounds[0]["decode"]
    told["decode"] = {
        batch: round(statistics.median(one["decode"][batch] for one in rounds), 1)
        for batch in batches
    }
    return told


def ratios(runs: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Ours over theirs, the median over rounds."""
    found = {}
    for ours, bases in BASES.items():
        for base in (b for b in bases if b in runs):
            pairs = list(zip(runs[ours], runs[base], strict=True))
            for batch in runs[ours][0]["decode"]:
                found[f"{ours}/{base} decode {batch}"] = round(
                    statistics.median(a["decode"][batch] / b["decode"][batch] for a, b in pairs), 2
                )
    peers = [name for name in runs if not name.startswith("ours")]
    for ours in BASES:
        if peers:
            found[f"{ours}/fastest peer prefill"] = round(
                statistics.median(
                    min(runs[peer][n]["prefill_ms"] for peer in peers) / one["prefill_ms"]
                    for n, one in enumerate(runs[ours])
                ),
                2,
            )
    return found


def measure(shape: decoders.Shape, *, peers: bool, rounds: int, threads: int) -> dict[str, Any]:
    """All engines on one random model."""
    with tempfile.TemporaryDirectory(prefix="chaski-bench-") as held:
        folder = Path(held)
        source = decoders.checkpoint(folder / "checkpoint", shape)
        made = decoders.forms(source, folder, peers=peers)
        far = divergences(made, source, folder, shape.vocabulary)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in made}
        for number in range(rounds):
            for name, path in made.items():
                runs[name].append(worker(name, path, threads))
                say(f"round {number + 1}: {name}: {runs[name][-1]['decode']} tokens/s")
        engines = {name: medians(one) for name, one in runs.items()}
        for name, nats in far.items():
            engines[name]["kl"] = round(nats, 6)
        return {"engines": engines, "ratios": ratios(runs)}


def main() -> None:
    """See the module."""
    parser = options(__doc__ or "")
    parser.add_argument("--peers", action="store_true", help="those that are installed too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    rounds = min(asked.rounds, 2) if asked.quick else asked.rounds
    shapes = {"quick": decoders.QUICK} if asked.quick else {
        "gpt2-124m": decoders.GPT2, "shipped": decoders.SHIPPED,
    }  # fmt: skip
    finish(
        {
            name: measure(shape, peers=asked.peers, rounds=rounds, threads=asked.threads)
            for name, shape in shapes.items()
        }
    )


if __name__ == "__main__":
    main()
