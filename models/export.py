"""Export: from anybody's checkpoint to a model folder of ours, compared with PyTorch.

* GPT-2 and GPT-Neo decoders, BERT, RoBERTa and XLM-R encoders are built by our own builders;
  other encoders come by way of Optimum (`adopt`).
* Nothing is put in place before it was compared with transformers on torch (`parity`): what
  drifts is refused.
* The result has a `card.toml` to be completed by a person. Needs the extra [export].

`python -m models.export CHECKPOINT OUT [--bits 8] [--text FILE]`
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from models import build_bert, build_gpt2
from models.adopt import TASK, adopt, optimum_export
from models.checkpoint import Checkpoint
from models.command import run
from models.errors import ModelError
from models.networks import NETWORKS
from models.parity import Parity, decoder_parity, encoder_parity
from models.store import CARD, MODEL, TOKENIZER

SAMPLE = (
    "El agua de los ríos nace en los nevados y baja hacia los valles, donde riega los campos.",
    "Una fracción dice cuántas partes iguales se toman de un entero. ¿Cuánto es 3/4 más 1/8?",
    "The potato was first grown in the Andes, thousands of years ago.",
    "Unuqa kawsaypaqmi. Yakuta upyananchikpaqqa timpuchinanchikmi.",
)
"""Compared on, when no text is given."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of a checkpoint."""

    kind: Literal["decoder", "encoder"]
    way: Literal["built", "optimum"]
    sha256: str
    """Of the file of weights."""
    bytes: int
    """Of model.onnx."""
    parity: Parity


def export(checkpoint: Path, out: Path, bits: int = 8, texts: Sequence[str] = SAMPLE) -> Exported:
    """Makes the model folder `out` of the folder `checkpoint`.

    Raises:
        ModelError: it is damaged, of no network that is known, or drifts. `out` is then as
            it was.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as held:
        folder = Path(held) / out.name
        folder.mkdir()
        opened = Checkpoint.open(checkpoint)
        kind = str(opened.config.get("model_type"))
        way: Literal["built", "optimum"] = "built"
        if kind in NETWORKS:
            build_gpt2.build(checkpoint, folder, bits)
        elif kind in build_bert.PREFIXES:
            build_bert.build(checkpoint, folder, bits)
        else:
            way = "optimum"
            path = optimum_export(checkpoint, Path(held) / "optimum", TASK)
            context = opened.integer("max_position_embeddings")
            adopt(path, folder / MODEL, bits, context, opened.sha256)
            (folder / TOKENIZER).write_bytes(opened.tokenizer)
        compare = decoder_parity if kind in NETWORKS else encoder_parity
        parity = compare(checkpoint, folder, texts)
        parity.check(bits)
        exported = Exported(
            "decoder" if kind in NETWORKS else "encoder", way, opened.sha256,
            (folder / MODEL).stat().st_size, parity,
        )  # fmt: skip
        (folder / CARD).write_bytes(_card(out.name, opened, exported, bits))
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    return exported


def _card(name: str, checkpoint: Checkpoint, exported: Exported, bits: int) -> bytes:
    """What is known of the model; a person completes the rest."""
    unknown = "(to be written)"
    config = checkpoint.config
    context = config.get("n_positions") or config.get("max_position_embeddings") or 1
    parameters = sum(_items(checkpoint.shape(tensor)) for tensor in checkpoint.names)
    evaluation = {"cosine_mean": exported.parity.cosine_mean}
    if exported.parity.divergence is not None:
        evaluation["kl_nats"] = exported.parity.divergence
    facts = {
        "name": name, "title": name, "kind": exported.kind, "license": unknown,
        "description": unknown, "languages": ["es"], "context": int(context),
        "parameters": parameters, "quantization": f"{bits} bits, {exported.way}",
        "data": unknown, "source": f"weights SHA-256 {exported.sha256}", "intended_use": unknown,
        "limitations": unknown, "provisional": True,
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    lines += ["", "[evaluation]", *(f"{key} = {value!r}" for key, value in evaluation.items())]
    return ("\n".join(lines) + "\n").encode()


def _items(shape: Sequence[int]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def paragraphs(path: Path) -> list[str]:
    """The paragraphs of a text file. Raises ModelError: there are none."""
    found = [part for part in path.read_text(encoding="utf-8").split("\n\n") if part.strip()]
    if not found:
        raise ModelError(f"{path} has no text", hint="give a file with a few paragraphs")
    return found


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--bits", type=click.Choice(["4", "8", "32"]), default="8", show_default=True)
@click.option(
    "--text",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare on the paragraphs of this file; else on four sentences.",
)
def main(checkpoint: Path, out: Path, bits: str, text: Path | None) -> None:
    """Make the model folder OUT of CHECKPOINT; prints how near it is, as JSON."""
    exported = export(checkpoint, out, int(bits), paragraphs(text) if text else SAMPLE)
    click.echo(json.dumps(dataclasses.asdict(exported), indent=2))


if __name__ == "__main__":
    run(main)
