"""Self-test: does a model folder still say what its builder heard it say?

* `selftest.json` in the folder holds fixed texts and what must come of them. It names the version
  it was measured on, so that files of two versions never pass together.
* CPUs round differently, so nothing is compared to the bit: a decoder must find a text as likely
  as it was, an encoder must find sentences as near, within a tolerance. Tokens must be counted
  alike: another tokenizer is another model. What a decoder writes is told, never judged.
* This module trusts the folder with its process; `models.examiner` gives it one to spoil.

`python -m models.selftest write FOLDER` measures, `check FOLDER` compares.
"""

import math
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

import click
import msgspec
from msgspec import Meta

from models.command import run
from models.encoder import Encoder
from models.engine import Engine, Sampling
from models.errors import ModelError
from models.report import Report
from models.store import SELFTEST, ModelFolder, unlocked
from models.tokenizer import Tokenizer

LIMIT = 64 * 1024  # bytes
NATS_TOLERANCE = 0.1
COSINE_TOLERANCE = 0.03
PROMPT_TOKENS = 12
TEXT = """La papa nació en los Andes. Crece bajo la tierra y guarda alimento para la planta. \
El agua del lago se evapora, sube y forma nubes; después cae la lluvia en la chacra. \
3/4 más 1/8 son 7/8. The potato was first grown in the Andes."""
PROMPT = "El agua del lago"
SENTENCES = (
    "La papa crece bajo la tierra.",
    "The potato grows under the ground.",
    "The market opens at eight in the morning.",
    "El agua hierve antes en la altura.",
)
REMAKE = "measure it anew: python -m models.selftest write FOLDER"

Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class Writing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a decoder must find: `text` in so many tokens, of so many nats each, at the mean."""

    text: Text
    tokens: Count
    nats: float
    prompt: Text
    answer: Annotated[str, Meta(max_length=4000)]
    """What it wrote after `prompt`; to look at."""
    tolerance: Annotated[float, Meta(gt=0, le=1)] = NATS_TOLERANCE


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an encoder must find: tokens of each text, cosine of each pair, in order."""

    texts: Annotated[tuple[Text, ...], Meta(min_length=2, max_length=16)]
    tokens: tuple[Count, ...]
    cosines: tuple[float, ...]
    tolerance: Annotated[float, Meta(gt=0, le=1)] = COSINE_TOLERANCE


class SelfTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`selftest.json`: one of the two tables, by the kind of the model."""

    version: Annotated[str, Meta(pattern="^[0-9a-f]{12}$")]
    decoder: Writing | None = None
    encoder: Reading | None = None
    format: Literal[1] = 1


def read(folder: ModelFolder) -> SelfTest:
    """The self-test in `folder`. Raises ModelError: none, unreadable, or of another version."""
    path = folder.path / SELFTEST
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(LIMIT), type=SelfTest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"model {folder.name}: {SELFTEST}: {error}", hint=REMAKE) from error
    if found.version != folder.version:
        raise ModelError(
            f"model {folder.name}: {SELFTEST} is of version {found.version},"
            f" the files are {folder.version}",
            hint=REMAKE,
        )
    if (found.decoder if folder.card.kind == "decoder" else found.encoder) is None:
        raise ModelError(f"model {folder.name}: {SELFTEST} tests no {folder.card.kind}")
    return found


def measure(folder: ModelFolder, threads: int) -> SelfTest:
    """What the model says now, to be said again later.

    Raises:
        ModelError: it cannot be opened, or says what no sound model says.
    """
    if folder.card.kind == "encoder":
        near = _near(folder, SENTENCES, threads)
        if not max(near.cosines) - min(near.cosines) > 1e-3:
            raise ModelError(
                f"model {folder.name} finds all sentences equally near",
                hint="its weights are empty or damaged; build it again",
            )
        return SelfTest(folder.version, encoder=near)
    found = _likely(folder, TEXT, PROMPT, threads)
    chance = math.log(Tokenizer.open(folder.tokenizer).size)
    if not math.isfinite(found.nats) or abs(found.nats - chance) < 1e-3:
        raise ModelError(
            f"model {folder.name} finds every text as likely as any other",
            hint="its weights are empty or damaged; build it again",
        )
    return SelfTest(folder.version, decoder=found)


def check(folder: ModelFolder, threads: int) -> Report:
    """Tries the model in this process, which it may spoil. Raises ModelError: cannot be opened."""
    try:
        expected = read(folder)
    except ModelError as error:
        return Report("invalid", str(error))
    began = time.monotonic()
    if (writing := expected.decoder) and folder.card.kind == "decoder":
        found = _likely(folder, writing.text, writing.prompt, threads)
        wrong = differs("tokens", (found.tokens,), (writing.tokens,), 0)
        wrong = wrong or differs("nats a token", (found.nats,), (writing.nats,), writing.tolerance)
        same = "the same words" if found.answer == writing.answer else "other words"
        told = f"{found.nats:.3f} nats a token, {same} as at its builder's"
    else:
        reading = expected.encoder
        assert reading is not None
        seen = _near(folder, reading.texts, threads)
        wrong = differs("tokens", seen.tokens, reading.tokens, 0)
        wrong = wrong or differs("cosine", seen.cosines, reading.cosines, reading.tolerance)
        told = f"{len(seen.cosines)} cosines as at its builder's"
    return Report("answer" if wrong else "", wrong or told, time.monotonic() - began)


def to_bytes(test: SelfTest) -> bytes:
    """As it lies in the folder."""
    return msgspec.json.format(msgspec.json.encode(test), indent=1) + b"\n"


def _likely(folder: ModelFolder, text: str, prompt: str, threads: int) -> Writing:
    with Engine.open(folder, threads=threads, slots=1) as engine:
        nats = engine.score([text])[0]
        written = engine.generate(prompt, Sampling(max_tokens=PROMPT_TOKENS))
        return Writing(text, engine.count(text), round(nats, 4), prompt, written.text)


def _near(folder: ModelFolder, texts: Sequence[str], threads: int) -> Reading:
    encoder = Encoder.open(folder, threads)
    tokenizer = Tokenizer.open(folder.tokenizer)
    vectors = encoder.encode(texts)
    cosines = [float(a @ b) for a, b in combinations(vectors, 2)]
    counts = tuple(len(tokenizer.encode(text)) for text in texts)
    return Reading(tuple(texts), counts, tuple(round(value, 4) for value in cosines))


def differs(what: str, found: Sequence[float], expected: Sequence[float], tolerance: float) -> str:
    """Which value is not what it must be; empty when all are. NaN never is."""
    if len(found) != len(expected):
        return f"{len(found)} values of {what} instead of {len(expected)}"
    for one, other in zip(found, expected, strict=True):
        if not abs(one - other) <= tolerance:
            return f"{one:.4g} {what} instead of {other:.4g}"
    return ""


FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
THREADS = click.option("--threads", default=2, show_default=True, help="CPU threads.")


@click.group()
def main() -> None:
    """Write or check the self-test of a model folder."""


@main.command()
@FOLDER
@THREADS
def write(folder: Path, threads: int) -> None:
    """Measure the model in FOLDER and write its selftest.json; then make the lock anew."""
    test = measure(unlocked(folder), threads)
    (folder / SELFTEST).write_bytes(to_bytes(test))
    click.echo(f"{folder / SELFTEST} is of version {test.version}")


@main.command("check")
@FOLDER
@THREADS
def check_command(folder: Path, threads: int) -> None:
    """Compare the model in FOLDER with its selftest.json."""
    report = check(unlocked(folder), threads)
    if not report.passed:
        raise ModelError(report.detail)
    click.echo(f"{report.detail}, {report.seconds:.1f} s")


if __name__ == "__main__":
    run(main)
