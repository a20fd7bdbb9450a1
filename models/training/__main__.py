"""Train a GPT-2 from nothing on two CPU cores, and export it.

python -m models.training tokenizer --corpus DIR --work DIR
python -m models.training train     --corpus DIR --work DIR --lessons hub/sample_library
python -m models.training evaluate  --corpus DIR --work DIR
python -m models.training export    --work DIR --out CHECKPOINT
"""

import json
from pathlib import Path

import click
import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer

from models import prompts
from models.training import corpus
from models.training.gpt2 import GPT2, Shape, to_checkpoint
from models.training.mixture import Mixture
from models.training.run import Run, console, heldout_loss


@click.group()
def main() -> None:
    """Train, evaluate and export a small GPT-2."""


CORPUS = click.option(
    "--corpus", "folder", type=click.Path(exists=True, path_type=Path), required=True
)
WORK = click.option("--work", type=click.Path(path_type=Path), required=True)


@main.command()
@CORPUS
@WORK
@click.option("--vocabulary", default=8192, show_default=True)
def tokenizer(folder: Path, work: Path, vocabulary: int) -> None:
    """Train the byte-level BPE on the training split."""
    work.mkdir(parents=True, exist_ok=True)
    bpe = ByteLevelBPETokenizer()
    texts = (t for s in corpus.read_sources(folder) for t in s.train)
    bpe.train_from_iterator(
        texts,
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[prompts.END_OF_TEXT],
        show_progress=True,
    )
    bpe.save(str(work / "tokenizer.json"))


@main.command()
@CORPUS
@WORK
@click.option("--lessons", type=click.Path(exists=True, path_type=Path))
@click.option("--tokens", default=40_000_000, show_default=True)
@click.option("--minutes", default=90.0, show_default=True)
@click.option("--width", default=256, show_default=True)
@click.option("--layers", default=4, show_default=True)
@click.option("--dropout", default=0.0, show_default=True)
@click.option("--seed", default=7, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--compile/--no-compile", "compile_model", default=True, show_default=True)
def train(
    folder: Path,
    work: Path,
    lessons: Path | None,
    tokens: int,
    minutes: float,
    width: int,
    layers: int,
    dropout: float,
    seed: int,
    threads: int,
    compile_model: bool,
) -> None:
    """Train, or resume the run in the work folder."""
    torch.set_num_threads(threads)
    vocabulary = Tokenizer.from_file(str(work / "tokenizer.json"))
    shape = Shape(vocabulary.get_vocab_size(), width=width, layers=layers, dropout=dropout)
    run = Run(work, shape, seed, muon_rate=0.02, adam_rate=0.002)
    run.resume()
    console.print(
        f"{sum(p.numel() for p in run.model.parameters()) / 1e6:.2f} M parameters, step {run.step}"
    )
    run.train(Mixture(folder, vocabulary, lessons), tokens, minutes, compile_model)


@main.command()
@CORPUS
@WORK
def evaluate(folder: Path, work: Path) -> None:
    """Held-out nats a token and bits a byte of the last checkpoint, at two contexts."""
    state = torch.load(work / "checkpoint.pt", weights_only=True)
    model = GPT2(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    mixture = Mixture(folder, Tokenizer.from_file(str(work / "tokenizer.json")), None)
    report = {str(c): heldout_loss(model, mixture, c) for c in (256, 512)}
    (work / "heldout.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    console.print_json(data=report)


@main.command()
@WORK
@click.argument("other", type=click.Path(exists=True, path_type=Path))
@click.option("--share", default=0.9, show_default=True, help="Weight of the last checkpoint.")
def average(work: Path, other: Path, share: float) -> None:
    """Replace the last checkpoint by its mean with OTHER, an earlier one of the same run."""
    last = torch.load(work / "checkpoint.pt", weights_only=True)
    earlier = torch.load(other, weights_only=True)["model"]
    last["model"] = {
        name: share * value + (1 - share) * earlier[name] for name, value in last["model"].items()
    }
    torch.save(last, work / "checkpoint.pt")


@main.command()
@WORK
@click.option("--out", type=click.Path(path_type=Path), required=True)
def export(work: Path, out: Path) -> None:
    """Write the last checkpoint as a Hugging Face folder."""
    to_checkpoint(
        torch.load(work / "checkpoint.pt", weights_only=True), work / "tokenizer.json", out
    )


if __name__ == "__main__":
    main()
