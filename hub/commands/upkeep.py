"""serve, models, selftest: the program itself."""

from collections.abc import Callable

import click

from hub.brief import Brief
from hub.commands.console import json_option, out, pass_office, print_json, say, size, table
from hub.language import LanguageJudge
from hub.office import Office
from hub.publisher import published
from hub.ranker import text_vector
from models.engine.sampling import Sampling
from models.errors import ModelError
from sync.errors import ChaskiError, ContentError
from sync.files import atomic_write, free_bytes

MIN_FREE_BYTES = 50_000_000


@click.command()
@pass_office
def serve(office: Office) -> None:
    """Serve nodes and the studio until Ctrl-C."""
    from hub.app import run

    run(office.config)


@click.group()
def models() -> None:
    """The models that draft and rank."""


@models.command("list")
@json_option
@pass_office
def list_(office: Office, as_json: bool) -> None:
    """Every model folder, verified against its lock."""
    found = [office.models.open(name) for name in office.models.names()]
    used = {office.config.generator.model: "drafts", office.config.ranker.model: "ranks"}
    if as_json:
        print_json(
            [
                {
                    "name": f.name, "version": f.version, "kind": f.card.kind,
                    "title": f.card.title, "license": f.card.license,
                    "languages": f.card.languages, "bytes": f.model.stat().st_size,
                    "use": used.get(f.name, ""),
                }
                for f in found
            ]
        )  # fmt: skip
        return
    shown = table("Models", "name", "version", "kind", "title", "licence", ">size", "here it")
    for f in found:
        shown.add_row(
            f.name, f.version, f.card.kind, f.card.title, f.card.license,
            size(f.model.stat().st_size), used.get(f.name, ""),
        )  # fmt: skip
    out.print(shown)


@click.command()
@pass_office
def selftest(office: Office) -> None:
    """Try every part of this hub once; ends with the code of the first that fails."""
    failed: ChaskiError | ModelError | None = None
    for name, check in CHECKS.items():
        try:
            say(f"{name}: {check(office)}")
        except (ChaskiError, ModelError) as error:
            say(f"{name}: FAILED {error}")
            failed = failed or error
    if failed:
        raise failed
    say("all well")


def _data(office: Office) -> str:
    folder = office.config.data
    probe = folder / ".selftest"
    atomic_write(probe, b"selftest")
    probe.unlink()
    free = free_bytes(folder)
    low = " (little)" if free < MIN_FREE_BYTES else ""
    return f"{folder} can be written, {size(free)} free{low}"


def _library(office: Office) -> str:
    counts = office.library.counts()
    return f"{counts['lessons']} lessons, {counts['waiting']} candidates waiting"


def _channel(office: Office) -> str:
    verdict = published(office.shelf, office.config.channel.id)
    if verdict is None:
        return "keys are there, nothing is published yet"
    offer = office.shelf.offer(office.config.channel.id, "none", verdict.root)
    if offer is None:
        raise ContentError(
            f"the manifest of version {verdict.version} is missing",
            hint="restore the folder of published files from its copy",
        )
    if rotten := office.shelf.deltas.damaged():
        raise ContentError(
            f"{len(rotten)} bundles are damaged: {', '.join(str(path) for path in rotten[:3])}",
            hint="remove these files; each is built anew when a node asks for it",
        )
    return f"version {verdict.version} is signed, its whole bundle has {size(offer.size)}"


def _decoder(office: Office) -> str:
    engine = office.engine
    done = engine.generate("Lección: El agua\n", Sampling(max_tokens=8))
    return f"{engine.name} {engine.version} wrote {done.tokens} tokens"


def _encoder(office: Office) -> str:
    encoder = office.encoder
    brief = Brief("salud", "agua segura", "primaria-1", "es")
    same, other = encoder.encode([brief.text, "the market price of potatoes"])
    near = float(text_vector(encoder, brief.text) @ same)
    far = float(same @ other)
    if not near > far:
        raise ModelError(
            f"{encoder.name} finds a text nearer to another than to itself",
            hint="the model folder is not what its card says; restore it from the release",
        )
    return f"{encoder.name} {encoder.version}, {encoder.dimension} dimensions"


def _language(office: Office) -> str:
    text = "El agua hierve antes en la altura, porque allí el aire pesa menos y empuja menos."
    sure = LanguageJudge().confidence(text, "es")
    if sure < 0.5:
        raise ModelError("lingua does not know Spanish", hint="install the program again")
    return f"{sure:.0%} sure that Spanish is Spanish"


CHECKS: dict[str, Callable[[Office], str]] = {
    "data": _data,
    "library": _library,
    "decoder": _decoder,
    "encoder": _encoder,
    "language": _language,
    "channel": _channel,
}
